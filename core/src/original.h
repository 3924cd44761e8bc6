/* Checkpoints of microsoft/VQ-Diffusion and of the VQGANs that it uses, seen as folders in diffusers' layout: CHECKPOINT.pth/transformer
 * is the denoiser in it, with that layout's names and a config that follows from the shapes. */
#ifndef VQP_ORIGINAL_H
#define VQP_ORIGINAL_H
#include "arena.h"
#include "weights.h"
#include <jansson.h>

enum vqp_original_part {
    VQP_ORIGINAL_TRANSFORMER,
    VQP_ORIGINAL_TEXT,
    VQP_ORIGINAL_NULL,
    VQP_ORIGINAL_VQVAE,
    VQP_ORIGINAL_SCHEDULER, /* a config alone */
    VQP_ORIGINAL_N_PARTS
};
/* The folder's name: "transformer", "text_encoder", "learned_classifier_free_sampling_embeddings", "vqvae", "scheduler". */
const char *vqp_original_part_name(enum vqp_original_part part);

/* All tensors of a file, in name order. */
struct vqp_tensor_list {
    const struct vqp_tensor *tensors;
    uint32_t n;
};
const struct vqp_tensor *vqp_tensor_list_find(const struct vqp_tensor_list *l, const char *name);

/* 1 if the file holds that part, told by its names. */
int vqp_original_has(const struct vqp_tensor_list *file, enum vqp_original_part part);

/* How the bytes of a part's tensor come from the file's: `from` as it is, or the `third`-th of three (1..3) stacked in it, or its rows
 * `row`, or float64 made float32. */
struct vqp_original_source {
    const struct vqp_tensor *from;
    uint32_t third, n_rows;
    const int32_t *row;
};
/* A part's tensors under diffusers' names, in name order; data NULL. What the tables do not know keeps its name behind the part's own
 * prefix. Names and all else live in `arena`. */
struct vqp_original {
    struct vqp_tensor *tensors;
    struct vqp_original_source *sources; /* one for each */
    uint32_t n;
};
vqp_status vqp_original_list(const struct vqp_tensor_list *file, enum vqp_original_part part, struct vqp_arena *arena,
                             struct vqp_original *out, struct vqp_error *err);
/* Sets t->data, once t's source is ready; what must be made lies in `arena`. */
vqp_status vqp_original_make(const struct vqp_original *o, struct vqp_tensor *t, struct vqp_arena *arena,
                             struct vqp_error *err);
/* The codebook's row for each of the n_used codes, from the original's map int64 [codes] of which became which: the first that did.
 * VQP_E_FORMAT where that cannot be. */
vqp_status vqp_original_invert(const int64_t *map, uint32_t codes, int32_t *row, uint32_t n_used,
                               struct vqp_error *err);
/* Takes the rows `row` [n_used] of the codebook alone. */
void vqp_original_use_codes(struct vqp_original *o, const int32_t *row, uint32_t n_used);

/* Codes that the transformer in the file predicts, 0 where it holds none; and codes of its codebook. */
uint32_t vqp_original_codes(const struct vqp_tensor_list *file);
uint32_t vqp_original_codebook(const struct vqp_original *vqvae);
/* The config.json that the part's folder would have. `o`: the part's tensors (the transformer's for the scheduler). What the shapes
 * do not tell is as in every released model: 16 heads, heads of 64 in the text tower, 32 groups. NULL when out of memory. */
json_t *vqp_original_config(const struct vqp_original *o, enum vqp_original_part part);

#endif
