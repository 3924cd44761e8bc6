#include "host_backend.h"
#include <string.h>

/* concat, slice, permute, gather, scatter: elements of four bytes are moved, whatever they are. */

VQP_HB_RUN(concat)
{
    (void)x;
    uint32_t axis = n->op.u.axis.axis;
    struct vqp_hb_axis to = vqp_hb_axis(&n->out[0], axis);
    int64_t off = 0;
    for (uint32_t k = 0; k < VQP_OP_MAX_IN && n->in[k].data; k++) {
        struct vqp_hb_axis from = vqp_hb_axis(&n->in[k], axis);
        int64_t run = from.n * from.inner;
        for (int64_t o = 0; o < from.outer; o++)
            memcpy(n->out[0].f + o * to.n * to.inner + off, n->in[k].f + o * run, (size_t)run * 4);
        off += run;
    }
}

VQP_HB_RUN(slice)
{
    (void)x;
    struct vqp_hb_axis from = vqp_hb_axis(&n->in[0], n->op.u.axis.axis);
    int64_t run = (int64_t)n->op.u.axis.count * from.inner, start = (int64_t)n->op.u.axis.start * from.inner;
    for (int64_t o = 0; o < from.outer; o++)
        memcpy(n->out[0].f + o * run, n->in[0].f + o * from.n * from.inner + start, (size_t)run * 4);
}

VQP_HB_RUN(permute)
{
    (void)x;
    const struct vqp_hb_arg *in = &n->in[0], *out = &n->out[0];
    int64_t stride[VQP_MAX_RANK], index[VQP_MAX_RANK] = {0}, at = 0;
    for (uint32_t i = 0; i < out->rank; i++) {
        stride[i] = 1;
        for (uint32_t k = n->op.u.permute.perm[i] + 1u; k < in->rank; k++)
            stride[i] *= in->dim[k];
    }
    for (uint64_t k = 0; k < out->count; k++) {
        out->i[k] = in->i[at];
        for (uint32_t i = out->rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < out->dim[i])
                break;
            at -= stride[i] * out->dim[i];
            index[i] = 0;
        }
    }
}

/* Where entry `k` of `a` stands in an array of `base`'s shape, its place along `axis` replaced by `along`. */
static int64_t place(const struct vqp_hb_arg *a, uint64_t k, const struct vqp_hb_arg *base, uint32_t axis,
                     int64_t along)
{
    int64_t at = 0, stride = 1;
    for (uint32_t i = a->rank; i-- > 0;) {
        at += stride * (i == axis ? along : (int64_t)(k % (uint64_t)a->dim[i]));
        stride *= base->dim[i];
        k /= (uint64_t)a->dim[i];
    }
    return at;
}

VQP_HB_RUN(gather)
{
    (void)x;
    const struct vqp_hb_arg *in = &n->in[0], *index = &n->in[1];
    uint32_t axis = n->op.u.axis.axis;
    for (uint64_t k = 0; k < index->count; k++)
        n->out[0].i[k] = in->i[place(index, k, in, axis, vqp_hb_clamp(index->i[k], in->dim[axis] - 1))];
}

VQP_HB_RUN(scatter)
{
    (void)x;
    const struct vqp_hb_arg *base = &n->in[0], *index = &n->in[1];
    uint32_t axis = n->op.u.axis.axis;
    memcpy(n->out[0].data, base->data, base->count * 4);
    for (uint64_t k = 0; k < index->count; k++)
        if (index->i[k] >= 0 && index->i[k] < base->dim[axis])
            n->out[0].i[place(index, k, base, axis, index->i[k])] = n->in[2].i[k];
}
