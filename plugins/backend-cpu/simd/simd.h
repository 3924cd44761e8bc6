/* Vectors of LANES floats, for code that is built once for each instruction set: GCC's vector extensions, so that the same lines serve
 * every processor. VQP_ISA names the build, and its functions: ISA(layer_norm) is vqp_cpu_layer_norm_avx2 in the build for AVX2. */
#ifndef VQP_CPU_SIMD_H
#define VQP_CPU_SIMD_H
#include "../cpu.h"
#include <math.h>
#include <string.h>

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
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}
INLINE vi choose_int(vi mask, vi a, vi b)
{
    return (mask & a) | (~mask & b);
}
INLINE vf larger(vf a, vf b)
{
    return choose(a > b, a, b);
}
INLINE float sum_of(vf v)
{
    float s[LANES];
    store(s, v);
    for (int w = LANES / 2; w; w /= 2)
        for (int i = 0; i < w; i++)
            s[i] += s[i + w];
    return s[0];
}
INLINE float largest_of(vf v)
{
    float s[LANES];
    store(s, v);
    for (int w = LANES / 2; w; w /= 2)
        for (int i = 0; i < w; i++)
            s[i] = s[i] > s[i + w] ? s[i] : s[i + w];
    return s[0];
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

/* e^(n ln 2 + r) is 2^n times this: e^r for |r| <= ln 2 / 2. The coefficients are those of Cephes (Moshier). */
INLINE vf exp_parts(vf c, vi *n)
{
    const vf magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    vf t = c * 1.44269504088896341f + magic, whole = t - magic;
    vf r = c - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    vf y = splat(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    *n = (vi)t - (vi)magic;
    return y * (r * r) + r + 1.0f;
}

/* e^x to about 1 ulp; 0 below the normal numbers, NaN for NaN. */
INLINE vf vexp(vf x)
{
    vf high = splat(88.72f), low = splat(-87.33f);
    vf c = choose(x > high, high, x);
    vi tiny = c < low, n;
    vf y = exp_parts(choose(tiny, low, c), &n);
    vi half = n >> 1; /* 2^n in two factors: n may be 128 */
    y = y * (vf)((half + 127) << 23);
    y = y * (vf)((n - half + 127) << 23);
    return (vf)((vi)y & ~tiny);
}

/* The same for x that is not above 0. */
INLINE vf vexp_falling(vf x)
{
    vf low = splat(-87.33f);
    vi tiny = x < low, n;
    vf y = exp_parts(choose(tiny, low, x), &n);
    return (vf)((vi)(y * (vf)((n + 127) << 23)) & ~tiny);
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
