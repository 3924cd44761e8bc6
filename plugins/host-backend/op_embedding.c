#include "host_backend.h"
#include <string.h>

static void item(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    const struct vqp_hb_arg *ids = &n->in[0], *table = &n->in[1], *pos = &n->in[2];
    int64_t width = table->dim[1];
    const float *row = table->f + vqp_hb_clamp(ids->i[k], table->dim[0] - 1) * width;
    float *out = n->out[0].f + (int64_t)k * width;
    if (!pos->data) {
        memcpy(out, row, (size_t)width * sizeof *out);
        return;
    }
    const float *add = pos->f + (int64_t)k % vqp_hb_last(ids) * width;
    for (int64_t d = 0; d < width; d++)
        out[d] = row[d] + add[d];
}

VQP_HB_RUN(embedding)
{
    vqp_hb_for(x, n->in[0].count, item, (void *)n);
}
