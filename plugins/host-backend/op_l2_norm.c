#include "host_backend.h"
#include <math.h>

VQP_HB_RUN(l2_norm)
{
    (void)x;
    uint64_t width = (uint64_t)vqp_hb_last(&n->in[0]);
    for (uint64_t at = 0; at < n->in[0].count; at += width) {
        const float *in = n->in[0].f + at;
        double sum = 0;
        for (uint64_t d = 0; d < width; d++)
            sum += (double)in[d] * (double)in[d];
        for (uint64_t d = 0; d < width; d++)
            n->out[0].f[at + d] = (float)((double)in[d] / sqrt(sum));
    }
}
