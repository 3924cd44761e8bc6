#include "host_backend.h"
#include <math.h>

/* Ops along one axis: element j of a line is at first + j*inner. */

VQP_HB_RUN(reduce)
{
    (void)x;
    struct vqp_hb_axis s = vqp_hb_axis(&n->in[0], n->op.u.axis.axis);
    for (int64_t line = 0; line < s.outer * s.inner; line++) {
        const float *v = n->in[0].f + line / s.inner * s.n * s.inner + line % s.inner;
        double sum = 0, max = -INFINITY;
        int64_t best = -1;
        int nan = 0;
        for (int64_t j = 0; j < s.n; j++) {
            double e = (double)v[j * s.inner];
            sum += e;
            nan |= isnan(e);
            if (!isnan(e) && (best < 0 || e > max)) {
                max = e;
                best = j;
            }
        }
        if (n->op.kind == VQP_OP_REDUCE_SUM)
            n->out[0].f[line] = (float)sum;
        else if (n->op.kind == VQP_OP_REDUCE_MAX)
            n->out[0].f[line] = nan ? NAN : (float)max;
        else
            n->out[0].i[line] = best < 0 ? 0 : (int32_t)best;
    }
}

VQP_HB_RUN(softmax)
{
    (void)x;
    struct vqp_hb_axis s = vqp_hb_axis(&n->in[0], n->op.u.axis.axis);
    for (int64_t line = 0; line < s.outer * s.inner; line++) {
        int64_t first = line / s.inner * s.n * s.inner + line % s.inner;
        const float *v = n->in[0].f + first;
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < s.n; j++)
            max = (double)v[j * s.inner] > max ? (double)v[j * s.inner] : max;
        for (int64_t j = 0; j < s.n; j++)
            sum += exp((double)v[j * s.inner] - max);
        for (int64_t j = 0; j < s.n; j++)
            n->out[0].f[first + j * s.inner] = (float)(exp((double)v[j * s.inner] - max) / sum);
    }
}

VQP_HB_RUN(cumsum)
{
    (void)x;
    struct vqp_hb_axis s = vqp_hb_axis(&n->in[0], n->op.u.axis.axis);
    for (int64_t line = 0; line < s.outer * s.inner; line++) {
        int64_t at = line / s.inner * s.n * s.inner + line % s.inner;
        double sum = 0;
        for (int64_t j = 0; j < s.n; j++, at += s.inner) {
            sum += (double)n->in[0].f[at];
            n->out[0].f[at] = (float)sum;
        }
    }
}

VQP_HB_SCRATCH(sort_k)
{
    return (uint64_t)vqp_hb_last(&n->in[0]) * sizeof(uint32_t);
}

VQP_HB_RUN(sort_k)
{
    uint32_t width = (uint32_t)vqp_hb_last(&n->in[0]), k = n->op.u.axis.count, *order = (uint32_t *)x->scratch;
    for (uint64_t row = 0; row < n->in[0].count / width; row++) {
        const float *v = n->in[0].f + row * width;
        vqp_hb_sort(v, order, width);
        for (uint32_t j = 0; j < k; j++) {
            n->out[0].f[row * k + j] = v[order[j]];
            n->out[1].i[row * k + j] = (int32_t)order[j];
        }
    }
}
