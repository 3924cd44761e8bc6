#include "half.h"
#include <string.h>
#include <vqpipe/base.h>

static uint32_t bits_of(float f)
{
    uint32_t x;
    memcpy(&x, &f, sizeof x);
    return x;
}

static float float_of(uint32_t x)
{
    float f;
    memcpy(&f, &x, sizeof f);
    return f;
}

static float from_f16(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f = float_of(magnitude) * 0x1p112f; /* moves the exponent's bias, for subnormal numbers too */
    uint32_t special = magnitude >= 0x0F800000u ? 0x7F800000u | (magnitude & 0x007FFFFFu) : bits_of(f);
    return float_of(special | sign);
}

/* Nonzero in *lost: a finite number that rounds to infinity. */
static uint16_t to_f16(uint32_t x, uint32_t *lost)
{
    uint32_t a = x & 0x7FFFFFFFu, sign = x >> 16 & 0x8000;
    uint32_t normal = (a - (112u << 23) + 0xFFFu + (a >> 13 & 1)) >> 13;
    uint32_t small = bits_of(float_of(a) + 0.5f) - bits_of(0.5f); /* 0.5's last place is the least subnormal */
    uint32_t out = a < 0x38800000u ? small : normal;
    uint32_t over = a >= 0x477FF000u; /* 65520 and up, and what is not finite */
    out = over ? 0x7C00u : out;
    out = a > 0x7F800000u ? 0x7E00u : out;
    *lost |= over & (a < 0x7F800000u);
    return (uint16_t)(out | sign);
}

static uint16_t to_bf16(uint32_t x, uint32_t *lost)
{
    uint32_t a = x & 0x7FFFFFFFu, rounded = (x + 0x7FFFu + (x >> 16 & 1)) >> 16;
    *lost |= (a < 0x7F800000u) & ((rounded & 0x7FFF) == 0x7F80);
    return (uint16_t)(a > 0x7F800000u ? x >> 16 | 0x40 : rounded);
}

void vqp_to_floats(uint32_t dtype, const void *from, float *to, size_t n)
{
    const unsigned char *p = from;
    uint16_t h;
    if (dtype == VQP_F32)
        memcpy(to, from, n * sizeof *to);
    for (size_t i = 0; dtype == VQP_F16 && i < n; i++) {
        memcpy(&h, p + 2 * i, sizeof h);
        to[i] = from_f16(h);
    }
    for (size_t i = 0; dtype == VQP_BF16 && i < n; i++) {
        memcpy(&h, p + 2 * i, sizeof h);
        to[i] = float_of((uint32_t)h << 16);
    }
}

int vqp_from_floats(uint32_t dtype, const float *from, void *to, size_t n)
{
    uint16_t *half = to;
    uint32_t lost = 0;
    if (dtype == VQP_F32)
        memcpy(to, from, n * sizeof *from);
    for (size_t i = 0; dtype == VQP_F16 && i < n; i++)
        half[i] = to_f16(bits_of(from[i]), &lost);
    for (size_t i = 0; dtype == VQP_BF16 && i < n; i++)
        half[i] = to_bf16(bits_of(from[i]), &lost);
    return lost != 0;
}
