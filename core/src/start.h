/* What a run starts from: run.latents, and what run.pin holds fast. */
#ifndef VQP_START_H
#define VQP_START_H
#include "pipeline.h"

/* Fills ids [n_images,N]: the latents, or masks, with the pinned ids written in. *pin becomes [n_images,N] with -1 where a place is
 * free, from malloc; it stays NULL where nothing is pinned. Everything is checked. */
vqp_status vqp_start_read(const struct vqpipe *pipe, uint32_t n_images, int32_t *ids, int32_t **pin,
                          struct vqp_error *err);

#endif
