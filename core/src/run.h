/* One run of a pipeline, and the door for those who want to do its phases in their own way. */
#ifndef VQP_RUN_H
#define VQP_RUN_H
#include "pipeline.h"

struct vqp_run_hook {
    void *ctx;
    /* Takes the place of vqp_session_run: one run of VQP_PREPARE or VQP_FINISH (eval 0, times 1), or evaluations
     * eval .. eval + times - 1 of VQP_STEP. */
    vqp_status (*phase)(void *ctx, struct vqp_session *s, uint32_t phase, uint32_t eval, uint32_t times,
                        struct vqp_error *err);
    double group_seconds; /* how long a group of steps should take; 0: as usual */
};
/* vqpipe_run; hook may be NULL. */
vqp_status vqp_run(struct vqpipe *pipe, const struct vqpipe_run_params *params, const struct vqp_run_hook *hook,
                   vqpipe_result **out, struct vqp_error *err);

#endif
