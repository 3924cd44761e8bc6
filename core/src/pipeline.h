/* What stands behind `vqpipe`: one opened descriptor, what was loaded for it, what was recorded for it. */
#ifndef VQP_PIPELINE_H
#define VQP_PIPELINE_H
#include "session.h"

struct vqpipe {
    struct vqpipe_context *ctx;
    struct vqp_pipe_host host;
    struct vqp_source src;
    int32_t *latents;
    uint64_t n_latents;
    struct vqp_assembly *assembly; /* NULL: not loaded */
    enum {
        VQP_CLEAN,
        VQP_STALE_SETTINGS,
        VQP_STALE_PARTS
    } stale;
    struct vqp_session *sessions;
    struct vqp_settings shown; /* for vqpipe_get */
    double load_seconds;
};
/* The session of that key, recorded if need be. */
vqp_status vqp_pipe_session(struct vqpipe *pipe, const struct vqp_session_key *key, struct vqp_session **out,
                            struct vqp_error *err);
/* The key of this pipeline's ordinary run with that batch. */
struct vqp_session_key vqp_pipe_key(const struct vqpipe *pipe, uint32_t batch, uint32_t dump);
uint32_t vqp_pipe_batch(const struct vqpipe *pipe, uint32_t dump); /* images computed together */

#endif
