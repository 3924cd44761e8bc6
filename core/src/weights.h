/* Model files: safetensors folders, mapped read-only, validated whole before anything is used, shared within a context. */
#ifndef VQP_WEIGHTS_H
#define VQP_WEIGHTS_H
#include <vqpipe/base.h>

/* One tensor of a file. */
struct vqp_tensor {
    const char *name;       /* NUL-terminated */
    uint32_t dtype;         /* VQP_*; 0: a valid safetensors dtype that vqpipe has no use for */
    const char *file_dtype; /* as in the file: "F16" */
    struct vqp_shape shape; /* rank > VQP_MAX_RANK is kept as rank 0 and dtype 0 */
    const void *data;
    uint64_t bytes;
};

/* The cache of a context: the same file opened twice is mapped once. Thread-safe. */
struct vqp_weight_cache;
vqp_status vqp_weight_cache_create(struct vqp_weight_cache **out, struct vqp_error *err);
/* Every folder must be closed. */
void vqp_weight_cache_destroy(struct vqp_weight_cache *c);

/* One component folder's tensors. Looks for, in this order, diffusion_pytorch_model.safetensors, model.safetensors. The error names the
 * folder and what was looked for. *out is shared: each open is paired with one close. */
struct vqp_weights;
vqp_status vqp_weights_open(struct vqp_weight_cache *c, const char *dir, struct vqp_weights **out,
                            struct vqp_error *err);
void vqp_weights_close(struct vqp_weight_cache *c, struct vqp_weights *w);
const char *vqp_weights_file(const struct vqp_weights *w);
uint32_t vqp_weights_count(const struct vqp_weights *w);
const struct vqp_tensor *vqp_weights_at(const struct vqp_weights *w, uint32_t i); /* in name order */
const struct vqp_tensor *vqp_weights_find(const struct vqp_weights *w, const char *name);
/* The first NaN or infinity of a float tensor as an error that names file, tensor and element index; scanned once per
 * mapping, remembered. */
vqp_status vqp_weights_check_finite(struct vqp_weights *w, const struct vqp_tensor *t, struct vqp_error *err);
/* Gives the memory that a tensor's bytes take back to the system; they are read from the file again when they are next used. */
void vqp_weights_drop(const struct vqp_weights *w, const struct vqp_tensor *t);
/* The same for the tensor whose bytes `data` points into; nothing where there is none. */
void vqp_weight_cache_drop(struct vqp_weight_cache *c, const void *data);
/* Called when the last close unmaps a file, once for every tensor: backends forget packed copies. One callback, which a later call
 * replaces and NULL removes; the cache is not locked while it runs. */
void vqp_weight_cache_on_unmap(struct vqp_weight_cache *c, void (*fn)(void *ctx, const void *data), void *ctx);

#endif
