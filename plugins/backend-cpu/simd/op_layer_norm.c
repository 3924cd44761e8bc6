#include "simd.h"

enum {
    CHAINS = 4, /* sums at once, so that none waits for the one before */
    STRIDE = CHAINS * LANES
};

/* The sum over a row of (x - mean), or of its square. */
INLINE float total(const float *x, int64_t width, float mean, int squared)
{
    vf sum[CHAINS] = {0}, mv = splat(mean);
    int64_t d = 0;
    for (; d + STRIDE <= width; d += STRIDE)
        for (int64_t c = 0; c < CHAINS; c++) {
            vf v = load(x + d + c * LANES) - mv;
            sum[c] += squared ? v * v : v;
        }
    for (; d < width; d += LANES) {
        vf v = load_some(x + d, width - d, mean) - mv;
        sum[0] += squared ? v * v : v;
    }
    return sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* One row of LAYER_NORM or RMS_NORM. */
static void item(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    const struct vqp_hb_arg *in = &n->in[0], *weight = &n->in[1], *bias = &n->in[2], *table = &n->in[3],
                            *row = &n->in[4];
    int64_t width = vqp_hb_last(in), batch = in->rank > 1 ? in->dim[0] : 1, d;
    const float *x = in->f + (int64_t)k * width, *scale = NULL, *shift = NULL;
    if (table->data) {
        int64_t b = (int64_t)(k / (in->count / (uint64_t)(width * batch))), last = table->dim[0] - 1;
        int64_t r = row->data ? vqp_hb_clamp(row->i[row->count == 1 ? 0 : b], last) : last == 0 ? 0 : b;
        scale = table->f + r * 2 * width;
        shift = scale + width;
    }
    float mean = n->op.kind == VQP_OP_LAYER_NORM ? total(x, width, 0, 0) / (float)width : 0;
    vf mv = splat(mean);
    vf factor = splat(1 / sqrtf(total(x, width, mean, 1) / (float)width + n->op.u.norm.eps));
    for (d = 0; d < width; d += LANES) {
        vf y = (load_some(x + d, width - d, 0) - mv) * factor;
        if (weight->data)
            y *= load_some(weight->f + d, width - d, 0);
        if (bias->data)
            y += load_some(bias->f + d, width - d, 0);
        if (scale)
            y = y * (1.0f + load_some(scale + d, width - d, 0)) + load_some(shift + d, width - d, 0);
        store_as(n->out[0].data, n->out[0].dtype, (int64_t)k * width + d, width - d, y);
    }
}

ISA_RUN(layer_norm)
{
    vqp_hb_for(x, vqp_hb_rows(&n->in[0]), item, (void *)n);
}
