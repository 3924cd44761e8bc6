/* The definition of every op in plain C, behind the backend interface. Built to be read and trusted; fast enough to draw a picture with
 * the small model. */
#include "reference.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vqpipe/plugin.h>

#define ALONE(name)                                                                                                    \
    {                                                                                                                  \
        vqp_ref_##name, NULL                                                                                           \
    }
#define WITH_SCRATCH(name)                                                                                             \
    {                                                                                                                  \
        vqp_ref_##name, vqp_ref_##name##_scratch                                                                       \
    }

static const struct vqp_ref_kind kinds[VQP_OP_PLAIN_END] = {
    [VQP_OP_EMBEDDING] = ALONE(embedding),
    [VQP_OP_LINEAR] = ALONE(linear),
    [VQP_OP_LAYER_NORM] = ALONE(layer_norm),
    [VQP_OP_RMS_NORM] = ALONE(layer_norm),
    [VQP_OP_SDPA] = WITH_SCRATCH(sdpa),
    [VQP_OP_CONV2D] = WITH_SCRATCH(conv2d),
    [VQP_OP_GROUP_NORM] = ALONE(group_norm),
    [VQP_OP_L2_NORM] = ALONE(l2_norm),
    [VQP_OP_CODEBOOK] = ALONE(codebook),
    [VQP_OP_NEAREST_CODE] = ALONE(nearest_code),
    [VQP_OP_PIXEL_SHUFFLE] = ALONE(pixel_shuffle),
    [VQP_OP_ROPE] = ALONE(rope),
    [VQP_OP_GUIDE_LOG_SOFTMAX] = ALONE(guide_log_softmax),
    [VQP_OP_TRUNCATE] = WITH_SCRATCH(truncate),
    [VQP_OP_POSTERIOR_SAMPLE] = WITH_SCRATCH(posterior_sample),
    [VQP_OP_CATEGORICAL_SAMPLE] = ALONE(categorical_sample),
    [VQP_OP_SELECT_TOP_K] = WITH_SCRATCH(select_top_k),
    [VQP_OP_TO_RGB] = ALONE(to_rgb),
    [VQP_OP_REPEAT] = ALONE(repeat),
    [VQP_OP_TAKE] = ALONE(take),
    [VQP_OP_STORE] = ALONE(store),
    [VQP_OP_ADVANCE] = ALONE(advance),
    [VQP_OP_ADD] = ALONE(binary),
    [VQP_OP_SUB] = ALONE(binary),
    [VQP_OP_MUL] = ALONE(binary),
    [VQP_OP_DIV] = ALONE(binary),
    [VQP_OP_MAX] = ALONE(binary),
    [VQP_OP_MIN] = ALONE(binary),
    [VQP_OP_EXP] = ALONE(unary),
    [VQP_OP_LOG] = ALONE(unary),
    [VQP_OP_SQRT] = ALONE(unary),
    [VQP_OP_RSQRT] = ALONE(unary),
    [VQP_OP_SIGMOID] = ALONE(unary),
    [VQP_OP_COMPARE] = ALONE(compare),
    [VQP_OP_WHERE] = ALONE(where),
    [VQP_OP_CAST] = ALONE(cast),
    [VQP_OP_CONCAT] = ALONE(concat),
    [VQP_OP_SLICE] = ALONE(slice),
    [VQP_OP_PERMUTE] = ALONE(permute),
    [VQP_OP_REDUCE_SUM] = ALONE(reduce),
    [VQP_OP_REDUCE_MAX] = ALONE(reduce),
    [VQP_OP_ARG_MAX] = ALONE(reduce),
    [VQP_OP_SOFTMAX] = ALONE(softmax),
    [VQP_OP_CUMSUM] = ALONE(cumsum),
    [VQP_OP_SORT_K] = WITH_SCRATCH(sort_k),
    [VQP_OP_GATHER] = ALONE(gather),
    [VQP_OP_SCATTER] = ALONE(scatter),
};

struct vqp_buffer {
    uint64_t bytes;
    _Alignas(64) unsigned char data[];
};
struct reference {
    const struct vqp_host *host;
    struct vqp_ref_weights *weights;
};

/* Zero-filled; at least one byte, so that NULL always means "out of memory". */
static void *zeroed(uint64_t bytes)
{
    if (bytes > (uint64_t)INT64_MAX - 64)
        return NULL;
    uint64_t whole = (bytes / 64 + 1) * 64;
    void *p = aligned_alloc(64, whole);
    return p ? memset(p, 0, whole) : NULL;
}

/* ---- devices and buffers ---- */

