/* Paths that lead into a checkpoint: with the file m.pth of microsoft/VQ-Diffusion, m.pth/transformer is used like a folder. */
#ifndef VQP_INSIDE_H
#define VQP_INSIDE_H
#include "original.h"

/* Where a component's path leads. Of FILE/NAME, where FILE is a regular file: into the file for the five names of original.h, else to the
 * folder NAME beside it, as a checkpoint holds no tokenizer. Other paths stay as they are. NULL when out of memory. */
const char *vqp_inside_path(struct vqp_arena *a, const char *path);

/* vqp_weights_open() of a path that may lead into a checkpoint. */
vqp_status vqp_inside_weights(struct vqp_weight_cache *c, const char *dir, const char *variant,
                              struct vqp_weights **out, struct vqp_error *err);

/* One part of a checkpoint, and the file that holds it. */
struct vqp_inside {
    struct vqp_arena arena;
    struct vqp_weights *file; /* to be closed by who opened it */
    struct vqp_original list;
    const char *shown; /* for messages */
};
/* 0 where `path` leads into no checkpoint: then nothing is open. 1: *status tells how opening went; on failure nothing is open.
 * A VQ-VAE that the file lacks is looked for in files of the original's names beside it, and a map of codes likewise; what else it lacks
 * in the folder of that name beside it: *folder, in the arena, and no file. A file that is a VQ-VAE alone is its own part. */
int vqp_inside_open(struct vqp_weight_cache *c, const char *path, struct vqp_inside *out, const char **folder,
                    vqp_status *status, struct vqp_error *err);
/* The config that the part's folder would have: 0 where `path` leads into no checkpoint, or to *folder (in `a`), or to learned null states
 * that are nowhere, as a model need not have them. */
int vqp_inside_config(const char *path, struct vqp_arena *a, const char **folder, json_t **config, vqp_status *status,
                      struct vqp_error *err);

#endif
