#include "host_backend.h"

VQP_HB_RUN(embedding)
{
    (void)x;
    const struct vqp_hb_arg *ids = &n->in[0], *table = &n->in[1], *pos = &n->in[2];
    int64_t width = table->dim[1], positions = vqp_hb_last(ids);
    for (uint64_t k = 0; k < ids->count; k++) {
        const float *row = table->f + vqp_hb_clamp(ids->i[k], table->dim[0] - 1) * width;
        float *out = n->out[0].f + (int64_t)k * width;
        const float *add = pos->data ? pos->f + (int64_t)k % positions * width : NULL;
        for (int64_t d = 0; d < width; d++)
            out[d] = add ? row[d] + add[d] : row[d];
    }
}
