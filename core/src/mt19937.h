/* The Mersenne Twister MT19937 (Matsumoto, Nishimura 1998), seeded as init_genrand: torch's CPU generator. */
#ifndef VQP_MT19937_H
#define VQP_MT19937_H
#include <stdint.h>

struct vqp_mt19937 {
    uint32_t state[624], index;
};
void vqp_mt19937_seed(struct vqp_mt19937 *g, uint32_t seed);
void vqp_mt19937_fill(void *g, uint32_t *dst, uint64_t n); /* a vqp_u32_source of components.h */
/* torch.rand in float32: u = (bits & 0xFFFFFF) * 2^-24. */
void vqp_mt19937_uniform(struct vqp_mt19937 *g, float *dst, uint64_t n);

#endif
