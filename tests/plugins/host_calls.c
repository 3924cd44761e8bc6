/* A scheduler with a choice of ways to do one thing: by ops, by functions of its own in between, or not at all. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

enum {
    OPS,
    HOST,
    FAIL,
    SILENT,
    STATUS,
    CANCEL,
    WIDE,
    NAMELESS,
    FUNCTIONLESS,
    INPUTLESS,
    SHAPELESS,
};
struct options {
    int32_t way;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, way, .type = VQP_OPT_CHOICE, .def = "ops",
            .choices = "ops|host|fail|silent|status|cancel|wide|nameless|functionless|inputless|shapeless",
            .help = "how the step is done"),
    {.name = NULL},
};
struct scheduler {
    const struct vqp_host *host;
    int32_t way;
    uint32_t calls;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    struct scheduler *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    *m = (struct scheduler){args->host, ((const struct options *)args->opts)->way, 0};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    (void)self, (void)err;
    for (uint32_t i = 0; i < a->steps && i < cap; i++) {
        out[i].t = (int32_t)(a->steps - 1 - i);
        out[i].tf = (float)out[i].t;
        out[i].par[3] = (float)(i + 1) / (float)a->steps; /* share of the places that are settled */
    }
    return (int32_t)a->steps;
}

/* in: logp [R,C], seen through a view.   out: the likeliest class i32 [R], its logp f32 [R] */
static vqp_status pick(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    struct scheduler *m = self;
    int64_t R = in[0].shape.dim[0], C = in[0].shape.dim[1];
    const float *logp = in[0].data;
    int32_t *best = out[0];
    float *score = out[1];
    if (in[0].dtype != VQP_F32 || in[0].shape.rank != 2 || in[0].bytes != (uint64_t)(R * C) * sizeof *logp)
        return vqp_fail(err, VQP_E_INTERNAL, "the input is not as recorded");
    m->calls++;
    switch (m->way) {
    case FAIL: return vqp_fail(err, VQP_E_NUMERIC, "nothing to choose from in row %d", 3);
    case SILENT: return VQP_E_DEVICE;
    case STATUS: return 7;
    case CANCEL:
        for (int i = 0; i < 20000; i++) {
            if (m->host->cancelled(m->host))
                return VQP_E_CANCELLED;
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        }
        break;
    default: break;
    }
    for (int64_t r = 0; r < R; r++) {
        best[r] = 0;
        for (int64_t c = 1; c < C; c++)
            if (logp[r * C + c] > logp[r * C + best[r]])
                best[r] = (int32_t)c;
        score[r] = logp[r * C + best[r]];
    }
    return VQP_OK;
}

/* in: picked [B,N], tokens [B,N], the evaluation's row [12], place [N] in 0..1.   out: picked where the place is settled */
static vqp_status merge(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    const int32_t *picked = in[0].data, *tokens = in[1].data;
    const float *par = in[2].data, *place = in[3].data;
    int32_t *next = out[0];
    int64_t B = in[1].shape.dim[0], N = in[1].shape.dim[1];
    (void)self, (void)err;
    for (int64_t i = 0; i < B * N; i++)
        next[i] = place[i % N] < par[3] ? picked[i] : tokens[i];
    return VQP_OK;
}

/* Has no output, so that only its being called matters. */
static vqp_status look(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    (void)self, (void)out;
    return in[0].dtype == VQP_I32 && in[0].shape.rank == 1 ? VQP_OK
                                                           : vqp_fail(err, VQP_E_INTERNAL, "no evaluation to look at");
}

