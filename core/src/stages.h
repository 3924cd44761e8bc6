/* Every stage of a run as .npy: written (dump) and read back (feed). */
#ifndef VQP_STAGES_H
#define VQP_STAGES_H
#include "session.h"

struct vqp_stages { /* zero-initialised: neither dump nor feed */
    const char *dump_dir, *feed_dir;
    struct vqp_session *session;
};
/* Makes the folder. */
vqp_status vqp_stages_open(struct vqp_stages *st, struct vqp_error *err);
vqp_status vqp_stages_text(struct vqp_stages *st, const int32_t *prompt_ids, uint32_t n_prompts, struct vqp_error *err);
/* After evaluation `eval`: dumps logp and tokens; with feed, replaces `tokens` [B,N] and uploads them. */
vqp_status vqp_stages_step(struct vqp_stages *st, uint32_t eval, int32_t *tokens, struct vqp_error *err);
vqp_status vqp_stages_image(struct vqp_stages *st, const float *image, struct vqp_error *err);

#endif
