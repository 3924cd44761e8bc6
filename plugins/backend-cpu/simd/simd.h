/* Vectors of LANES floats, for code that is built once for each instruction set: GCC's vector extensions, so that the same lines serve
 * every processor. VQP_ISA names the build, and its functions: ISA(layer_norm) is vqp_cpu_layer_norm_avx2 in the build for AVX2. */
#ifndef VQP_CPU_SIMD_H
#define VQP_CPU_SIMD_H
#include "../cpu.h"
#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define JOIN3_(a, b, c) a##b##_##c
#define JOIN3(a, b, c)  JOIN3_(a, b, c)
#define ISA(name)       JOIN3(vqp_cpu_, name, VQP_ISA)

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef float vf_loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vf splat(float v)
{
    return v - (vf){0};
}
INLINE vf load(const float *p)
{
    return *(const vf_loose *)p;
}
INLINE void store(float *p, vf v)
{
    *(vf_loose *)p = v;
}
/* The first n of LANES elements; the others are `rest`, and are not touched in memory. */
INLINE vf load_part(const float *p, int64_t n, float rest)
{
    union {
        vf v;
        float f[LANES];
    } u = {splat(rest)};
    for (int64_t i = 0; i < n; i++)
        u.f[i] = p[i];
    return u.v;
}
INLINE void store_part(float *p, int64_t n, vf v)
{
    union {
        vf v;
        float f[LANES];
    } u = {v};
    for (int64_t i = 0; i < n; i++)
        p[i] = u.f[i];
}
INLINE vf load_some(const float *p, int64_t n, float rest)
{
    return n >= LANES ? load(p) : load_part(p, n, rest);
}
INLINE void store_some(float *p, int64_t n, vf v)
{
    if (n >= LANES)
        store(p, v);
    else
        store_part(p, n, v);
}
/* Where the mask is all ones a, where it is 0 b. */
INLINE vf choose(vi mask, vf a, vf b)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
#else
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
#endif
}
INLINE vi choose_int(vi mask, vi a, vi b)
{
    return (mask & a) | (~mask & b);
}
/* 1 where a lane of the mask is not 0. */
INLINE int any(vi mask)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    int32_t some = 0;
    for (int i = 0; i < LANES; i++)
        some |= mask[i];
    return some != 0;
#endif
}
/* a > b ? a : b; b where one is a NaN. */
INLINE vf larger(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return choose(a > b, a, b);
#endif
}
INLINE vf smaller(vf a, vf b)
{
    return -larger(-a, -b);
}

/* The lane's number. */
INLINE vi lane_numbers(void)
{
    union {
        vi v;
        int32_t i[LANES];
    } u;
    for (int i = 0; i < LANES; i++)
        u.i[i] = i;
    return u.v;
}

/* Lane l of the result is lane l + by of v, counted around. */
INLINE vf turned(vf v, int by)
{
#if defined(__clang__)
    float s[2 * LANES];
    store(s, v);
    store(s + LANES, v);
    return load(s + by);
#else
    return __builtin_shuffle(v, (lane_numbers() + by) & (LANES - 1));
#endif
}
/* a and b in turns, lane by lane: their lower halves, or the higher ones. */
INLINE vf interleave(vf a, vf b, int high)
{
#if defined(__clang__)
    float s[2][LANES], t[LANES];
    store(s[0], a);
    store(s[1], b);
    for (int i = 0; i < LANES; i++)
        t[i] = s[i % 2][(high * LANES + i) / 2];
    return load(t);
#else
    vi lane = lane_numbers();
    return __builtin_shuffle(a, b, ((lane + high * LANES) >> 1) + (lane & 1) * LANES);
#endif
}
INLINE float sum_of(vf v)
{
#pragma GCC unroll 4
    for (int w = LANES / 2; w; w /= 2)
        v += turned(v, w);
    return v[0];
}
INLINE float largest_of(vf v)
{
#pragma GCC unroll 4
    for (int w = LANES / 2; w; w /= 2)
        v = larger(v, turned(v, w));
    return v[0];
}

/* To a float of up to 2^22 in size it adds a number whose lowest bits are that float, rounded to an integer. */
#define ROUNDER 12582912.0f /* 1.5 * 2^23 */

