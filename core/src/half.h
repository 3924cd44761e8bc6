/* Between float32 and the two 16-bit floats, rounded to nearest, ties to even. */
#ifndef VQP_HALF_H
#define VQP_HALF_H
#include <stddef.h>
#include <stdint.h>

/* n elements of VQP_F32, VQP_F16 or VQP_BF16 at any alignment as floats. */
void vqp_to_floats(uint32_t dtype, const void *from, float *to, size_t n);
/* The way back; nonzero where a finite number became an infinity. */
int vqp_from_floats(uint32_t dtype, const float *from, void *to, size_t n);

#endif
