/* PyTorch's .bin, .pt and .pth files as torch.save has written them since 1.6: a zip with a pickle, data.pkl, and one entry for
 * each storage. */
#ifndef VQP_PYTORCH_H
#define VQP_PYTORCH_H
#include "arena.h"
#include "weights.h"
#include "zip.h"

struct vqp_pytorch {
    struct vqp_arena arena; /* owns the tensors, their names, and what was gathered */
    struct vqp_tensor *tensors;
    uint32_t count;
    struct vqp_zip zip;
    uint8_t *checked; /* per entry of the zip: its CRC was compared */
};
/* Lists every tensor in name order. Dicts, lists and tuples within the file's dict give names joined by dots: a checkpoint
 * {"model": {"a.weight": T}, "ema": {...}, "optimizer": {"state": {0: {"step": T}}}} has "model.a.weight" and
 * "optimizer.state.0.step". A file that is one tensor has it as "tensor". What is no tensor is left out. The archive and the pickle are checked whole, of the storages only
 * their places and sizes: one that nothing uses costs nothing. Tensors that lie as they are used point into `data`; the others have
 * no data until vqp_pytorch_ready. VQP_E_FORMAT with `file`; on failure there is nothing to free. */
vqp_status vqp_pytorch_parse(const char *file, const void *data, uint64_t size, struct vqp_pytorch *out,
                             struct vqp_error *err);
/* Before a tensor's bytes are used: compares the CRC-32 of its storage, once, and puts the elements of a transposed or sliced
 * tensor in order. */
vqp_status vqp_pytorch_ready(const char *file, struct vqp_pytorch *p, struct vqp_tensor *t, struct vqp_error *err);
/* The whole storage behind a tensor. */
const void *vqp_pytorch_bytes(const struct vqp_tensor *t, uint64_t *bytes);
void vqp_pytorch_free(struct vqp_pytorch *p);

#endif
