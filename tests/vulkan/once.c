#include "once.h"
#include "builder.h"
#include <string.h>

enum {
    N = 300,
    ROWS = 3, /* of sum, as a matrix */
    OUTS = 5
};
extern const struct vqp_plugin vqp_plugin_v1;

uint32_t once_warnings;
char once_warning[600];

static void host_log(const struct vqp_host *h, int32_t level, const char *msg)
{
    (void)h;
    if (level <= VQP_LOG_WARN) {
        once_warnings++;
        snprintf(once_warning, sizeof once_warning, "%s", msg);
    }
}

static int32_t host_cancelled(const struct vqp_host *h)
{
    (void)h;
    return 0;
}

static void host_for(const struct vqp_host *h, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx)
{
    (void)h;
    for (uint32_t i = 0; i < n; i++)
        fn(ctx, i);
}

static const void *host_extension(const struct vqp_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

const struct vqp_host once_host = {.struct_size = sizeof once_host,
                                   .abi_minor = VQP_ABI_MINOR,
                                   .version = "test",
                                   .log = host_log,
                                   .cancelled = host_cancelled,
                                   .parallel_for = host_for,
                                   .program = &vqp_program_api_table,
                                   .extension = host_extension};

static float weight[N], matrix[OUTS * N / ROWS];

static vqp_status env_weight(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                             struct vqp_error *err)
{
    (void)ctx, (void)owner, (void)err;
    *out = *name == 'w' ? (struct vqp_tensor_view){VQP_F32, 0, vqp_shape1(N), weight, sizeof weight}
                        : (struct vqp_tensor_view){VQP_F32, 0, vqp_shape2(OUTS, N / ROWS), matrix, sizeof matrix};
    return VQP_OK;
}

static vqp_program *record(struct vqp_error *err)
{
    static const struct vqp_builder_env env = {.weight = env_weight};
    const struct vqp_program_api *api = &vqp_program_api_table;
    struct vqp_shape s = vqp_shape1(N), rows = vqp_shape2(ROWS, N / ROWS);
    float constant[N];
    vqp_program *p = vqp_program_create("test", &env);
    if (!p)
        return NULL;
    for (int i = 0; i < N; i++)
        constant[i] = (float)(i % 5);
    vqp_val x = api->input(p, "x", VQP_F32, &s), w = api->weight(p, "w"),
            c = api->constant(p, "c", VQP_F32, &s, constant);
    vqp_val a = vqp_binary(api, p, VQP_OP_ADD, x, w), b = vqp_binary(api, p, VQP_OP_ADD, x, c);
    vqp_val sum = api->view(p, vqp_binary(api, p, VQP_OP_ADD, a, b), &rows);
    api->output(p, "product", vqp_linear(api, p, sum, api->weight(p, "matrix"), 0, VQP_ACT_NONE));
    if (vqp_program_seal(p, err)) {
        vqp_program_destroy(p);
        return NULL;
    }
    return p;
}

static vqp_status run(const struct vqp_backend_vtbl *v, void *self, const struct vqp_program_view *p, float *out,
                      struct vqp_error *err)
{
    struct vqp_binding bind[4];
    uint32_t n = 0;
    vqp_exec *exec = NULL;
    float x[N];
    vqp_status st = VQP_OK;
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    for (vqp_val k = 1; k < p->n_vals && !st; k++)
        if (p->vals[k].root == k && (p->vals[k].role == VQP_VAL_INPUT || p->vals[k].role == VQP_VAL_OUTPUT)) {
            bind[n] = (struct vqp_binding){.val = k};
            if (!(st = v->buffer_create(self, p->vals[k].bytes, &bind[n].buffer, err)))
                n++;
        }
    if (!st)
        st = v->compile(self, p, bind, n, &exec, err);
    for (uint32_t i = 0; i < n && !st; i++)
        if (p->vals[bind[i].val].role == VQP_VAL_INPUT)
            st = v->upload(self, bind[i].buffer, 0, x, sizeof x, err);
    if (!st)
        st = v->run(self, exec, 3, err);
    for (uint32_t i = 0; i < n && !st; i++)
        if (p->vals[bind[i].val].role == VQP_VAL_OUTPUT)
            st = v->download(self, bind[i].buffer, 0, out, p->vals[bind[i].val].bytes, err);
    v->exec_destroy(self, exec);
    for (uint32_t i = 0; i < n; i++)
        v->buffer_destroy(self, bind[i].buffer);
    return st;
}

/* sum as a matrix of three rows, times the matrix. */
static double expected(int row, int out)
{
    double v = 0;
    for (int k = 0, i = row * (N / ROWS); k < N / ROWS; k++, i++)
        v += (double)(2 * i + i % 7 + i % 5) * ((k + out) % 3 - 1);
    return v;
}

vqp_status once(const char *device, const char *precision, int32_t pipeline_cache, int *right, struct vqp_error *err)
{
    const struct vqp_component *c = vqp_plugin_v1.components[0];
    struct {
        int32_t pipeline_cache, timestamps;
    } opts = {pipeline_cache, 1};
    struct vqp_create_args args = {.struct_size = sizeof args,
                                   .host = &once_host,
                                   .instance = "backend",
                                   .precision = precision,
                                   .device = device,
                                   .opts = &opts};
    void *self = NULL;
    float out[ROWS * OUTS] = {0};
    *right = 1;
    once_warnings = 0;
    for (int i = 0; i < OUTS * N / ROWS; i++)
        matrix[i] = (float)((i % (N / ROWS) + i / (N / ROWS)) % 3 - 1);
    for (int i = 0; i < N; i++)
        weight[i] = (float)(i % 7);
    vqp_program *p = record(err);
    vqp_status st = p ? c->create(&args, &self, err) : VQP_E_NOMEM;
    if (!st)
        st = run(c->v.backend, self, vqp_program_view(p), out, err);
    for (int i = 0; i < ROWS * OUTS && !st; i++)
        *right = *right && (double)out[i] == expected(i / OUTS, i % OUTS);
    c->destroy(self);
    vqp_program_destroy(p);
    return st;
}
