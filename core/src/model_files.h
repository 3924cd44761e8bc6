/* Which files of a model's folder are taken: formats, variants and shards as Hugging Face lays them out. */
#ifndef VQP_MODEL_FILES_H
#define VQP_MODEL_FILES_H
#include "arena.h"
#include <vqpipe/base.h>

struct vqp_model_files {
    struct vqp_arena arena;
    const char *shown; /* the one file, or the index of several */
    const char **path;
    uint32_t n;
    /* Of an index: the n_indexed tensors that it names, and which file holds each. */
    const char **tensor;
    uint32_t *in_file, n_indexed;
};
/* In the folder `dir`, with the stems diffusion_pytorch_model, model and pytorch_model: .safetensors, its index (STEM.safetensors.
 * index.json), .fp16.safetensors, .bin, its index, .fp16.bin, and the indexes of the fp16 files behind those; the first that
 * is there. `variant` ("fp16") leaves STEM.VARIANT.safetensors and .bin and their indexes alone; NULL or "": no variant is asked
 * for. A `dir` that is a regular file is taken itself. Shards that an index names lie beside it. VQP_E_IO or VQP_E_FORMAT; on
 * failure there is nothing to free. */
vqp_status vqp_model_files_choose(const char *dir, const char *variant, struct vqp_model_files *out,
                                  struct vqp_error *err);
void vqp_model_files_free(struct vqp_model_files *f);

#endif
