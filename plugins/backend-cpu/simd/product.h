/* The tile product in one precision; included with TILE_BF16 0 or 1, twice where both are wanted. Whoever includes it defines what NAME
 * and the other macros make of the precision no longer than needed: product_end.h takes them back.
 *
 * out[r][j] = sum over i of a[r][i] * b[i][j] for ROWS rows and up to WIDE*LANES columns, all sums in registers, in ascending order of i. An
 * element of a and b is a float; or, with TILE_BF16, two neighbouring terms i as a pair of bfloat16 in 32 bits. b is packed:
 * [column block][i][lanes of the block], blocks of WIDE vectors, the last one narrower. */

#if TILE_BF16
#include <immintrin.h>
#define NAME(x) x##_bf16
typedef uint32_t NAME(element);
#define PAIR 2
#define MULTIPLY_ADD(acc, a, b)                                                                                        \
    (vf) _mm512_dpbf16_ps((__m512)(acc), (__m512bh)_mm512_set1_epi32((int32_t)(a)), (__m512bh)(b))
typedef vi NAME(vector);
#else
#define NAME(x)                 x##_f32
typedef float NAME(element);
#define PAIR                    1
#define MULTIPLY_ADD(acc, a, b) ((acc) + (a) * (b))
typedef vf NAME(vector);
#ifndef VQP_TILE_SHAPE
#define VQP_TILE_SHAPE
enum {
#if defined(__AVX512F__)
    ROWS = 8, /* ROWS*WIDE sums, WIDE vectors of b and one of a fit the 32 registers; 16 with AVX2 and SSE */
#else
    ROWS = 4,
#endif
    WIDE = 3,
    BLOCK = WIDE * LANES
};
#endif
#endif

typedef NAME(vector) NAME(vector_loose) __attribute__((aligned(4), may_alias));

/* The sums of one tile live in acc, which is registers where these are inlined and `wide`, the vectors of columns, is a constant. */
INLINE void NAME(begin)(vf acc[ROWS][WIDE], const float *out, int64_t stride, int wide, int add)
{
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t v = 0; v < wide; v++)
            acc[r][v] = add ? load(out + r * stride + v * LANES) : splat(0);
}

INLINE void NAME(sums)(vf acc[ROWS][WIDE], const NAME(element) *const *a, const NAME(element) * b, int64_t terms,
                       int wide)
{
    const NAME(element) * row[ROWS];
    for (int64_t r = 0; r < ROWS; r++)
        row[r] = a[r];
    int64_t i = 0;
    do { /* there is a term at least: no sum needs a place in memory for the case that there is none */
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t v = 0; v < wide; v++)
                acc[r][v] = MULTIPLY_ADD(acc[r][v], row[r][i], *(const NAME(vector_loose) *)(b + v * LANES));
        b += wide * LANES;
    } while (++i < terms);
}

/* Defines a tile product; with `add` the sums go on from what out holds. */
#define TILE_PRODUCT(name, wide, add)                                                                                  \
    static void NAME(name)(const NAME(element) *const *a, const NAME(element) * b, int64_t terms, float *out,          \
                           int64_t stride)                                                                             \
    {                                                                                                                  \
        vf acc[ROWS][WIDE];                                                                                            \
        NAME(begin)(acc, out, stride, wide, add);                                                                      \
        NAME(sums)(acc, a, b, terms, wide);                                                                            \
        for (int64_t r = 0; r < ROWS; r++)                                                                             \
            for (int64_t v = 0; v < wide; v++)                                                                         \
                store(out + r * stride + v * LANES, acc[r][v]);                                                        \
    }
