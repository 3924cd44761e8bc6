/* Services that the host hands to every plugin instance. */
#ifndef VQPIPE_HOST_H
#define VQPIPE_HOST_H
#include "program.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Thread roles. [pipeline-thread]: the one thread that runs a pipeline; calls into one instance never overlap.
 * [any-thread]: may be called from anywhere, at any time while the host lives. */

enum {
    VQP_LOG_ERROR = 0,
    VQP_LOG_WARN,
    VQP_LOG_INFO,
    VQP_LOG_DEBUG,
    VQP_LOG_MISUSE /* a breach of contract by a plugin; shown like an error, names the culprit */
};

struct vqp_host {
    uint32_t struct_size, abi_minor;
    const char *version;
    /* [any-thread] One line without a newline. */
    void (*log)(const struct vqp_host *h, int32_t level, const char *msg);
    /* [any-thread] Nonzero once the run shall stop; poll it in anything longer than some 50 ms. */
    int32_t (*cancelled)(const struct vqp_host *h);
    /* [pipeline-thread] Calls fn(ctx, i) for i in 0..n-1 on the host's threads, in any order, and returns when all are
     * done. Not to be nested. Which thread takes which i must not change any result. */
    void (*parallel_for)(const struct vqp_host *h, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx);
    const struct vqp_program_api *program;
    /* [any-thread] The uniform number that the kernels draw: vqp_uniform of philox.h, for samplers on the host. */
    float (*uniform)(const struct vqp_host *h, uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position,
                     uint32_t cls);
    /* [any-thread] "vendor.name/1" -> table or NULL. Every extension is optional. */
    const void *(*extension)(const struct vqp_host *h, const char *id);
};

/* host->extension(host, VQP_EXT_WEIGHTS) */
#define VQP_EXT_WEIGHTS "vqpipe.weights/1"
struct vqp_ext_weights {
    uint32_t struct_size, reserved;
    /* [any-thread] A backend holds a copy of the WEIGHT at `data`: what its file takes of the memory may go. The address stays valid;
     * reading it again reads the file again. */
    void (*copied)(const struct vqp_host *h, const void *data);
};

#ifdef __cplusplus
}
#endif
#endif
