#include "coopmat.h"
#include "ops.h"

VK_COOPMAT(linear)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]], *gate = &p->vals[op->in[4]];
    uint32_t ins = vk_dim(w, 1), outs = vk_dim(w, 0), push[] = {vk_rows(out), ins, outs};
    struct vk_product product = {
        .kernel = &vk_kernel_linear_coopmat,
        .rows = push[0],
        .terms = ins,
        .outs = outs,
        .vectors = ins % 8 == 0,
        .act = op->u.linear.act,
        .gate_form = !op->in[4]                                     ? 0
                     : gate->shape.rank == 1 && out->shape.rank > 1 ? 1
                                                                    : 2,
        .a = op->in[0],
        .bias = op->in[2],
        .residual = op->in[3],
        .gate = op->in[4],
        .result = op->out[0],
        .weight = op->in[1],
        .form = {.dtype = VQP_F16},
        .push = push,
        .push_bytes = sizeof push,
    };
    return vk_product_emit(plan, &product);
}
