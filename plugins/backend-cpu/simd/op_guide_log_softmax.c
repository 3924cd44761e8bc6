#include "simd.h"

static float log_sum_exp(const float *v, int64_t n)
{
    vf most = splat(-INFINITY), sum = splat(0);
    for (int64_t k = 0; k < n; k += LANES)
        most = larger(load_some(v + k, n - k, -INFINITY), most);
    float max = largest_of(most);
    for (int64_t k = 0; k < n; k += LANES)
        sum += vexp_falling(load_some(v + k, n - k, -INFINITY) - max);
    return max + logf(sum_of(sum));
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    int64_t classes = vqp_hb_last(&n->out[0]), at = (int64_t)i * classes;
    const float *u = n->in[0].f + at, *c = u + n->out[0].count;
    float *out = n->out[0].f + at;
    float norm_u = log_sum_exp(u, classes);
    if (!n->in[1].data) {
        for (int64_t k = 0; k < classes; k += LANES)
            store_some(out + k, classes - k, load_some(u + k, classes - k, 0) - norm_u);
        return;
    }
    float norm_c = log_sum_exp(c, classes), scale = n->in[1].f[0];
    for (int64_t k = 0; k < classes; k += LANES) {
        vf a = load_some(u + k, classes - k, 0) - norm_u, b = load_some(c + k, classes - k, 0) - norm_c;
        store_some(out + k, classes - k, a + scale * (b - a));
    }
    float norm = log_sum_exp(out, classes);
    for (int64_t k = 0; k < classes; k += LANES)
        store_some(out + k, classes - k, load_some(out + k, classes - k, 0) - norm);
}

ISA_RUN(guide_log_softmax)
{
    vqp_hb_for(x, vqp_hb_rows(&n->out[0]), item, (void *)n);
}
