#include "matrix.h"
#include "ops.h"

int vk_linear_coopmat_fits(const struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    struct vk_tile tile;
    return vk_f16(plan) && vk_is_weight(w) && vk_rows(out) >= VK_COOPMAT_LEAST_ROWS &&
           vk_tile_choose(vk_caps(plan), vk_rows(out), vk_dim(w, 0), &tile);
}

vqp_status vk_linear_coopmat(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
{
    static const struct vk_form half = {.dtype = VQP_F16};
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
        .weight = vk_weight(plan, op->in[1], &half),
        .push = push,
        .push_bytes = sizeof push,
    };
    struct vk_tile tile;
    vk_tile_choose(vk_caps(plan), product.rows, outs, &tile);
    return vk_product_emit(plan, &product, &tile);
}
