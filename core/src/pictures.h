/* From ids to pictures: what the finish program leaves behind, at the end of a batch and in the middle of one. */
#ifndef VQP_PICTURES_H
#define VQP_PICTURES_H
#include "result.h"
#include "session.h"

/* Copies a batch's pictures into the result, from image `first` on. */
vqp_status vqp_pictures_take(struct vqpipe_result *r, struct vqp_session *s, uint32_t first, struct vqp_error *err);

struct vqp_moment { /* where in a run a preview is made */
    uint32_t first_image, eval;
    double start, eval_seconds; /* of the run, on the clock of vqp_now; what the last evaluation took */
};
/* Nonzero if params ask for a preview after evaluation `eval`. */
int vqp_preview_due(const struct vqpipe_run_params *params, const struct vqp_assembly *a, uint32_t eval);
/* The picture so far, through the finish program, to params->preview; the ids stay as they are. */
vqp_status vqp_preview_make(const struct vqpipe_run_params *params, struct vqpipe_result *r, struct vqp_session *s,
                            const struct vqp_moment *m, struct vqp_error *err);
/* The finished pictures of a batch to params->preview. */
vqp_status vqp_preview_finish(const struct vqpipe_run_params *params, struct vqpipe_result *r, struct vqp_session *s,
                              const struct vqp_moment *m, struct vqp_error *err);

#endif
