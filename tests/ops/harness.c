#include "arena.h"
#include "descriptor.h"
#include "ops.h"
#include "options.h"
#include "registry.h"
#include "threads.h"
#include <stdatomic.h>
#include <vqpipe/philox.h>

enum {
    MAX_TENSORS = 32,
    MAX_OUTPUTS = 16
};

struct ops_target ops_target;

static struct vqp_pool *pool;
static atomic_llong polls_left;

static struct {
    vqp_program *program;
    const struct vqp_program_view *view;
    struct tensor *tensors[MAX_TENSORS]; /* inputs "t0", "t1", ... and weights of the same names */
    uint32_t n_tensors, n_outputs;
    struct vqp_binding *bindings;
    uint32_t n_bindings;
    vqp_exec *exec;
} session;

/* ---- the host ---- */

static void host_log(const struct vqp_host *h, int32_t level, const char *msg)
{
    (void)h;
    if (level <= VQP_LOG_WARN || level == VQP_LOG_MISUSE || (level == VQP_LOG_INFO && getenv("VQP_TEST_VERBOSE")))
        printf("\n    log: %s", msg);
}

static int32_t host_cancelled(const struct vqp_host *h)
{
    (void)h;
    long long left = atomic_load(&polls_left);
    while (left > 0 && !atomic_compare_exchange_weak(&polls_left, &left, left - 1))
        ;
    return left == 0;
}

static void host_for(const struct vqp_host *h, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx)
{
    (void)h;
    vqp_pool_for(pool, n, fn, ctx);
}

static float host_uniform(const struct vqp_host *h, uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position,
                          uint32_t cls)
{
    (void)h;
    return vqp_uniform(seed, eval, stream, position, cls);
}