/* 2^n for the integer n, -127 (which gives 0) to 127, that was rounded by adding ROUNDER, which gave t. */
INLINE vf power_of_2(vf t)
{
    return (vf)(((vi)t << 23) + (127 << 23)); /* the bits of ROUNDER itself are shifted out */
}

/* e^x is 2^n times this, where *t = n + ROUNDER. The coefficients are those of Cephes (Moshier). */
INLINE vf exp_parts(vf x, vf *t)
{
    *t = x * 1.44269504088896341f + ROUNDER;
    vf n = *t - ROUNDER, r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vf y = splat(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return y * (r * r) + r + 1.0f;
}

/* e^x to about 1 ulp; 0 below the normal numbers, NaN for NaN. */
INLINE vf vexp(vf x)
{
    vf high = splat(88.72f), low = splat(-87.33f), t;
    vf c = choose(x > high, high, x);
    vi tiny = c < low;
    vf y = exp_parts(choose(tiny, low, c), &t);
    vi n = (vi)t - (vi)splat(ROUNDER), half = n >> 1; /* 2^n in two factors: n may be 128 */
    y = y * (vf)((half + 127) << 23);
    y = y * (vf)((n - half + 127) << 23);
    return (vf)((vi)y & ~tiny);
}

/* The same for x that is not above 88; 0 below -88. */
INLINE vf vexp_falling(vf x)
{
    vf t, y = exp_parts(larger(splat(-88.02969f), x), &t); /* n = -127 there */
    return y * power_of_2(t);
}

/* 2^x for x that is not above 127, to about 1 ulp; 0 below -127, NaN for NaN. The polynomial is (2^r - 1) / r with the least error on |r| <= 1/2. */
INLINE vf vexp2_falling(vf x)
{
    vf c = larger(splat(-127), x), t = c + ROUNDER, r = c - (t - ROUNDER);
    vf y = splat(1.54763009e-4f);
    y = y * r + 1.34002697e-3f;
    y = y * r + 9.61800385e-3f;
    y = y * r + 5.55032790e-2f;
    y = y * r + 2.40226507e-1f;
    y = y * r + 6.93147182e-1f;
    y = y * r + 1.0f;
    return y * power_of_2(t);
}

/* 1 / (1 + e^-x) */
INLINE vf logistic(vf x)
{
    return 1.0f / (1.0f + vexp2_falling(smaller(x * -1.44269504088896341f, splat(126))));
}

/* r[i][l] and r[l][i] change places. */
INLINE void transpose(vf r[LANES])
{
#if defined(__clang__)
    float t[LANES][LANES];
    for (int i = 0; i < LANES; i++)
        store(t[i], r[i]);
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < LANES; l++)
            r[i][l] = t[l][i];
#else
    const vi lane = lane_numbers();
#pragma GCC unroll 4
    for (int s = LANES / 2; s; s /= 2) {
        vi other = (lane & s) != 0, stay = choose_int(other, lane + (LANES - s), lane);
        vi move = choose_int(other, lane + LANES, lane + s);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & s)) {
                vf a = r[i], b = r[i + s];
                r[i] = __builtin_shuffle(a, b, stay);
                r[i + s] = __builtin_shuffle(a, b, move);
            }
    }
#endif
}

/* ln x to about 1 ulp for normal x > 0, also near 1. The coefficients are those of Cephes (Moshier). */
INLINE vf vlog(vf x)
{
    vi bits = (vi)x, e = (bits - 0x3f3504f3) >> 23;
    vf f = (vf)(bits - (e << 23)) - 1.0f, n = __builtin_convertvector(e, vf), z = f * f;
    vf y = splat(7.0376836292e-2f);
    y = y * f - 1.1514610310e-1f;
    y = y * f + 1.1676998740e-1f;
    y = y * f - 1.2420140846e-1f;
    y = y * f + 1.4249322787e-1f;
    y = y * f - 1.6668057665e-1f;
    y = y * f + 2.0000714765e-1f;
    y = y * f - 2.4999993993e-1f;
    y = y * f + 3.3333331174e-1f;
    y = y * f * z;
    y = y + n * -2.12194440e-4f;
    y = y - 0.5f * z;
    return f + y + n * 0.693359375f;
}

