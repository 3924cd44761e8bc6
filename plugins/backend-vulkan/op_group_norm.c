#include "ops.h"

VK_F16(group_norm)
{
    const struct vqp_op *op = &p->ops[i];
    return vk_last(&p->vals[op->in[0]]) / op->u.norm.groups % 2 == 0;
}

static void plain(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const struct vk_kernel *kernel,
                  int texel)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]];
    uint32_t batch = vk_dim(x, 0), channels = vk_last(x);
    struct {
        uint32_t all, groups, channels, pixels;
        float eps;
    } push = {batch * op->u.norm.groups, op->u.norm.groups, channels, vk_count(x) / batch / channels, op->u.norm.eps};
    struct vk_dispatch d = {.kernel = kernel};
    vk_row_group(plan, &d, 3, (uint64_t)push.pixels * (channels / push.groups));
    vk_constant(&d, op->in[1] != 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.norm.act);
    for (uint32_t k = 0; k < 3; k++)
        vk_bind_in(plan, &d, op, k, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, push.all);
    vk_emit(plan, &d);
}

VK_TIER(texel)
{
    const struct vk_kernel *kernel =
        vk_stored(plan, p->ops[i].out[0]) == VQP_F16 ? &vk_kernel_group_norm_texel_f16 : &vk_kernel_group_norm_texel;
    if (!vk_texels(plan, p, i, kernel))
        return 0;
    plain(plan, p, i, kernel, 1);
    return 1;
}

VK_TIER(f16)
{
    if (vk_stored(plan, p->ops[i].out[0]) != VQP_F16 || !vk_usable(plan, &vk_kernel_group_norm_f16))
        return 0;
    plain(plan, p, i, &vk_kernel_group_norm_f16, 0);
    return 1;
}

VK_TIER(f32)
{
    if (!vk_usable(plan, &vk_kernel_group_norm))
        return 0;
    plain(plan, p, i, &vk_kernel_group_norm, 0);
    return 1;
}

VK_OP(group_norm)
{
    static const vk_tier tiers[] = {texel, f16, f32, NULL};
    return vk_offer(plan, p, i, tiers, err);
}
