#include "host_backend.h"
#include <math.h>
#include <vqpipe/philox.h>

VQP_HB_RUN(gumbel)
{
    (void)x;
    const float *noise = n->in[3].f;
    int64_t positions = n->out[0].dim[1];
    for (int64_t b = 0; b < n->out[0].dim[0]; b++) {
        const int32_t *seed = n->in[0].i + 2 * b;
        uint64_t key = (uint64_t)(uint32_t)seed[1] << 32 | (uint32_t)seed[0];
        for (int64_t k = 0; k < positions; k++) {
            float u = noise ? noise[b * positions + k]
                            : vqp_uniform(key, (uint32_t)n->in[1].i[0], n->op.u.sample.stream, (uint32_t)k, 0);
            n->out[0].f[b * positions + k] = -logf(-logf(u + 1e-30f) + 1e-30f);
        }
    }
}
