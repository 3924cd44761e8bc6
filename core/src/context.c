#include "context.h"
#include "builder.h"
#include "installed.h"
#include "outfile.h"
#include "probe.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vqpipe/philox.h>

const char *vqpipe_version(void)
{
    return VQPIPE_VERSION;
}

int vqpipe_exit_code(vqp_status status)
{
    switch (status) {
    case VQP_OK: return 0;
    case VQP_E_ARG: return 2;
    case VQP_E_IO:
    case VQP_E_FORMAT: return 3;
    case VQP_E_SHAPE:
    case VQP_E_PLUGIN: return 4;
    case VQP_E_UNSUPPORTED:
    case VQP_E_DEVICE:
    case VQP_E_NUMERIC: return 5;
    case VQP_E_OUTPUT: return 6;
    case VQP_E_NOMEM: return 7;
    case VQP_E_CANCELLED: return 130;
    default: return 1;
    }
}

void vqpipe_emergency_cleanup(void)
{
    vqp_outfile_unlink_all();
}

double vqp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the host table --------------------------------------------------------------------------------------------- */

static const struct vqp_pipe_host *self(const struct vqp_host *h)
{
    return (const struct vqp_pipe_host *)h;
}

static void host_log(const struct vqp_host *h, int32_t level, const char *msg)
{
    vqp_context_log(self(h)->ctx, level, "%s", msg);
}

static int32_t host_cancelled(const struct vqp_host *h)
{
    return atomic_load_explicit(&self(h)->cancelled, memory_order_relaxed);
}

static void host_parallel_for(const struct vqp_host *h, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx)
{
    vqp_pool_for(self(h)->ctx->pool, n, fn, ctx);
}

static float host_uniform(const struct vqp_host *h, uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position,
                          uint32_t cls)
{
    (void)h;
    return vqp_uniform(seed, eval, stream, position, cls);
}

static void weight_copied(const struct vqp_host *h, const void *data)
{
    vqp_weight_cache_drop(self(h)->ctx->weights, data);
}

static const void *host_extension(const struct vqp_host *h, const char *id)
{
    static const struct vqp_ext_weights weights = {.struct_size = sizeof weights, .copied = weight_copied};
    (void)h;
    return strcmp(id, VQP_EXT_WEIGHTS) ? NULL : &weights;
}

void vqp_pipe_host_init(struct vqp_pipe_host *h, struct vqpipe_context *ctx)
{
    h->base = (struct vqp_host){
        .struct_size = sizeof h->base,
        .abi_minor = VQP_ABI_MINOR,
        .version = VQPIPE_VERSION,
        .log = host_log,
        .cancelled = host_cancelled,
        .parallel_for = host_parallel_for,
        .program = &vqp_program_api_table,
        .uniform = host_uniform,
        .extension = host_extension,
    };
    h->ctx = ctx;
    atomic_init(&h->cancelled, 0);
}

/* ---- context ---------------------------------------------------------------------------------------------------- */

static void log_to_stderr(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "vqpipe: %s\n", msg);
}

void vqp_context_log(const struct vqpipe_context *ctx, int32_t level, const char *fmt, ...)
{
    char msg[1024];
    if (level > ctx->log_level && level != VQP_LOG_MISUSE)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    ctx->log(ctx->log_ctx, level, msg);
}

static vqp_status add_dir(struct vqpipe_context *ctx, const char *dir, size_t n, uint32_t room)
{
    if (!n || ctx->n_dirs == room)
        return VQP_OK;
    const char *copy = vqp_arena_memdup(&ctx->arena, dir, n);
    if (!copy)
        return VQP_E_NOMEM;
    ctx->dirs[ctx->n_dirs++] = copy;
    return VQP_OK;
}

/* The folder "vqpipe" beside this library: build tree and installed tree alike (lib/libvqpipe.so, lib/vqpipe/). */
static vqp_status add_own_dir(struct vqpipe_context *ctx, uint32_t room)
{
    char lib[PATH_MAX], path[PATH_MAX + sizeof "/vqpipe"];
    if (!vqp_library_folder(lib, sizeof lib))
        return VQP_OK;
    int n = snprintf(path, sizeof path, "%s/vqpipe", lib);
    return add_dir(ctx, path, (size_t)n, room);
}