static vqp_val record_by_calls(struct scheduler *m, vqp_program *p, const struct vqp_step *s, vqp_val place,
                               const struct vqp_shape *grid, int64_t C)
{
    const struct vqp_program_api *api = m->host->program;
    struct vqp_shape rows = vqp_shape1(grid->dim[0] * grid->dim[1]), table = vqp_shape2(rows.dim[0], C);
    vqp_val made[2] = {0, 0};
    api->scope(p, "choose");
    struct vqp_host_call c = {.struct_size = sizeof c,
                              .n_in = 1,
                              .n_out = 2,
                              .name = "pick",
                              .fn = pick,
                              .self = m,
                              .in = {api->view(p, s->logp, &table)},
                              .out_dtype = {VQP_I32, VQP_F32},
                              .out_shape = {rows, rows}};
    switch (m->way) {
    case WIDE: c.n_out = 3; break;
    case NAMELESS: c.name = NULL; break;
    case FUNCTIONLESS: c.fn = NULL; break;
    case INPUTLESS: c.in[0] = 0; break;
    case SHAPELESS: c.out_shape[1].dim[0] = -4; break;
    default: break;
    }
    api->host_call(p, &c, made);
    /* ops on both outputs, so that both cross; the score adds nothing */
    vqp_val nothing = vqp_cast(api, p, vqp_binary(api, p, VQP_OP_SUB, made[1], made[1]), VQP_I32);
    vqp_val picked = api->view(p, vqp_binary(api, p, VQP_OP_ADD, made[0], nothing), grid);
    api->scope(p, NULL);
    struct vqp_host_call l = {
        .struct_size = sizeof l, .n_in = 1, .name = "look", .fn = look, .self = m, .in = {s->eval}};
    api->host_call(p, &l, NULL);
    struct vqp_host_call g = {.struct_size = sizeof g,
                              .n_in = 4,
                              .n_out = 1,
                              .name = "merge",
                              .fn = merge,
                              .self = m,
                              .in = {picked, s->tokens, s->par, place},
                              .out_dtype = {VQP_I32},
                              .out_shape = {*grid}};
    return api->host_call(p, &g, NULL);
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    struct scheduler *m = self;
    const struct vqp_program_api *api = m->host->program;
    struct vqp_shape grid = api->describe(p, s->tokens)->shape, n = vqp_shape1(grid.dim[1]), one = vqp_shape1(1);
    int64_t C = api->describe(p, s->logp)->shape.dim[2];
    static float places[1 << 12];
    for (int64_t i = 0; i < n.dim[0] && i < 1 << 12; i++)
        places[i] = (float)((i * 7) % n.dim[0]) / (float)n.dim[0];
    vqp_val place = api->constant(p, "place", VQP_F32, &n, places);
    if (m->way != OPS)
        return record_by_calls(m, p, s, place, &grid, C);
    vqp_val settled = vqp_compare(api, p, VQP_CMP_LT, place, api->view(p, vqp_slice(api, p, s->par, 0, 3, 1), &one));
    vqp_val best = api->view(p, vqp_along(api, p, VQP_OP_ARG_MAX, s->logp, 2), &grid);
    return vqp_where(api, p, settled, best, s->tokens);
}

/* Every second place is forgotten. */
static vqp_status forget(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    const int32_t *tokens = in[0].data, *mask = in[1].data;
    (void)self, (void)err;
    for (uint64_t i = 0; i < in[0].bytes / sizeof *tokens; i++)
        ((int32_t *)out[0])[i] = i % 2 ? mask[0] : tokens[i];
    return VQP_OK;
}

static vqp_val record_start(void *self, vqp_program *p, const struct vqp_step *s)
{
    struct scheduler *m = self;
    const struct vqp_program_api *api = m->host->program;
    struct vqp_shape grid = api->describe(p, s->tokens)->shape, one = vqp_shape1(1);
    const int32_t mask = 20;
    struct vqp_host_call c = {.struct_size = sizeof c,
                              .n_in = 2,
                              .n_out = 1,
                              .name = "forget",
                              .fn = forget,
                              .self = m,
                              .in = {s->tokens, api->constant(p, "mask", VQP_I32, &one, &mask)},
                              .out_dtype = {VQP_I32},
                              .out_shape = {grid}};
    return api->host_call(p, &c, NULL);
}

static const struct vqp_scheduler_vtbl vtbl = {
    .struct_size = sizeof vtbl, .plan = plan, .record_step = record_step, .record_start = record_start};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "host-calls",
                                               .summary = "does one thing in many ways",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.tests.host-calls", .version = "1.0.0", .license = "MIT", .components = components);
