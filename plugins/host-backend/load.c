/* Elements of weights as float32, whatever their storage type and alignment. */
#include "host_backend.h"
#include <string.h>

static float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 1023u, bits;
    if (exponent == 0) /* zero or subnormal: fraction * 2^-24 */
        return sign ? -(float)fraction * 0x1p-24f : (float)fraction * 0x1p-24f;
    bits = sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float vqp_hb_load(const void *data, uint32_t dtype, uint64_t i)
{
    float f;
    uint16_t h;
    uint32_t bits;
    switch (dtype) {
    case VQP_F16: memcpy(&h, (const unsigned char *)data + 2 * i, sizeof h); return from_f16(h);
    case VQP_BF16:
        memcpy(&h, (const unsigned char *)data + 2 * i, sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&f, &bits, sizeof f);
        return f;
    default: memcpy(&f, (const unsigned char *)data + 4 * i, sizeof f); return f;
    }
}

void vqp_hb_dequantise(const int8_t *entries, const float *scale, uint64_t from, uint64_t n, float *out)
{
    for (uint64_t i = 0; i < n; i += VQP_HB_Q8_BLOCK) {
        float by = scale[(from + i) / VQP_HB_Q8_BLOCK];
        for (uint64_t k = i; k < i + VQP_HB_Q8_BLOCK; k++)
            out[k] = by * (float)entries[from + k];
    }
}