static vqp_status find_dirs(struct vqpipe_context *ctx, const struct vqpipe_context_params *p)
{
    const char *env = secure_getenv("VQPIPE_PLUGIN_PATH");
    uint32_t room = p->n_plugin_dirs + 2;
    for (const char *s = env; s && *s; s++)
        room += *s == ':';
    ctx->dirs = vqp_arena_alloc(&ctx->arena, room, sizeof *ctx->dirs);
    if (!ctx->dirs)
        return VQP_E_NOMEM;
    vqp_status st = VQP_OK;
    for (uint32_t i = 0; !st && i < p->n_plugin_dirs; i++)
        st = add_dir(ctx, p->plugin_dirs[i], strlen(p->plugin_dirs[i]), room);
    while (!st && env && *env) {
        size_t n = strcspn(env, ":");
        st = add_dir(ctx, env, n, room);
        env += n + (env[n] == ':');
    }
    return st ? st : add_own_dir(ctx, room);
}

vqp_status vqpipe_context_create(const struct vqpipe_context_params *params, vqpipe_context **out,
                                 struct vqp_error *err)
{
    struct vqpipe_context_params p = {.log_level = VQP_LOG_WARN};
    if (params)
        memcpy(&p, params, params->struct_size < sizeof p ? params->struct_size : sizeof p);
    struct vqpipe_context *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return vqp_fail(err, VQP_E_NOMEM, "context: out of memory");
    pthread_mutex_init(&ctx->lock, NULL);
    ctx->log_level = p.log_level;
    ctx->log = p.log ? p.log : log_to_stderr;
    ctx->log_ctx = p.log_ctx;
    ctx->probe = p.probe;
    vqp_status st = find_dirs(ctx, &p);
    if (!st && !(ctx->pool = vqp_pool_create(p.threads)))
        st = VQP_E_NOMEM;
    if (st)
        vqp_fail(err, st, "context: out of memory");
    else
        st = vqp_weight_cache_create(&ctx->weights, err);
    if (st) {
        vqpipe_context_destroy(ctx);
        return st;
    }
    *out = ctx;
    return VQP_OK;
}

void vqpipe_context_destroy(vqpipe_context *ctx)
{
    if (!ctx)
        return;
    vqp_registry_destroy(ctx->registry);
    vqp_weight_cache_destroy(ctx->weights);
    vqp_pool_destroy(ctx->pool);
    vqp_arena_free(&ctx->arena);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx);
}

vqp_status vqp_context_registry(struct vqpipe_context *ctx, struct vqp_registry **out, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    pthread_mutex_lock(&ctx->lock);
    if (!ctx->registry) {
        st = vqp_registry_create(ctx->dirs, ctx->n_dirs, ctx->probe ? VQP_PROBE_MS : 0, &ctx->registry, err);
        for (uint32_t i = 0; !st && i < vqp_registry_count(ctx->registry); i++) {
            const struct vqp_plugin_entry *e = vqp_registry_at(ctx->registry, i);
            if (e->status)
                vqp_context_log(ctx, VQP_LOG_INFO, "plugin %s refused: %s", e->path, e->reason ? e->reason : "");
            else if (e->reason)
                vqp_context_log(ctx, e->shadowed ? VQP_LOG_INFO : VQP_LOG_WARN, "plugin %s: %s", e->path, e->reason);
        }
    }
    *out = ctx->registry;
    pthread_mutex_unlock(&ctx->lock);
    return st;
}

/* ---- looking inside --------------------------------------------------------------------------------------------- */

void vqpipe_each_plugin(vqpipe_context *ctx, void (*each)(void *user, const struct vqpipe_plugin_info *info),
                        void *user)
{
    struct vqp_registry *r;
    if (vqp_context_registry(ctx, &r, NULL))
        return;
    for (uint32_t i = 0; i < vqp_registry_count(r); i++) {
        const struct vqp_plugin_entry *e = vqp_registry_at(r, i);
        each(user, &(struct vqpipe_plugin_info){.struct_size = sizeof(struct vqpipe_plugin_info),
                                                .status = e->status,
                                                .path = e->path,
                                                .reason = e->reason,
                                                .plugin = e->plugin,
                                                .shadowed = e->shadowed,
                                                .doubled = e->doubled});
    }
}

const char *vqpipe_plugin_dir(vqpipe_context *ctx, uint32_t i)
{
    return i < ctx->n_dirs ? ctx->dirs[i] : NULL;
}

const struct vqp_component *vqpipe_find_component(vqpipe_context *ctx, const char *name)
{
    struct vqp_registry *r;
    const struct vqp_component *c = NULL;
    if (vqp_context_registry(ctx, &r, NULL) || vqp_registry_find(r, 0, name, &c, NULL, NULL))
        return NULL;
    return c;
}
