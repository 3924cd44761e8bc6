/* Every device of every backend that the registry holds. */
#include "context.h"
#include <stdlib.h>

enum {
    MOST = 64 /* devices of one backend that are shown */
};

struct visit {
    void (*each)(void *user, const struct vqpipe_device *device);
    void *user;
};

/* A plugin filled these in: their end is not to be trusted. */
static const char *text(char *s, size_t n)
{
    s[n - 1] = 0;
    return *s ? s : NULL;
}

static void tell_none(const struct visit *v, const char *backend, const char *reason)
{
    v->each(v->user,
            &(struct vqpipe_device){.struct_size = sizeof(struct vqpipe_device), .backend = backend, .reason = reason});
}

static void tell(const struct visit *v, const char *backend, struct vqp_device_info *d)
{
    const char *reason = text(d->reason, sizeof d->reason);
    v->each(v->user, &(struct vqpipe_device){.struct_size = sizeof(struct vqpipe_device),
                                             .index = d->index,
                                             .usable = d->usable != 0,
                                             .is_host = d->is_host != 0,
                                             .backend = backend,
                                             .name = text(d->name, sizeof d->name),
                                             .driver = text(d->driver, sizeof d->driver),
                                             .uuid = text(d->uuid, sizeof d->uuid),
                                             .reason = d->usable ? NULL
                                                       : reason  ? reason
                                                                 : "it does not say why",
                                             .memory_bytes = d->memory_bytes,
                                             .max_buffer_bytes = d->max_buffer_bytes});
}

static void list(const struct visit *v, const struct vqp_host *host, const struct vqp_component *c)
{
    struct vqp_error err = {0};
    struct vqp_device_info *d = NULL;
    uint32_t n = 0;
    if (!VQP_HAS(c->v.backend, devices)) {
        tell_none(v, c->name, "this backend does not list its devices");
        return;
    }
    vqp_status st = c->v.backend->devices(host, NULL, 0, &n, &err);
    n = n < MOST ? n : MOST;
    if (!st && n) {
        if (!(d = calloc(n, sizeof *d))) {
            tell_none(v, c->name, "out of memory");
            return;
        }
        for (uint32_t i = 0; i < n; i++)
            d[i].struct_size = sizeof *d;
        uint32_t have = n;
        st = c->v.backend->devices(host, d, n, &have, &err);
        for (uint32_t i = 0; !st && i < n && i < have; i++)
            tell(v, c->name, &d[i]);
        free(d);
    }
    if (st || !n)
        tell_none(v, c->name, st ? *err.msg ? err.msg : "it failed and does not say why" : "no device");
}

void vqpipe_each_device(vqpipe_context *ctx, void (*each)(void *user, const struct vqpipe_device *device), void *user)
{
    struct visit v = {each, user};
    struct vqp_registry *r;
    struct vqp_pipe_host host;
    if (vqp_context_registry(ctx, &r, NULL))
        return;
    vqp_pipe_host_init(&host, ctx);
    for (uint32_t i = 0; i < vqp_registry_count(r); i++) {
        const struct vqp_plugin_entry *e = vqp_registry_at(r, i);
        if (e->status || e->shadowed)
            continue;
        for (const struct vqp_component *const *c = e->plugin->components; *c; c++)
            if ((*c)->iface == VQP_IFACE_BACKEND)
                list(&v, &host.base, *c);
    }
}
