/* vqpipe_predict: what a run will take, from its programs' arithmetic and one small matrix product per backend. */
#include "cost.h"
#include "pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROWS = 256,
    WIDTH = 512, /* 134 million operations: under a millisecond on a fast processor */
    TRIES = 3
};

/* Bytes a second of everything that is no matrix product; a fast processor core does a few of these operations a byte. */
static const double TRAFFIC = 6e9;

struct rates {
    double flops[VQP_MAX_BACKENDS]; /* a second, by backend index; 0: not measured */
};

/* ---- one product ------------------------------------------------------------------------------------------------ */

/* out [ROWS,WIDTH] = x [ROWS,WIDTH] w^T */
static vqp_status time_product(const struct vqp_backend_instance *b, vqp_exec *exec, double *best,
                               struct vqp_error *err)
{
    vqp_status st = b->v->run(b->self, exec, 1, err); /* the first one is slower */
    *best = 1e9;
    for (int i = 0; !st && i < TRIES; i++) {
        double start = vqp_now();
        if (!(st = b->v->run(b->self, exec, 1, err)) && vqp_now() - start < *best)
            *best = vqp_now() - start;
    }
    return st;
}

static vqp_status measure(const struct vqp_backend_instance *b, double *flops, struct vqp_error *err)
{
    float *data = malloc(sizeof *data * WIDTH * WIDTH);
    vqp_buffer *x = NULL, *out = NULL;
    vqp_exec *exec = NULL;
    double seconds = 0;
    if (!data)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    for (uint32_t i = 0; i < WIDTH * WIDTH; i++)
        data[i] = (float)(i % 7) / 8 - 0.25f;
    struct vqp_shape rows = vqp_shape2(ROWS, WIDTH), square = vqp_shape2(WIDTH, WIDTH);
    const uint64_t bytes = sizeof *data * ROWS * WIDTH, weight = sizeof *data * WIDTH * WIDTH;
    const struct vqp_val_info vals[4] = {
        [1] = {.dtype = VQP_F32, .role = VQP_VAL_INPUT, .shape = rows, .bytes = bytes, .name = "x", .root = 1},
        [2] = {.dtype = VQP_F32, .role = VQP_VAL_CONSTANT, .shape = square, .bytes = weight, .data = data, .root = 2},
        [3] = {.dtype = VQP_F32, .role = VQP_VAL_OUTPUT, .shape = rows, .bytes = bytes, .name = "out", .root = 3},
    };
    const struct vqp_op op = {.kind = VQP_OP_LINEAR, .in = {1, 2}, .out = {3}};
    const char *const scope = "prediction";
    const struct vqp_program_view view = {.struct_size = sizeof view,
                                          .n_vals = 4,
                                          .n_ops = 1,
                                          .name = scope,
                                          .vals = vals,
                                          .ops = &op,
                                          .op_scope = &scope};
    vqp_status st = b->v->supports(b->self, &view, 0) ? VQP_OK : vqp_fail(err, VQP_E_UNSUPPORTED, "no product");
    if (!st)
        st = b->v->buffer_create(b->self, bytes, &x, err);
    if (!st)
        st = b->v->buffer_create(b->self, bytes, &out, err);
    if (!st)
        st = b->v->upload(b->self, x, 0, data, bytes, err);
    const struct vqp_binding bind[2] = {{1, 0, x}, {3, 0, out}};
    if (!st)
        st = b->v->compile(b->self, &view, bind, 2, &exec, err);
    if (!st && !(st = time_product(b, exec, &seconds, err)))
        *flops = vqp_op_cost(&view, 0).flops / (seconds + 1e-9);
    b->v->exec_destroy(b->self, exec);
    b->v->buffer_destroy(b->self, x);
    b->v->buffer_destroy(b->self, out);
    free(data);
    return st;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static vqp_status phase_seconds(const struct vqp_session *s, uint32_t phase, struct rates *rates, double *seconds,
                                struct vqp_error *err)
{
    *seconds = 0;
    for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next) {
        const struct vqp_program_view *v = p->view;
        double *rate = &rates->flops[p->backend->index];
        vqp_status st = *rate > 0 ? VQP_OK : measure(p->backend, rate, err);
        if (st)
            return st;
        for (uint32_t i = 0; i < v->n_ops; i++) {
            struct vqp_cost c = vqp_op_cost(v, i);
            *seconds += c.products ? c.flops / *rate : c.bytes / TRAFFIC;
        }
    }
    return VQP_OK;
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

/* Bytes that this process holds now: mapped weights that were read are among them. */
static uint64_t resident(void)
{
    unsigned long whole = 0, held = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &whole, &held) != 2)
        held = 0;
    if (f)
        fclose(f);
    return (uint64_t)held * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A backend keeps the matrices of linear and conv2d packed in its precision, and other weights as float32; q8_0 stays what it is. */
