/* Model files: mapped read-only, validated before anything is used, shared within a context. Safetensors and PyTorch files, told apart
 * by their content. */
#ifndef VQP_WEIGHTS_H
#define VQP_WEIGHTS_H
#include <vqpipe/base.h>

struct vqp_stored; /* of a PyTorch file: the storage behind a tensor */

/* One tensor of a file. */
struct vqp_tensor {
    const char *name;       /* NUL-terminated */
    uint32_t dtype;         /* VQP_*; 0: a valid safetensors dtype that vqpipe has no use for */
    const char *file_dtype; /* as in the file: "F16" */
    struct vqp_shape shape; /* rank > VQP_MAX_RANK is kept as rank 0 and dtype 0 */
    const void *data;       /* to be read after vqp_weights_ready */
    uint64_t bytes;
    const struct vqp_stored *stored; /* NULL: safetensors */
};

/* The cache of a context: the same file opened twice is mapped once. Thread-safe. */
struct vqp_weight_cache;
vqp_status vqp_weight_cache_create(struct vqp_weight_cache **out, struct vqp_error *err);
/* Every folder must be closed. */
void vqp_weight_cache_destroy(struct vqp_weight_cache *c);

/* One component folder's tensors: which files are taken is in model_files.h, as are `variant` (NULL: none asked for) and what
 * errors name. `dir` may also be one file. Shards of an index are one list; a tensor in two of them is refused. *out is shared:
 * each open is paired with one close. */
struct vqp_weights;
vqp_status vqp_weights_open(struct vqp_weight_cache *c, const char *dir, const char *variant, struct vqp_weights **out,
                            struct vqp_error *err);
/* Tensors that are made of those of an open file, when they are first used. */
struct vqp_derived {
    struct vqp_weights *file;
    const char *shown;          /* for messages */
    struct vqp_tensor *tensors; /* [n] in name order; data NULL until it is made */
    uint32_t n;
    void *ctx;
    const struct vqp_tensor *(*source)(const void *ctx, uint32_t i); /* the file's tensor behind the i-th */
    /* Sets the i-th tensor's data; called with its source ready, and by one thread at a time. */
    vqp_status (*make)(void *ctx, uint32_t i, struct vqp_error *err);
    void (*destroy)(void *ctx); /* of ctx, tensors and what was made, after the last close */
};
/* These as weights of their own, which are in no cache. Takes over file and ctx, also when it fails. */
vqp_status vqp_weights_derive(struct vqp_weight_cache *c, const struct vqp_derived *d, struct vqp_weights **out,
                              struct vqp_error *err);
void vqp_weights_close(struct vqp_weight_cache *c, struct vqp_weights *w);
const char *vqp_weights_file(const struct vqp_weights *w); /* the file, or the index of several */
/* The i-th of the files that were taken, and its size in bytes; NULL past the end. */
const char *vqp_weights_part(const struct vqp_weights *w, uint32_t i, uint64_t *bytes);
uint32_t vqp_weights_count(const struct vqp_weights *w);
const struct vqp_tensor *vqp_weights_at(const struct vqp_weights *w, uint32_t i); /* in name order */
const struct vqp_tensor *vqp_weights_find(const struct vqp_weights *w, const char *name);
/* Must succeed before t->data is used: compares the CRC-32 of a PyTorch file's storage, and gathers a tensor that does not lie row by
 * row. Done once per mapping. */
vqp_status vqp_weights_ready(struct vqp_weights *w, const struct vqp_tensor *t, struct vqp_error *err);
/* vqp_weights_ready; then the first NaN or infinity of a float tensor as an error that names file, tensor and element index; scanned
 * once per mapping, remembered. */
vqp_status vqp_weights_check_finite(struct vqp_weights *w, const struct vqp_tensor *t, struct vqp_error *err);
/* Gives the memory that a tensor's bytes take back to the system; they are read from the file again when they are next used. */
void vqp_weights_drop(const struct vqp_weights *w, const struct vqp_tensor *t);
/* The same for the tensor whose bytes `data` points into; nothing where there is none. */
void vqp_weight_cache_drop(struct vqp_weight_cache *c, const void *data);
/* Called when the last close unmaps a folder's files, once for every tensor with data: backends forget packed copies. One callback,
 * which a later call replaces and NULL removes; the cache is not locked while it runs. */
void vqp_weight_cache_on_unmap(struct vqp_weight_cache *c, void (*fn)(void *ctx, const void *data), void *ctx);

#endif
