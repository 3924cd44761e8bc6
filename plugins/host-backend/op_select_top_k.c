#include "host_backend.h"

VQP_HB_SCRATCH(select_top_k)
{
    return (uint64_t)n->in[0].dim[1] * sizeof(uint32_t);
}

VQP_HB_RUN(select_top_k)
{
    int64_t positions = n->in[0].dim[1], k = vqp_hb_clamp(n->in[1].i[0], positions);
    uint32_t *order = (uint32_t *)x->scratch;
    for (int64_t b = 0; b < n->in[0].dim[0]; b++) {
        int32_t *out = n->out[0].i + b * positions;
        vqp_hb_sort(n->in[0].f + b * positions, order, (uint32_t)positions);
        for (int64_t j = 0; j < positions; j++)
            out[order[j]] = j < k;
    }
}