static const void *host_extension(const struct vqp_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

void ops_threads(uint32_t threads)
{
    vqp_pool_destroy(pool);
    if (!(pool = vqp_pool_create(threads)))
        exit(2);
}

void ops_cancel_after(int64_t polls)
{
    atomic_store(&polls_left, polls);
}

/* ---- the backend ---- */

vqp_status ops_target_create(const char *precision, const char *device, void **self, struct vqp_error *err)
{
    const struct vqp_component *c = ops_target.component;
    void *opts = ops_alloc(1, c->opts_size + 1u);
    static struct vqp_arena strings; /* option strings live as long as the instance */
    static const char *const not_options[] = {"vqpipe", NULL};
    struct vqp_options_args fill = {.owner = c->name, .table = c->opts, .arena = &strings, .core_keys = not_options};
    struct vqp_create_args args = {
        .struct_size = sizeof args,
        .host = &ops_target.host,
        .instance = "backend",
        .precision = precision,
        .device = device,
        .opts = opts,
    };
    char text[256];
    struct vqp_node *map = NULL;
    vqp_status st = VQP_OK;
    if (ops_target.options) {
        int n = snprintf(text, sizeof text, "vqpipe: 1\n%s\n", ops_target.options);
        st = vqp_descriptor_parse(&strings, "--options", text, (size_t)n, &map, err);
        fill.map = map;
    }
    if (st == VQP_OK)
        st = vqp_options_fill(&fill, opts, c->opts_size, err);
    return st == VQP_OK ? c->create(&args, self, err) : st;
}

int ops_target_open(const char *path, const char *precision, const char *device, const char *options)
{
    const struct vqp_plugin *plugin;
    struct vqp_error err = {0};
    char *real = realpath(path, NULL);
    vqp_status st = vqp_loader_open(real ? real : path, &plugin, &err);
    free(real);
    ops_target = (struct ops_target){.precision = precision, .device = device, .options = options};
    ops_target.host = (struct vqp_host){
        .struct_size = sizeof ops_target.host,
        .abi_minor = VQP_ABI_MINOR,
        .version = "test",
        .log = host_log,
        .cancelled = host_cancelled,
        .parallel_for = host_for,
        .program = &vqp_program_api_table,
        .uniform = host_uniform,
        .extension = host_extension,
    };
    ops_cancel_after(-1);
    ops_threads(1);
    if (st == VQP_OK) {
        const struct vqp_component *const *c = plugin->components;
        while (*c && (*c)->iface != VQP_IFACE_BACKEND)
            c++;
        st = *c ? VQP_OK : vqp_fail(&err, VQP_E_PLUGIN, "no backend in it");
        ops_target.component = *c;
    }
    if (st == VQP_OK) {
        ops_target.name = ops_target.component->name;
        ops_target.v = ops_target.component->v.backend;
        st = ops_target_create(precision, device, &ops_target.self, &err);
    }
    if (st)
        fprintf(stderr, "%s: %s\n", path, err.msg);
    return st;
}

void ops_target_close(void)
{
    if (ops_target.component)
        ops_target.component->destroy(ops_target.self);
    vqp_pool_destroy(pool);
    pool = NULL;
    ops_free_all();
}

/* ---- recording ---- */

static vqp_status env_weight(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                             struct vqp_error *err)
{
    (void)ctx;
    (void)owner;
    (void)err;
    const struct tensor *t = session.tensors[atoi(name + 1)];
    if (strstr(name, ".scale"))
        t = t->scale;
    *out = (struct vqp_tensor_view){t->dtype, 0, t->shape, t->data, t->bytes};
    return VQP_OK;
}

vqp_program *ops_program(void)
{
    static const struct vqp_builder_env env = {.weight = env_weight};
    if (!session.program && !(session.program = vqp_program_create("test", &env)))
        exit(2);
    return session.program;
}

vqp_val ops_val(struct tensor *t)
{
    const struct vqp_program_api *api = &vqp_program_api_table;
    char name[16];
    if (!t)
        return 0;
    if (session.n_tensors == MAX_TENSORS)
        exit(2);
    snprintf(name, sizeof name, "t%u", session.n_tensors);
    session.tensors[session.n_tensors++] = t;
    switch (t->role) {
    case VQP_VAL_WEIGHT: return api->weight(ops_program(), name);
    case VQP_VAL_CONSTANT: return api->constant(ops_program(), name, t->dtype, &t->shape, t->data);
    default: return api->input(ops_program(), name, t->dtype, &t->shape);
    }
}

void ops_give(vqp_val v)
{
    char name[16];
    if (session.n_outputs == MAX_OUTPUTS)
        exit(2);
    snprintf(name, sizeof name, "o%u", session.n_outputs++);
    vqp_program_api_table.output(ops_program(), name, v);
}

/* ---- running ---- */

static int failed(const char *what, const struct vqp_error *err)
{
    printf("\n    %s: %s", what, err->msg);
    CU_FAIL("a call failed");
    return 1;
}

static int is_bound(const struct vqp_val_info *val, vqp_val v)
{
    return val->root == v && (val->role == VQP_VAL_INPUT || val->role == VQP_VAL_STATE || val->role == VQP_VAL_OUTPUT);
}

int ops_supported(void)
{
    struct vqp_error err = {0};
    if (vqp_program_seal(ops_program(), &err))
        return !failed("the program", &err);
    const struct vqp_program_view *view = vqp_program_view(session.program);
    return ops_target.v->supports(ops_target.self, view, view->n_ops - 1);
}

static vqp_status build(struct vqp_error *err)
{
    const struct vqp_backend_vtbl *v = ops_target.v;
    vqp_status st = vqp_program_seal(ops_program(), err);
    if (st)
        return st;
    session.view = vqp_program_view(session.program);
    for (uint32_t i = 0; i < session.view->n_ops; i++)
        if (!v->supports(ops_target.self, session.view, i))
            return vqp_fail(err, VQP_E_INTERNAL, "%s: not supported", vqp_op_name(session.view->ops[i].kind));
    session.bindings = ops_alloc(session.view->n_vals, sizeof *session.bindings);
    for (vqp_val k = 1; k < session.view->n_vals; k++) {
        if (!is_bound(&session.view->vals[k], k))
            continue;
        struct vqp_binding *b = &session.bindings[session.n_bindings];
        b->val = k;
        if ((st = v->buffer_create(ops_target.self, session.view->vals[k].bytes, &b->buffer, err)))
            return st;
        session.n_bindings++;
    }
    return v->compile(ops_target.self, session.view, session.bindings, session.n_bindings, &session.exec, err);
}

int ops_build(void)
{
    struct vqp_error err = {0};
    return build(&err) ? failed("build", &err) : 0;
}

const char *ops_refusal(void)
{
    static struct vqp_error err;
    vqp_status st = build(&err);
    if (st && st != VQP_E_UNSUPPORTED)
        failed("build", &err);
    return st ? err.msg : NULL;
}

void ops_load(void)
{
    struct vqp_error err = {0};
    for (uint32_t i = 0; i < session.n_bindings; i++) {
        const struct vqp_val_info *val = &session.view->vals[session.bindings[i].val];
        const void *data = vqp_program_state_init(session.program, session.bindings[i].val);
        if (val->role == VQP_VAL_OUTPUT)
            continue;
        if (val->role == VQP_VAL_INPUT)
            data = session.tensors[atoi(val->name + 1)]->data;
        else if (!data)
            data = ops_alloc(1, val->bytes);
        if (ops_target.v->upload(ops_target.self, session.bindings[i].buffer, 0, data, val->bytes, &err))
            failed("upload", &err);
    }
}

vqp_status ops_execute(uint32_t times)
{
    struct vqp_error err = {0};
    vqp_status st = ops_target.v->run(ops_target.self, session.exec, times, &err);
    if (st && st != VQP_E_CANCELLED)
        printf("\n    run: %s", err.msg);
    return st;
}

static void *read_value(vqp_val v, uint64_t bytes)
{
    struct vqp_error err = {0};
    void *data = ops_alloc(1, bytes);
    for (uint32_t i = 0; i < session.n_bindings; i++)
        if (session.bindings[i].val == v &&
            ops_target.v->download(ops_target.self, session.bindings[i].buffer, 0, data, bytes, &err))
            failed("download", &err);
    return data;
}

static vqp_val find_output(uint32_t output)
{
    char name[16];
    snprintf(name, sizeof name, "o%u", output);
    for (vqp_val v = 1; v < session.view->n_vals; v++)
        if (session.view->vals[v].role == VQP_VAL_OUTPUT && session.view->vals[v].root == v &&
            !strcmp(session.view->vals[v].name, name))
            return v;
    return 0;
}

uint64_t ops_output_bytes(uint32_t output)
{
    return session.view->vals[find_output(output)].bytes;
}

void *ops_read(uint32_t output)
{
    return read_value(find_output(output), ops_output_bytes(output));
}

void *ops_read_state(vqp_val state)
{
    return read_value(state, session.view->vals[state].bytes);
}

vqp_exec *ops_exec(void)
{
    return session.exec;
}

const struct vqp_program_view *ops_view(void)
{
    return session.view;
}

void *ops_result(void)
{
    void *first[MAX_OUTPUTS] = {NULL};
    if (!session.exec && ops_build())
        return NULL;
    for (uint32_t round = 0; round < 3; round++) {
        ops_threads(round < 2 ? 1 : 2);
        ops_load();
        if (ops_execute(1)) {
            CU_FAIL("run failed");
            return NULL;
        }
        for (uint32_t o = 0; o < session.n_outputs; o++) {
            void *now = ops_read(o);
            if (round == 0)
                first[o] = now;
            else
                CU_ASSERT_EQUAL(memcmp(first[o], now, ops_output_bytes(o)), 0);
        }
    }
    return first[0];
}

void ops_reset(void)
{
    ops_target.v->exec_destroy(ops_target.self, session.exec);
    for (uint32_t i = 0; i < session.n_bindings; i++)
        ops_target.v->buffer_destroy(ops_target.self, session.bindings[i].buffer);
    if (ops_target.v->forget) /* the next case's weights may lie at the same addresses */
        for (uint32_t i = 0; i < session.n_tensors; i++)
            ops_target.v->forget(ops_target.self, session.tensors[i]->data);
    vqp_program_destroy(session.program);
    memset(&session, 0, sizeof session);
    ops_free_all();
}
