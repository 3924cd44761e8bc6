#include "matrix.h"
#include "ops.h"

int vk_conv2d_coopmat_fits(const struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    struct vk_tile tile;
    return vk_f16(plan) && vk_is_weight(w) && op->u.conv.groups <= 1 && vk_rows(out) >= VK_COOPMAT_LEAST_ROWS &&
           vk_tile_choose(vk_caps(plan), vk_rows(out), vk_dim(w, 0), &tile);
}

vqp_status vk_conv2d_coopmat(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
{
    static const struct vk_form channels_last = {.dtype = VQP_F16, .permute = 1, .perm = {0, 2, 3, 1}};
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    uint32_t stride = op->u.conv.stride ? op->u.conv.stride : 1, factor = op->u.conv.upsample ? op->u.conv.upsample : 1;
    uint32_t ins = vk_dim(x, 3), outs = vk_dim(out, 3);
    uint32_t push[] = {vk_rows(out), vk_dim(x, 1), vk_dim(x, 2), ins,    vk_dim(out, 1),     vk_dim(out, 2),     outs,
                       vk_dim(w, 2), vk_dim(w, 3), stride,       factor, op->u.conv.pad_top, op->u.conv.pad_left};
    struct vk_product product = {
        .kernel = &vk_kernel_conv2d_coopmat,
        .rows = push[0],
        .terms = vk_dim(w, 2) * vk_dim(w, 3) * ins,
        .outs = outs,
        .vectors = ins % 8 == 0,
        .act = op->u.conv.act,
        .a = op->in[0],
        .bias = op->in[2],
        .residual = op->in[3],
        .result = op->out[0],
        .weight = vk_weight(plan, op->in[1], &channels_last),
        .push = push,
        .push_bytes = sizeof push,
    };
    struct vk_tile tile;
    vk_tile_choose(vk_caps(plan), product.rows, outs, &tile);
    return vk_product_emit(plan, &product, &tile);
}
