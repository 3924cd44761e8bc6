/* A folder with a model in it, or one file that is a whole model, as people have them: what it is, and the descriptor that runs it. Every layout that is known is known
 * here alone. */
#ifndef VQP_MODEL_FOLDER_H
#define VQP_MODEL_FOLDER_H
#include "arena.h"
#include <vqpipe/base.h>

enum {
    VQP_MODEL_MAX_PARTS = 8
};
/* A sub-folder that is there. */
struct vqp_model_part {
    const char *name; /* "transformer" */
    const char *path; /* absolute; may lead into a file (inside.h) */
    const char
        *weights; /* what its weights are called in the diffusers layout: "model.safetensors"; NULL: it has none */
};
struct vqp_model_folder {
    struct vqp_arena arena;
    const char *dir;    /* absolute */
    int is_checkpoint;  /* `dir` is a file */
    const char *family; /* "VQ-Diffusion in the diffusers layout" */
    struct vqp_model_part part[VQP_MODEL_MAX_PARTS];
    uint32_t n_parts;
    const char *descriptor; /* YAML, commented */
};
/* Configs are read, weights only looked for. VQP_E_ARG where `dir` is no model that vqpipe knows, VQP_E_IO and VQP_E_FORMAT where
 * it is one with something missing or wrong; on failure there is nothing to free. */
vqp_status vqp_model_folder_read(const char *dir, struct vqp_model_folder *out, struct vqp_error *err);
/* 1 for a file that begins like a checkpoint and not like a descriptor. */
int vqp_model_is_file(const char *path);
void vqp_model_folder_free(struct vqp_model_folder *m);

#endif
