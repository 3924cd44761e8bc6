/* Status codes, errors, dtypes and shapes: what every other vqpipe header stands on. */
#ifndef VQPIPE_BASE_H
#define VQPIPE_BASE_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif

#define VQP_ABI_MAJOR 1 /* names the exported symbol: vqp_plugin_v1 */
#define VQP_ABI_MINOR 0 /* grows by appending: fields, functions, ops, enum values */
#define VQP_EXPORT    __attribute__((visibility("default")))

/* One table of codes for host and plugins; negative is failure. The number behind each is the exit code of the
 * command line (vqpipe_exit_code in vqpipe.h). */
enum {
    VQP_OK = 0,
    VQP_E_ARG = -1,         /* 2: a key, value, flag or combination that the user gave */
    VQP_E_NOMEM = -2,       /* 7 */
    VQP_E_IO = -3,          /* 3: a model file is missing or cannot be read */
    VQP_E_FORMAT = -4,      /* 3: a model file is malformed, or at odds with its config */
    VQP_E_SHAPE = -5,       /* 4: a component recorded something impossible: a plugin's mistake */
    VQP_E_UNSUPPORTED = -6, /* 5: this backend or device cannot do it */
    VQP_E_DEVICE = -7,      /* 5: no device, or it failed */
    VQP_E_CANCELLED = -8,   /* 130 */
    VQP_E_PLUGIN = -9,      /* 4: plugin or component not found, refused, or in breach of its contract */
    VQP_E_OUTPUT = -10,     /* 6: a result cannot be written */
    VQP_E_NUMERIC = -11,    /* 5: NaN, infinity or an id out of range while running */
    VQP_E_INTERNAL = -12,   /* 1 */
};
typedef int32_t vqp_status;

/* Caller-owned, fixed size: nothing to free across the boundary. One sentence: who, what, where, what to do. */
struct vqp_error {
    vqp_status code;
    char msg[508];
};

/* Fills *err (may be NULL) and returns `code`, so that a refusal is one line: return vqp_fail(err, VQP_E_ARG, "..."). */
__attribute__((format(printf, 3, 4))) static inline vqp_status vqp_fail(struct vqp_error *err, vqp_status code,
                                                                        const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return code;
}
#ifdef __clang_analyzer__ /* it does not look into variadic functions: say what comes back */
#define vqp_fail(err, code, ...) ((void)(vqp_fail)((err), (code), __VA_ARGS__), (code))
#endif

/* Element types. Values that ops compute on are F32, I32 or U8; the rest are storage types of weights. */
enum {
    VQP_F32 = 1,
    VQP_F16 = 2,
    VQP_I32 = 3,
    VQP_U8 = 4,
    VQP_BF16 = 5,
    VQP_Q8_0 = 6, /* int8 weights [O,I] of LINEAR, with one f16 scale for every 32 of a row: ops.h */
};

/* Row-major, outermost dimension first; rank 0 is a scalar of one element. */
#define VQP_MAX_RANK 6
struct vqp_shape {
    uint32_t rank, reserved;
    int64_t dim[VQP_MAX_RANK];
};
struct vqp_tensor_view {
    uint32_t dtype, reserved;
    struct vqp_shape shape;
    const void *data;
    uint64_t bytes;
};

static inline struct vqp_shape vqp_shape1(int64_t a)
{
    struct vqp_shape s = {1, 0, {a, 0, 0, 0, 0, 0}};
    return s;
}
static inline struct vqp_shape vqp_shape2(int64_t a, int64_t b)
{
    struct vqp_shape s = {2, 0, {a, b, 0, 0, 0, 0}};
    return s;
}
static inline struct vqp_shape vqp_shape3(int64_t a, int64_t b, int64_t c)
{
    struct vqp_shape s = {3, 0, {a, b, c, 0, 0, 0}};
    return s;
}
static inline struct vqp_shape vqp_shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    struct vqp_shape s = {4, 0, {a, b, c, d, 0, 0}};
    return s;
}

/* True if `p` was built with field `f` and set it: the one way to test for an optional function. */
#define VQP_HAS(p, f) ((p)->struct_size >= offsetof(__typeof__(*(p)), f) + sizeof((p)->f) && (p)->f)

#ifdef __cplusplus
}
#endif
#endif