/* x (1 + erf(x / sqrt 2)) / 2 to about 2e-7: the tail of erf after Abramowitz and Stegun, 7.1.26. */
INLINE vf gelu(vf x)
{
    vi below = x < 0.0f;
    vf z = choose(below, -x, x) * 0.70710678118654752f, t = 1.0f / (1.0f + 0.3275911f * z);
    vf tail = splat(1.061405429f);
    tail = tail * t - 1.453152027f;
    tail = tail * t + 1.421413741f;
    tail = tail * t - 0.284496736f;
    tail = tail * t + 0.254829592f;
    tail = tail * t * vexp_falling(-z * z) * 0.5f;
    return x * choose(below, tail, 1.0f - tail);
}

INLINE vf activate(uint32_t act, vf x)
{
    switch (act) {
    case VQP_ACT_SILU: return x * logistic(x);
    case VQP_ACT_GELU_SIGMOID: return x * logistic(1.702f * x);
    case VQP_ACT_GELU_ERF: return gelu(x);
    default: return x;
    }
}

/* LANES elements of a weight as it is in its file, at any alignment; float16 and bfloat16 become the float32 that they stand for. */
INLINE vf load_weight(const void *data, uint32_t dtype, int64_t at)
{
    typedef uint16_t halves __attribute__((vector_size(LANES * 2)));
    halves h;
    if (dtype == VQP_F32) {
        vf v;
        memcpy(&v, (const unsigned char *)data + 4 * at, sizeof v);
        return v;
    }
    memcpy(&h, (const unsigned char *)data + 2 * at, sizeof h);
    vi bits = __builtin_convertvector(h, vi);
    if (dtype == VQP_BF16)
        return (vf)(bits << 16);
    vi magnitude = bits & 0x7fff;
    vf v = (vf)(magnitude << 13) * 0x1p112f; /* the exponent's bias: 127 - 15 */
    v = choose(magnitude >= 0x7c00, (vf)(magnitude << 13 | 0x7f800000), v);
    return (vf)((vi)v | (bits & 0x8000) << 16);
}

/* LANES int8 at any alignment. */
INLINE vf load_int8(const int8_t *at)
{
    typedef int8_t bytes __attribute__((vector_size(LANES)));
    bytes b;
    memcpy(&b, at, sizeof b);
    return __builtin_convertvector(b, vf);
}

/* One LANES-wide piece of a result that is stored as f32 or bf16. */
INLINE void store_as(void *out, uint32_t dtype, int64_t at, int64_t n, vf v)
{
    if (dtype != VQP_BF16) {
        store_some((float *)out + at, n, v);
        return;
    }
    float s[LANES];
    store(s, v);
    for (int64_t i = 0; i < (n < LANES ? n : LANES); i++)
        ((uint16_t *)out)[at + i] = vqp_cpu_bf16(s[i]);
}

#define ISA_RUN(name)     void ISA(name)(struct vqp_hb_exec * x, const struct vqp_hb_node *n)
#define ISA_SCRATCH(name) uint64_t JOIN3(vqp_cpu_, name##_scratch, VQP_ISA)(const struct vqp_hb_node *n)
/* oneDNN has no product with packed weights for AVX2: own ones (op_linear.c) are faster there. */
#if defined(__AVX2__) && !defined(__AVX512F__)
#define VQP_OWN_LINEAR 1
#else
#define VQP_OWN_LINEAR 0
#endif
ISA_RUN(linear);
ISA_SCRATCH(linear);
vqp_status ISA(linear_prepare)(struct vqp_hb_prepare *c, struct vqp_hb_node *n);
void ISA(linear_release)(void *own);
ISA_RUN(layer_norm); /* and rms_norm */
ISA_RUN(sdpa);
ISA_SCRATCH(sdpa);
ISA_RUN(group_norm);
ISA_SCRATCH(group_norm);
ISA_RUN(guide_log_softmax);
ISA_RUN(truncate);
ISA_SCRATCH(truncate);
ISA_RUN(posterior_sample);
ISA_SCRATCH(posterior_sample);
ISA_RUN(categorical_sample);

/* How many slots the loop has: for the sizes of scratch memory, which are asked without an instance. */
struct slots {
    uint32_t slots;
    int bf16;
};
vqp_status ISA(slots_prepare)(struct vqp_hb_prepare *c, struct vqp_hb_node *n);

#endif
