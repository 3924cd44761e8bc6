/* A compute backend: it owns memory on one device and runs sealed programs there. Nine functions are mandatory. */
#ifndef VQPIPE_BACKEND_H
#define VQPIPE_BACKEND_H
#include "program.h"
struct vqp_host;
#ifdef __cplusplus
extern "C" {
#endif
typedef struct vqp_buffer vqp_buffer; /* both opaque, both owned by the backend instance */
typedef struct vqp_exec vqp_exec;

struct vqp_device_info {
    uint32_t struct_size, index, is_host, usable;                    /* is_host: its memory is the host's own (a CPU) */
    char name[128], driver[128], uuid[40], reason[256];              /* reason: why it is not usable */
    uint64_t memory_bytes, max_buffer_bytes, alignment, reserved[4]; /* 0: unknown, unlimited, 1 */
};

/* Every INPUT, STATE and OUTPUT root value of a program has one binding, fixed at compile. */
struct vqp_binding {
    vqp_val val;
    uint32_t reserved;
    vqp_buffer *buffer; /* holds at least vals[val].bytes */
};

struct vqp_backend_vtbl { /* [pipeline-thread] all of it, but for devices and forget */
    uint32_t struct_size, reserved;
    void (*info)(void *self, struct vqp_device_info *out);
    /* 1 if op `i` can run here as described (kind, flags, dtypes, sizes). Asked for every op before compile. */
    int32_t (*supports)(void *self, const struct vqp_program_view *p, uint32_t i);
    /* Zero-filled; `bytes` may be 0. */
    vqp_status (*buffer_create)(void *self, uint64_t bytes, vqp_buffer **out, struct vqp_error *err);
    void (*buffer_destroy)(void *self, vqp_buffer *b); /* accepts NULL */
    vqp_status (*upload)(void *self, vqp_buffer *b, uint64_t off, const void *src, uint64_t n, struct vqp_error *err);
    vqp_status (*download)(void *self, vqp_buffer *b, uint64_t off, void *dst, uint64_t n, struct vqp_error *err);
    /* The expensive call: pack weights, build pipelines, record. `p` and CONSTANT data are valid only during it, WEIGHT data
     * until the exec is destroyed. */
    vqp_status (*compile)(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                          vqp_exec **out, struct vqp_error *err);
    /* Runs `x` `times` times in order and waits. Allocates nothing. VQP_E_CANCELLED as soon as host->cancelled says so; the
     * bound buffers then hold nothing anyone may read. */
    vqp_status (*run)(void *self, vqp_exec *x, uint32_t times, struct vqp_error *err);
    void (*exec_destroy)(void *self, vqp_exec *x); /* accepts NULL */
    /* optional: nanoseconds per op of the last run, summed over its times; *n = ops written, at most cap */
    vqp_status (*profile)(void *self, vqp_exec *x, uint64_t *ns, uint32_t cap, uint32_t *n);
    /* optional, [any-thread]: every device this backend knows, usable or not; no instance needed. cap 0 counts. */
    vqp_status (*devices)(const struct vqp_host *host, struct vqp_device_info *out, uint32_t cap, uint32_t *n,
                          struct vqp_error *err);
    /* optional, [any-thread]: a WEIGHT's data pointer is its identity: a packed copy may serve later compiles until this
     * call, after which the address may mean something else. */
    void (*forget)(void *self, const void *data);
    /* optional: nanoseconds that op i's matrix products (LINEAR, CONV2D, the two products of SDPA) take alone, at the same
     * shapes and precision, at the best rate that this device's matrix library reaches when measured now (a CPU: the library
     * with packed weights, all threads of this instance, warm; a GPU: the FLOPs at the rate of its own best product at a large
     * shape, or operands and results at the rate of a copy, whichever takes longer); 0 for an op without such products. What `vqpipe bench`
     * divides by a step's time. May take some 10 ms; core asks once for each different shape. */
    vqp_status (*ceiling)(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns,
                          struct vqp_error *err);
};

#ifdef __cplusplus
}
#endif
#endif
