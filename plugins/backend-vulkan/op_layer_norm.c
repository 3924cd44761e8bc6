#include "ops.h"

static void plain(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const struct vk_kernel *kernel,
                  int texel)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *row = &p->vals[op->in[4]];
    uint32_t batch = x->shape.rank > 1 ? vk_dim(x, 0) : 1, l2 = op->kind == VQP_OP_L2_NORM;
    struct {
        uint32_t rows, width, per_batch, table_rows;
        float eps;
    } push = {vk_rows(x), vk_last(x), vk_rows(x) / batch, vk_dim(&p->vals[op->in[3]], 0), l2 ? 0 : op->u.norm.eps};
    struct vk_dispatch d = {.kernel = kernel};
    vk_row_group(plan, &d, 3, push.width);
    vk_constant(&d, l2 ? 2 : op->kind == VQP_OP_RMS_NORM);
    vk_constant(&d, op->in[1] != 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, !op->in[4] ? 0 : vk_count(row) == 1 ? 1 : 2);
    for (uint32_t k = 0; k < 4; k++)
        vk_bind_in(plan, &d, op, k, texel);
    vk_bind_as(&d, vk_value(plan, op->in[4]), VQP_I32, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, push.rows);
    vk_emit(plan, &d);
}

VK_TIER(texel)
{
    const struct vk_kernel *kernel =
        vk_stored(plan, p->ops[i].out[0]) == VQP_F16 ? &vk_kernel_layer_norm_texel_f16 : &vk_kernel_layer_norm_texel;
    if (!vk_texels(plan, p, i, kernel))
        return 0;
    plain(plan, p, i, kernel, 1);
    return 1;
}

VK_TIER(f16)
{
    if (vk_stored(plan, p->ops[i].out[0]) != VQP_F16 || !vk_usable(plan, &vk_kernel_layer_norm_f16))
        return 0;
    plain(plan, p, i, &vk_kernel_layer_norm_f16, 0);
    return 1;
}

VK_TIER(f32)
{
    if (!vk_usable(plan, &vk_kernel_layer_norm))
        return 0;
    plain(plan, p, i, &vk_kernel_layer_norm, 0);
    return 1;
}

VK_OP(norm)
{
    static const vk_tier tiers[] = {texel, f16, f32, NULL};
    return vk_offer(plan, p, i, tiers, err);
}
