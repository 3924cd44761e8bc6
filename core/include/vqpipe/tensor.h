/* Help for components that read tensors: names put together, and shapes checked against the model's config. */
#ifndef VQPIPE_TENSOR_H
#define VQPIPE_TENSOR_H
#include "program.h"
#ifdef __cplusplus
extern "C" {
#endif

/* A tensor's name or a scope, by value: vqp_name("blocks.%u.%s", i, "weight").s lives until the end of the statement. */
struct vqp_label {
    char s[160];
};
__attribute__((format(printf, 1, 2))) static inline struct vqp_label vqp_name(const char *fmt, ...)
{
    struct vqp_label out;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out.s, sizeof out.s, fmt, ap);
    va_end(ap);
    return out;
}

/* "[16,192]" */
static inline struct vqp_label vqp_shape_name(const struct vqp_shape *s)
{
    struct vqp_label out = {"["};
    size_t n = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        n += (size_t)snprintf(out.s + n, sizeof out.s - n, i ? ",%lld" : "%lld", (long long)s->dim[i]);
    snprintf(out.s + n, sizeof out.s - n, "]");
    return out;
}

/* [pipeline-thread] api->weight(p, name), refused with VQP_E_FORMAT where its shape is not what config.json says: many a
 * wrong shape would fit its op. */
static inline vqp_val vqp_tensor_shaped(const struct vqp_program_api *api, vqp_program *p, const char *name,
                                        struct vqp_shape want)
{
    vqp_val v = api->weight(p, name);
    const struct vqp_shape *have = &api->describe(p, v)->shape;
    int same = have->rank == want.rank;
    for (uint32_t i = 0; same && i < want.rank; i++)
        same = have->dim[i] == want.dim[i];
    if (!v || same)
        return v;
    struct vqp_error err;
    vqp_fail(&err, VQP_E_FORMAT, "tensor %s is %s, but by config.json it must be %s; weights and config do not match",
             name, vqp_shape_name(have).s, vqp_shape_name(&want).s);
    api->fail(p, err.code, err.msg);
    return 0;
}

#ifdef __cplusplus
}
#endif
#endif
