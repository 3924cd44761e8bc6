/* What a run leaves behind: pictures, ids, seeds, timings, and how to write them. */
#ifndef VQP_RESULT_H
#define VQP_RESULT_H
#include "assembly.h"

struct vqpipe_result {
    struct vqp_arena arena;
    uint32_t n, width, height, n_tokens;
    uint8_t *rgb;
    float *image;
    int32_t *ids;
    uint64_t *seeds;
    const char **prompts;
    struct vqpipe_timings timings;
    struct vqp_settings settings; /* its list alone: what PNG files record */
    int torch_rng, seeds_differ;
    int place_counts;                /* which image of the run it is decides on its picture */
    uint32_t preview_at, preview_of; /* during a preview: evaluations done, of how many; else 0 */
};
/* Room for n images' ids, seeds and prompts. */
vqp_status vqp_result_create(const struct vqp_assembly *a, uint32_t n, uint32_t n_tokens, struct vqpipe_result **out,
                             struct vqp_error *err);
/* Room for the pictures. */
vqp_status vqp_result_room(struct vqpipe_result *r, uint32_t width, uint32_t height, struct vqp_error *err);

#endif
