/* Arithmetic on shapes: the one place where sizes are multiplied, always with overflow checks. */
#ifndef VQP_SHAPE_H
#define VQP_SHAPE_H
#include <vqpipe/base.h>

/* Bytes of one element; 0 for unknown dtypes. Q8_0: of its int8; the scales are a tensor of their own. */
uint32_t vqp_dtype_bytes(uint32_t dtype);
const char *vqp_dtype_name(uint32_t dtype); /* "f32"; "?" where unknown */
/* Elements; 0 on success, nonzero where a dim is negative or the product overflows. Rank 0 has one. */
int vqp_shape_count(const struct vqp_shape *s, uint64_t *count);
/* Elements times element size; nonzero on overflow, beyond INT64_MAX, or an unknown dtype. */
int vqp_shape_bytes(const struct vqp_shape *s, uint32_t dtype, uint64_t *bytes);
int vqp_shape_equal(const struct vqp_shape *a, const struct vqp_shape *b);
/* "[2,256,512]" into buf (at least 140 bytes for any shape); returns buf. */
enum {
    VQP_SHAPE_TEXT = 140
};
char *vqp_shape_text(const struct vqp_shape *s, char buf[VQP_SHAPE_TEXT]);

#endif