static void describe(struct vqp_device_info *out)
{
    uint32_t size = out->struct_size;
    struct vqp_device_info info = {.struct_size = size, .is_host = 1, .usable = 1, .alignment = 1};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    snprintf(info.name, sizeof info.name, "host processor");
    snprintf(info.driver, sizeof info.driver, "plain C");
    if (pages > 0 && page > 0)
        info.memory_bytes = (uint64_t)pages * (uint64_t)page;
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
}

static void info(void *self, struct vqp_device_info *out)
{
    (void)self;
    describe(out);
}

static vqp_status devices(const struct vqp_host *host, struct vqp_device_info *out, uint32_t cap, uint32_t *n,
                          struct vqp_error *err)
{
    (void)host;
    (void)err;
    *n = 1;
    if (cap)
        describe(&out[0]);
    return VQP_OK;
}

static vqp_status buffer_create(void *self, uint64_t bytes, vqp_buffer **out, struct vqp_error *err)
{
    (void)self;
    struct vqp_buffer *b = bytes <= INT64_MAX / 2 ? zeroed(sizeof *b + bytes) : NULL;
    if (!b)
        return vqp_fail(err, VQP_E_NOMEM, "reference: no memory for a buffer of %llu bytes", (unsigned long long)bytes);
    b->bytes = bytes;
    *out = b;
    return VQP_OK;
}

static void buffer_destroy(void *self, vqp_buffer *b)
{
    (void)self;
    free(b);
}

static vqp_status check_range(const char *what, const vqp_buffer *b, uint64_t off, uint64_t n, struct vqp_error *err)
{
    if (off <= b->bytes && n <= b->bytes - off)
        return VQP_OK;
    return vqp_fail(err, VQP_E_INTERNAL, "reference: %s of %llu bytes at %llu, but the buffer has %llu bytes", what,
                    (unsigned long long)n, (unsigned long long)off, (unsigned long long)b->bytes);
}

static vqp_status upload(void *self, vqp_buffer *b, uint64_t off, const void *src, uint64_t n, struct vqp_error *err)
{
    (void)self;
    vqp_status st = check_range("upload", b, off, n, err);
    if (st == VQP_OK && n)
        memcpy(b->data + off, src, n);
    return st;
}

static vqp_status download(void *self, vqp_buffer *b, uint64_t off, void *dst, uint64_t n, struct vqp_error *err)
{
    (void)self;
    vqp_status st = check_range("download", b, off, n, err);
    if (st == VQP_OK && n)
        memcpy(dst, b->data + off, n);
    return st;
}

/* ---- programs ---- */

static uint32_t activation(const struct vqp_op *op)
{
    switch (op->kind) {
    case VQP_OP_LINEAR: return op->u.linear.act;
    case VQP_OP_CONV2D: return op->u.conv.act;
    case VQP_OP_GROUP_NORM: return op->u.norm.act;
    default: return VQP_ACT_NONE;
    }
}

static int has_matrix(const struct vqp_op *op)
{
    return op->kind == VQP_OP_LINEAR || op->kind == VQP_OP_CONV2D;
}

static int32_t supports(void *self, const struct vqp_program_view *p, uint32_t i)
{
    (void)self;
    const struct vqp_op *op = &p->ops[i];
    if (op->kind >= VQP_OP_PLAIN_END || !kinds[op->kind].run || op->flags || activation(op) > VQP_ACT_SILU)
        return 0;
    if (has_matrix(op) && p->vals[op->in[1]].role != VQP_VAL_WEIGHT && p->vals[op->in[1]].role != VQP_VAL_CONSTANT)
        return 0; /* it is packed at compile */
    for (int k = 0; k < VQP_OP_MAX_IN; k++)
        if (op->in[k] && (p->vals[op->in[k]].dtype < VQP_F32 || p->vals[op->in[k]].dtype > VQP_BF16))
            return 0;
    return 1;
}

/* What compile() holds while it works. */
struct compile {
    struct reference *self;
    const struct vqp_program_view *p;
    struct vqp_ref_exec *x;
    void **at; /* where each value's storage begins */
    struct vqp_error *err;
};

static vqp_status no_memory(const struct compile *c)
{
    return vqp_fail(c->err, VQP_E_NOMEM, "reference: no memory to compile the program %s", c->p->name);
}

static vqp_status bind(struct compile *c, const struct vqp_binding *bindings, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (bindings[i].val == 0 || bindings[i].val >= c->p->n_vals || !bindings[i].buffer ||
            bindings[i].buffer->bytes < c->p->vals[bindings[i].val].bytes)
            return vqp_fail(c->err, VQP_E_INTERNAL,
                            "reference: %s: binding %u has no such value, no buffer, or one that is too small",
                            c->p->name, (unsigned)i);
        c->at[bindings[i].val] = bindings[i].buffer->data;
    }
    return VQP_OK;
}

