/* Block-quantised weights, as ops.h has them for LINEAR: int8 entries, and a float16 scale for every 32 of a row. */
#ifndef VQP_Q8_0_H
#define VQP_Q8_0_H
#include <vqpipe/base.h>

enum {
    VQP_Q8_BLOCK = 32
};
/* Whether the tensor NAME of this dtype and shape is one that LINEAR alone reads: a matrix of whole blocks that is called "weight", and no
 * table of embeddings. */
int vqp_q8_0_suits(const char *name, uint32_t dtype, const struct vqp_shape *shape);
/* n floats, a multiple of the block: entry = round(x / scale), scale = the block's largest |x| / 127 as float16. Nonzero where that is beyond
 * float16. */
int vqp_to_q8_0(const float *from, size_t n, int8_t *entries, uint16_t *scales);

#endif
