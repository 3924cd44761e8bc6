#include "reference.h"
#include <math.h>

/* One row of LAYER_NORM or RMS_NORM. */
static void item(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    const struct vqp_hb_arg *in = &n->in[0], *weight = &n->in[1], *bias = &n->in[2], *table = &n->in[3],
                            *row = &n->in[4];
    int64_t width = vqp_hb_last(in), batch = in->rank > 1 ? in->dim[0] : 1;
    int64_t b = (int64_t)(k / (in->count / (uint64_t)(width * batch)));
    const float *x = in->f + (int64_t)k * width, *scale = NULL;
    double mean = 0, var = 0;
    if (n->op.kind == VQP_OP_LAYER_NORM) {
        for (int64_t d = 0; d < width; d++)
            mean += (double)x[d];
        mean /= (double)width;
    }
    for (int64_t d = 0; d < width; d++)
        var += ((double)x[d] - mean) * ((double)x[d] - mean);
    if (table->data) {
        int64_t last = table->dim[0] - 1;
        int64_t r = row->data ? vqp_hb_clamp(row->i[row->count == 1 ? 0 : b], last) : last == 0 ? 0 : b;
        scale = table->f + r * 2 * width;
    }
    double factor = 1 / sqrt(var / (double)width + (double)n->op.u.norm.eps);
    for (int64_t d = 0; d < width; d++) {
        double y = ((double)x[d] - mean) * factor;
        if (weight->data)
            y *= (double)weight->f[d];
        if (bias->data)
            y += (double)bias->f[d];
        if (scale)
            y = y * (1 + (double)scale[d]) + (double)scale[width + d];
        n->out[0].f[(int64_t)k * width + d] = (float)y;
    }
}

VQP_REF_RUN(layer_norm)
{
    vqp_hb_for(x, n->in[0].count / (uint64_t)vqp_hb_last(&n->in[0]), item, (void *)n);
}