/* Fills c->at for every root that has no binding, then for the views. CONSTANT data is copied: it is gone after compile. */
static vqp_status place_values(struct compile *c)
{
    const struct vqp_val_info *vals = c->p->vals;
    uint64_t constants = 0, off = 0;
    for (uint32_t v = 1; v < c->p->n_vals; v++)
        if (vals[v].role == VQP_VAL_CONSTANT && vals[v].root == v)
            constants += (vals[v].bytes + 63) / 64 * 64;
    c->x->constants = zeroed(constants);
    c->x->arena = zeroed(c->p->arena_bytes);
    if (!c->x->constants || !c->x->arena)
        return no_memory(c);
    for (uint32_t v = 1; v < c->p->n_vals; v++) {
        if (vals[v].root != v)
            continue;
        if (vals[v].role == VQP_VAL_TEMP) {
            c->at[v] = c->x->arena + vals[v].arena_offset;
        } else if (vals[v].role == VQP_VAL_WEIGHT) {
            c->at[v] = (void *)vals[v].data; /* nothing writes through it: no op has a weight as its result */
        } else if (vals[v].role == VQP_VAL_CONSTANT) {
            c->at[v] = c->x->constants + off;
            memcpy(c->at[v], vals[v].data, vals[v].bytes);
            off += (vals[v].bytes + 63) / 64 * 64;
        }
    }
    for (uint32_t v = 1; v < c->p->n_vals; v++)
        c->at[v] = c->at[vals[v].root];
    return VQP_OK;
}

static vqp_status resolve(const struct compile *c, vqp_val v, int packs_itself, struct vqp_ref_arg *out)
{
    if (!v)
        return VQP_OK;
    const struct vqp_val_info *val = &c->p->vals[v];
    *out = (struct vqp_ref_arg){.data = c->at[v], .dtype = val->dtype, .rank = val->shape.rank, .count = 1};
    for (uint32_t i = 0; i < out->rank; i++) {
        out->dim[i] = val->shape.dim[i];
        out->count *= (uint64_t)out->dim[i];
    }
    if (!out->data)
        return vqp_fail(c->err, VQP_E_INTERNAL, "reference: %s: value %%%u has no storage", c->p->name, (unsigned)v);
    if (val->role == VQP_VAL_WEIGHT && !packs_itself &&
        (val->dtype == VQP_F32 || val->dtype == VQP_F16 || val->dtype == VQP_BF16)) {
        out->data = (void *)vqp_ref_weights_f32(c->self->weights, out->data, val->dtype, out->count);
        out->dtype = VQP_F32;
        if (!out->data)
            return no_memory(c);
    }
    return VQP_OK;
}

static vqp_status pack(const struct compile *c, struct vqp_ref_node *node)
{
    const struct vqp_ref_arg *w = &node->in[1];
    struct vqp_ref_matrix m =
        node->op.kind == VQP_OP_LINEAR ? vqp_ref_linear_matrix(node) : vqp_ref_conv2d_matrix(node);
    if (c->p->vals[node->op.in[1]].role == VQP_VAL_WEIGHT) {
        node->packed = vqp_ref_weights_packed(c->self->weights, w->data, w->dtype, &m);
    } else if ((node->own = zeroed(vqp_ref_matrix_floats(&m) * sizeof(float)))) {
        vqp_ref_matrix_pack(node->own, w->data, w->dtype, &m);
        node->packed = node->own;
    }
    return node->packed ? VQP_OK : no_memory(c);
}

static vqp_status prepare(const struct compile *c, const struct vqp_op *op, struct vqp_ref_node *node,
                          uint64_t *scratch)
{
    vqp_status st = VQP_OK;
    node->op = *op;
    node->run = kinds[op->kind].run;
    for (int k = 0; k < VQP_OP_MAX_IN && st == VQP_OK; k++)
        st = resolve(c, op->in[k], has_matrix(op) && k == 1, &node->in[k]);
    for (int k = 0; k < VQP_OP_MAX_OUT && st == VQP_OK; k++)
        st = resolve(c, op->out[k], 0, &node->out[k]);
    if (st == VQP_OK && has_matrix(op))
        st = pack(c, node);
    if (st == VQP_OK && kinds[op->kind].scratch) {
        uint64_t bytes = kinds[op->kind].scratch(node);
        *scratch = bytes > *scratch ? bytes : *scratch;
    }
    return st;
}

static void exec_destroy(void *self, vqp_exec *exec)
{
    (void)self;
    struct vqp_ref_exec *x = (struct vqp_ref_exec *)exec;
    if (!x)
        return;
    for (uint32_t i = 0; x->nodes && i < x->n_nodes; i++)
        free(x->nodes[i].own);
    free(x->nodes);
    free(x->ns);
    free(x->arena);
    free(x->constants);
    free(x->scratch);
    free(x);
}

