/* What pipelines share: plugins, mapped model files, threads, the log; and the host table of each. */
#ifndef VQP_CONTEXT_H
#define VQP_CONTEXT_H
#include "arena.h"
#include "registry.h"
#include "threads.h"
#include "weights.h"
#include <pthread.h>
#include <stdatomic.h>
#include <vqpipe/host.h>
#include <vqpipe/vqpipe.h>

struct vqpipe_context {
    int32_t log_level;
    void (*log)(void *ctx, int32_t level, const char *msg);
    void *log_ctx;
    uint32_t probe;
    struct vqp_arena arena;
    const char **dirs;
    uint32_t n_dirs;
    pthread_mutex_t lock; /* guards what is made on first use */
    struct vqp_registry *registry;
    struct vqp_weight_cache *weights;
    struct vqp_pool *pool;
};

/* The registry, scanned on first use. */
vqp_status vqp_context_registry(struct vqpipe_context *ctx, struct vqp_registry **out, struct vqp_error *err);
__attribute__((format(printf, 3, 4))) void vqp_context_log(const struct vqpipe_context *ctx, int32_t level,
                                                           const char *fmt, ...);

/* The host table of one pipeline, and what stands behind it. */
struct vqp_pipe_host {
    struct vqp_host base;
    struct vqpipe_context *ctx;
    atomic_int cancelled;
};
void vqp_pipe_host_init(struct vqp_pipe_host *h, struct vqpipe_context *ctx);

double vqp_now(void); /* seconds, monotonic */

#endif
