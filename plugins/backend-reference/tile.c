/* The kernel under LINEAR, CONV2D and SDPA: four rows times sixteen output channels. Its inner loop runs over the outputs, so that
 * the compiler vectorises it without reordering any sum, and a build for a wider processor gives the same bits. */
#include "reference.h"
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
/* avx2 alone never fuses a multiply and an add. O3: gcc 12 keeps the sums in registers there, and not at O2 (twice the speed). */
#define CLONES __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

enum {
    ROWS = VQP_REF_ROWS,
    LANES = VQP_REF_LANES,
    TERMS = 64
};

CLONES static void tile(const float *const x[ROWS], const float *block, int64_t ins, double acc[ROWS][LANES])
{
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    for (int64_t i = 0; i < ins;) {
        float a0[LANES] = {0}, a1[LANES] = {0}, a2[LANES] = {0}, a3[LANES] = {0};
        int64_t end = ins - i < TERMS ? ins : i + TERMS;
        for (; i < end; i++) {
            const float *w = block + i * LANES;
            for (int o = 0; o < LANES; o++) {
                a0[o] += x0[i] * w[o];
                a1[o] += x1[i] * w[o];
                a2[o] += x2[i] * w[o];
                a3[o] += x3[i] * w[o];
            }
        }
        for (int o = 0; o < LANES; o++) {
            acc[0][o] += (double)a0[o];
            acc[1][o] += (double)a1[o];
            acc[2][o] += (double)a2[o];
            acc[3][o] += (double)a3[o];
        }
    }
}

void vqp_ref_tile(const float *const x[ROWS], const float *block, int64_t ins, double acc[ROWS][LANES])
{
    tile(x, block, ins, acc);
}

void vqp_ref_pack(float *dst, const void *src, uint32_t dtype, int64_t outs, int64_t ins, int64_t off,
                  int64_t out_stride, int64_t in_stride)
{
    for (int64_t o0 = 0; o0 < outs; o0 += LANES) {
        int64_t lanes = outs - o0 < LANES ? outs - o0 : LANES;
        for (int64_t i = 0; i < ins; i++, dst += LANES) {
            for (int64_t o = 0; o < lanes; o++)
                dst[o] = vqp_hb_load(src, dtype, (uint64_t)(off + (o0 + o) * out_stride + i * in_stride));
            memset(dst + lanes, 0, (size_t)(LANES - lanes) * sizeof *dst);
        }
    }
}

void vqp_ref_matrix_pack(float *dst, const void *src, uint32_t dtype, const struct vqp_ref_matrix *m)
{
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t t = 0; t < m->taps; t++, dst += vqp_ref_packed(m->outs, m->ins))
            vqp_ref_pack(dst, src, dtype, m->outs, m->ins, g * m->outs * m->ins * m->taps + t, m->ins * m->taps,
                         m->taps);
}