static vqp_status compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                          vqp_exec **out, struct vqp_error *err)
{
    struct compile c = {self, p, calloc(1, sizeof *c.x), calloc(p->n_vals + 1u, sizeof *c.at), err};
    vqp_status st = c.x && c.at ? VQP_OK : no_memory(&c);
    uint64_t scratch = 0;
    if (st == VQP_OK) {
        c.x->host = c.self->host;
        c.x->n_nodes = p->n_ops;
        c.x->nodes = calloc(p->n_ops + 1u, sizeof *c.x->nodes);
        c.x->ns = calloc(p->n_ops + 1u, sizeof *c.x->ns);
        st = c.x->nodes && c.x->ns ? bind(&c, b, n) : no_memory(&c);
    }
    if (st == VQP_OK)
        st = place_values(&c);
    for (uint32_t i = 0; i < p->n_ops && st == VQP_OK; i++)
        st = supports(self, p, i)
                 ? prepare(&c, &p->ops[i], &c.x->nodes[i], &scratch)
                 : vqp_fail(err, VQP_E_UNSUPPORTED, "reference: %s: op %u is of kind %u, which it lacks", p->name,
                            (unsigned)i, (unsigned)p->ops[i].kind);
    if (st == VQP_OK && !(c.x->scratch = zeroed(scratch)))
        st = no_memory(&c);
    free(c.at);
    if (st == VQP_OK)
        *out = (vqp_exec *)c.x;
    else
        exec_destroy(self, (vqp_exec *)c.x);
    return st;
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static vqp_status run(void *self, vqp_exec *exec, uint32_t times, struct vqp_error *err)
{
    (void)self;
    struct vqp_ref_exec *x = (struct vqp_ref_exec *)exec;
    atomic_store(&x->cancelled, 0);
    memset(x->ns, 0, x->n_nodes * sizeof *x->ns);
    uint64_t start = now();
    for (uint32_t t = 0; t < times; t++)
        for (uint32_t i = 0; i < x->n_nodes; i++) {
            if (!x->host->cancelled(x->host))
                x->nodes[i].run(x, &x->nodes[i]);
            else
                atomic_store(&x->cancelled, 1);
            if (atomic_load(&x->cancelled))
                return vqp_fail(err, VQP_E_CANCELLED, "reference: cancelled");
            uint64_t end = now();
            x->ns[i] += end - start;
            start = end;
        }
    return VQP_OK;
}

static vqp_status profile(void *self, vqp_exec *exec, uint64_t *ns, uint32_t cap, uint32_t *n)
{
    (void)self;
    struct vqp_ref_exec *x = (struct vqp_ref_exec *)exec;
    *n = cap < x->n_nodes ? cap : x->n_nodes;
    memcpy(ns, x->ns, *n * sizeof *ns);
    return VQP_OK;
}

static void forget(void *self, const void *data)
{
    vqp_ref_weights_forget(((struct reference *)self)->weights, data);
}

/* ---- the component ---- */

static void destroy(void *self)
{
    struct reference *r = self;
    if (!r)
        return;
    vqp_ref_weights_destroy(r->weights);
    free(r);
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    if (args->precision && strcmp(args->precision, "f32") != 0)
        return vqp_fail(err, VQP_E_ARG,
                        "reference: precision %s: this backend has f32 alone; use f32, or another backend",
                        args->precision);
    if (args->device && strcmp(args->device, "0") != 0)
        return vqp_fail(err, VQP_E_ARG, "reference: device %s: there is one device, 0; leave `device` out",
                        args->device);
    struct reference *r = calloc(1, sizeof *r);
    if (!r || !(r->weights = vqp_ref_weights_create())) {
        destroy(r);
        return vqp_fail(err, VQP_E_NOMEM, "reference: no memory to create the backend");
    }
    r->host = args->host;
    *self = r;
    return VQP_OK;
}

static const struct vqp_backend_vtbl vtbl = {
    .struct_size = sizeof vtbl,
    .info = info,
    .supports = supports,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .compile = compile,
    .run = run,
    .exec_destroy = exec_destroy,
    .profile = profile,
    .devices = devices,
    .forget = forget,
};
static const struct vqp_component reference = {
    .struct_size = sizeof reference,
    .iface = VQP_IFACE_BACKEND,
    .name = "reference",
    .summary = "every op as defined, in plain C on the host processor",
    .create = create,
    .destroy = destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component *const components[] = {&reference, NULL};

VQP_PLUGIN(.id = "org.vqpipe.reference", .version = "0.1.0", .license = "MIT", .components = components);
