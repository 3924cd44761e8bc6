#include "simd.h"

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
    float mean = 0;
    if (n->op.kind == VQP_OP_LAYER_NORM) {
        vf sum = splat(0);
        for (d = 0; d < width; d += LANES)
            sum += load_some(x + d, width - d, 0);
        mean = sum_of(sum) / (float)width;
    }
    vf squares = splat(0), mv = splat(mean);
    for (d = 0; d < width; d += LANES) {
        vf v = load_some(x + d, width - d, mean) - mv;
        squares += v * v;
    }
    vf factor = splat(1 / sqrtf(sum_of(squares) / (float)width + n->op.u.norm.eps));
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
