/* The safetensors format: an 8-byte little-endian length, that many bytes of JSON, then the tensors without gaps. */
#ifndef VQP_SAFETENSORS_H
#define VQP_SAFETENSORS_H
#include "arena.h"
#include "weights.h"

struct vqp_safetensors {
    struct vqp_arena arena; /* owns the tensors and their names */
    struct vqp_tensor *tensors;
    uint32_t count;
};
/* Checks the whole of a file's `size` bytes against the format and lists its tensors in name order. Their data points into `data`,
 * or into the arena where the file does not align it to its element size. VQP_E_FORMAT with `file`, and the byte offset or the tensor;
 * on failure there is nothing to free. */
vqp_status vqp_safetensors_parse(const char *file, const void *data, uint64_t size, struct vqp_safetensors *out,
                                 struct vqp_error *err);
void vqp_safetensors_free(struct vqp_safetensors *s);
/* VQP_* of the format's name for it ("F16"); 0 where vqpipe has no use for it. */
uint32_t vqp_safetensors_dtype(const char *name);

#endif
