#include "reference.h"
#include <math.h>

/* One group of one batch row. */
static void item(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    const struct vqp_hb_arg *in = &n->in[0], *weight = &n->in[1], *bias = &n->in[2];
    int64_t channels = vqp_hb_last(in), groups = n->op.u.norm.groups, each = channels / groups;
    int64_t places = (int64_t)in->count / in->dim[0] / channels, first = (int64_t)k % groups * each;
    int64_t off = (int64_t)k / groups * places * channels + first;
    const float *x = in->f + off;
    float *out = n->out[0].f + off;
    double mean = 0, var = 0, count = (double)(places * each);
    for (int64_t p = 0; p < places; p++)
        for (int64_t c = 0; c < each; c++)
            mean += (double)x[p * channels + c];
    mean /= count;
    for (int64_t p = 0; p < places; p++)
        for (int64_t c = 0; c < each; c++) {
            double d = (double)x[p * channels + c] - mean;
            var += d * d;
        }
    double factor = 1 / sqrt(var / count + (double)n->op.u.norm.eps);
    for (int64_t p = 0; p < places; p++)
        for (int64_t c = 0; c < each; c++) {
            double y = ((double)x[p * channels + c] - mean) * factor;
            if (weight->data)
                y *= (double)weight->f[first + c];
            if (bias->data)
                y += (double)bias->f[first + c];
            out[p * channels + c] = (float)vqp_ref_act(n->op.u.norm.act, y);
        }
}

VQP_REF_RUN(group_norm)
{
    vqp_hb_for(x, (uint64_t)n->in[0].dim[0] * n->op.u.norm.groups, item, (void *)n);
}