static uint64_t copy_of(const struct vqp_piece *piece, const struct vqp_program_view *v, const struct vqp_op *op,
                        uint32_t k)
{
    const struct vqp_val_info *w = &v->vals[v->vals[op->in[k]].root];
    int packed = k == 1 && (op->kind == VQP_OP_LINEAR || op->kind == VQP_OP_CONV2D);
    uint64_t elements = w->dtype == VQP_F32 ? w->bytes / 4 : w->bytes / 2;
    if (w->dtype == VQP_Q8_0)
        return w->bytes; /* read where it is mapped, or copied as it is */
    if (packed)
        return elements * (strcmp(piece->backend->precision, "f32") ? 2 : 4);
    return w->dtype == VQP_F32 ? 0 : elements * 4;
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    return (x > y) - (x < y);
}

/* Weights that a program reads twice are copied once. */
static uint64_t copies_of_weights(const struct vqp_session *s)
{
    const void **seen = NULL;
    size_t n = 0, room = 0;
    uint64_t bytes = 0;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++)
        for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next)
            room += (size_t)p->view->n_ops * VQP_OP_MAX_IN;
    if (!(seen = calloc(room + 1, sizeof *seen)))
        return 0;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++)
        for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next) {
            const struct vqp_program_view *v = p->view;
            size_t before = n;
            for (uint32_t i = 0; i < v->n_ops; i++)
                for (uint32_t k = 0; k < VQP_OP_MAX_IN; k++) {
                    const struct vqp_val_info *w = &v->vals[v->vals[v->ops[i].in[k]].root];
                    if (!v->ops[i].in[k] || w->role != VQP_VAL_WEIGHT ||
                        bsearch(&w->data, seen, before, sizeof *seen, by_address))
                        continue;
                    seen[n++] = w->data;
                    bytes += copy_of(p, v, &v->ops[i], k);
                }
            qsort(seen, n, sizeof *seen, by_address);
        }
    free(seen);
    return bytes;
}

static uint64_t buffers_of(const struct vqp_session *s)
{
    uint64_t bytes = 0;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++)
        for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next)
            bytes += p->view->arena_bytes;
    for (const struct vqp_slot *slot = s->slots; slot; slot = slot->next)
        bytes += slot->bytes;
    return bytes;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

vqp_status vqpipe_predict(vqpipe *pipe, struct vqpipe_prediction *out, struct vqp_error *err)
{
    struct vqpipe_prediction p = {.struct_size = out->struct_size};
    struct rates rates = {{0}};
    struct vqp_session *s;
    struct vqp_error e = {0};
    vqp_status st = vqpipe_load(pipe, err);
    if (st)
        return st;
    const struct vqp_assembly *a = pipe->assembly;
    uint32_t batch = vqp_pipe_batch(pipe, 0);
    struct vqp_session_key key = vqp_pipe_key(pipe, batch, 0);
    if ((st = vqp_pipe_session(pipe, &key, &s, err)))
        return st;
    double batches = (double)a->n_images / batch;
    st = phase_seconds(s, VQP_PREPARE, &rates, &p.prepare, &e);
    if (!st)
        st = phase_seconds(s, VQP_STEP, &rates, &p.step, &e);
    if (!st)
        st = phase_seconds(s, VQP_FINISH, &rates, &p.finish, &e);
    if (st)
        return vqp_fail(err, st, "prediction: %s", e.msg);
    p.evals = a->n_evals - a->first_eval;
    p.batches = batches;
    p.seconds = batches * (p.prepare + p.evals * p.step + p.finish);
    p.memory_bytes = resident() + (s->compiled ? 0 : copies_of_weights(s) + buffers_of(s)) +
                     (uint64_t)a->n_images * s->image_w * s->image_h * 3 * (sizeof(float) + 1);
    memcpy(out, &p, p.struct_size < sizeof p ? p.struct_size : sizeof p);
    return VQP_OK;
}
