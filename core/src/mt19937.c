#include "mt19937.h"

enum {
    N = 624,
    M = 397
};

void vqp_mt19937_seed(struct vqp_mt19937 *g, uint32_t seed)
{
    g->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        g->state[i] = 1812433253u * (g->state[i - 1] ^ (g->state[i - 1] >> 30)) + i;
    g->index = N;
}

static uint32_t twist(uint32_t upper, uint32_t lower)
{
    return (((upper & 0x80000000u) | (lower & 0x7FFFFFFFu)) >> 1) ^ (lower & 1 ? 0x9908B0DFu : 0);
}

static void refill(uint32_t *s)
{
    for (uint32_t i = 0; i < N; i++)
        s[i] = s[(i + M) % N] ^ twist(s[i], s[(i + 1) % N]);
}

static uint32_t next(struct vqp_mt19937 *g)
{
    if (g->index >= N) {
        refill(g->state);
        g->index = 0;
    }
    uint32_t y = g->state[g->index++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    return y ^ (y >> 18);
}

void vqp_mt19937_fill(void *g, uint32_t *dst, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        dst[i] = next(g);
}

void vqp_mt19937_uniform(struct vqp_mt19937 *g, float *dst, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        dst[i] = (float)(next(g) & 0xFFFFFF) * 0x1p-24f;
}
