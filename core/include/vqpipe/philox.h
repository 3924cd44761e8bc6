/* vqpipe's counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011). No state: every backend draws the same number for the same place, in any order.
 *
 *   key     = the image's 64-bit seed, low word first
 *   counter = (position in the token grid, class / 4, evaluation index, stream)
 *   u       = (bits >> 9) * 2^-23 + 2^-24, strictly inside (0, 1); class % 4 picks one of the four words
 *
 * Stream 0 is the token noise; 1 and up are a sampler's own. Neither the batch index nor the timestep is counted, so an
 * image is the same alone and as the k-th of a batch. */
#ifndef VQPIPE_PHILOX_H
#define VQPIPE_PHILOX_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* ctr is replaced by the four output words. */
static inline void vqp_philox4x32_10(uint32_t ctr[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * ctr[0], b = (uint64_t)0xCD9E8D57u * ctr[2];
        uint32_t c0 = (uint32_t)(b >> 32) ^ ctr[1] ^ k0, c2 = (uint32_t)(a >> 32) ^ ctr[3] ^ k1;
        ctr[1] = (uint32_t)b;
        ctr[3] = (uint32_t)a;
        ctr[0] = c0;
        ctr[2] = c2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static inline float vqp_unit_float(uint32_t bits)
{
    return (float)(bits >> 9) * 0x1p-23f + 0x1p-24f;
}

/* u[0..3] for classes 4*quad .. 4*quad+3. */
static inline void vqp_uniform4(uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position, uint32_t quad,
                                float u[4])
{
    uint32_t ctr[4] = {position, quad, eval, stream};
    vqp_philox4x32_10(ctr, (uint32_t)seed, (uint32_t)(seed >> 32));
    for (int i = 0; i < 4; i++)
        u[i] = vqp_unit_float(ctr[i]);
}

static inline float vqp_uniform(uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position, uint32_t cls)
{
    float u[4];
    vqp_uniform4(seed, eval, stream, position, cls / 4, u);
    return u[cls % 4];
}

#ifdef __cplusplus
}
#endif
#endif
