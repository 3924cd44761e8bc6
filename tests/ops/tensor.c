#include "arena.h"
#include "ops.h"
#include "shape.h"
#include <math.h>

static struct vqp_arena arena;
static uint64_t state;

void *ops_alloc(size_t n, size_t size)
{
    void *p = vqp_arena_alloc(&arena, n, size);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return p;
}

void ops_free_all(void)
{
    vqp_arena_free(&arena);
}

void ops_seed(uint64_t seed)
{
    state = seed;
}

double ops_uniform(double low, double high)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u; /* SplitMix64 (Steele, Lea, Flood 2014) */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return low + (high - low) * ((double)((z ^ z >> 31) >> 11) * 0x1p-53);
}

struct tensor *ops_zeros(uint32_t dtype, struct vqp_shape shape)
{
    struct tensor *t = ops_alloc(1, sizeof *t);
    int half = dtype == VQP_F16 || dtype == VQP_BF16 || dtype == VQP_Q8_0;
    *t = (struct tensor){.dtype = dtype, .role = half ? VQP_VAL_WEIGHT : VQP_VAL_INPUT, .shape = shape};
    if (vqp_shape_count(&shape, &t->count) || vqp_shape_bytes(&shape, dtype, &t->bytes))
        exit(2);
    t->data = ops_alloc(1, t->bytes);
    return t;
}

/* Towards zero. v is small enough for F16. */
static uint16_t to_half(uint32_t dtype, double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (dtype == VQP_BF16) {
        float f = (float)v;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        return (uint16_t)(bits >> 16);
    }
    int exponent;
    double fraction = frexp(fabs(v), &exponent); /* 0.5 <= fraction < 1: exponent 1 stands for 1.0 */
    if (exponent < -13)                          /* subnormal: a multiple of 2^-24 */
        return (uint16_t)(sign | (uint16_t)ldexp(fabs(v), 24));
    return (uint16_t)(sign | (uint16_t)((exponent + 14) << 10) | ((uint16_t)ldexp(fraction, 11) & 1023));
}

struct tensor *ops_random(uint32_t dtype, struct vqp_shape shape, double low, double high)
{
    struct tensor *t = ops_zeros(dtype, shape);
    if (dtype == VQP_Q8_0)
        t->scale = ops_random(VQP_F16, vqp_shape2(shape.dim[0], shape.dim[1] / 32), low / 127, high / 127);
    for (uint64_t k = 0; k < t->count; k++) {
        double v = ops_uniform(low, high);
        switch (dtype) {
        case VQP_F32: t->f[k] = (float)v; break;
        case VQP_I32: t->i[k] = (int32_t)floor(v); break;
        case VQP_U8: t->u[k] = (uint8_t)v; break;
        case VQP_Q8_0: t->b[k] = (int8_t)floor(ops_uniform(-127, 128)); break;
        default: t->h[k] = to_half(dtype, k % 17 == 3 ? v * 0x1p-16 : v); break; /* some subnormal ones */
        }
    }
    return t;
}

struct tensor *ops_as(struct tensor *t, uint32_t role)
{
    t->role = role;
    return t;
}

double ops_at(const struct tensor *t, uint64_t i)
{
    switch (t->dtype) {
    case VQP_F32: return (double)t->f[i];
    case VQP_I32: return t->i[i];
    case VQP_U8: return t->u[i];
    case VQP_Q8_0: return t->b[i] * ops_at(t->scale, i / 32);
    default: break;
    }
    /* sign, exponent, fraction */
    int bits = t->dtype == VQP_F16 ? 10 : 7, bias = t->dtype == VQP_F16 ? 15 : 127;
    int exponent = (t->h[i] & 0x7FFF) >> bits, fraction = t->h[i] & ((1 << bits) - 1);
    double v = exponent ? ldexp(fraction + (1 << bits), exponent - bias - bits) : ldexp(fraction, 1 - bias - bits);
    return t->h[i] & 0x8000 ? -v : v;
}

int64_t ops_dim(const struct tensor *t, int back)
{
    return t->shape.dim[(int)t->shape.rank - back];
}
