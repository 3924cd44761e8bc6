#include "ops.h"

VK_F16(conv2d)
{
    return vk_dim(&p->vals[p->ops[i].in[1]], 1) % 4 == 0;
}

/* Plain tier; half: the variants f16 and texel. */
static void plain(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const struct vk_kernel *kernel,
                  int half, int texel)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    uint32_t groups = op->u.conv.groups ? op->u.conv.groups : 1, stride = op->u.conv.stride ? op->u.conv.stride : 1;
    uint32_t factor = op->u.conv.upsample ? op->u.conv.upsample : 1, outs = vk_dim(out, 3), pixels = vk_rows(out);
    uint32_t push[] = {
        pixels, vk_dim(x, 1), vk_dim(x, 2), vk_dim(x, 3), vk_dim(out, 1), vk_dim(out, 2),     outs,
        groups, vk_dim(w, 2), vk_dim(w, 3), stride,       factor,         op->u.conv.pad_top, op->u.conv.pad_left};
    uint32_t half_weight = half && vk_f16(plan) && vk_f16_conv2d(p, i) && vk_fits_f16(plan, op->in[1]);
    struct vk_form channels_last = {.dtype = half_weight ? VQP_F16 : VQP_F32, .permute = 1, .perm = {0, 2, 3, 1}};
    struct vk_dispatch d = {.kernel = kernel,
                            .work = (uint64_t)pixels * vk_count(w),
                            .turns = (uint64_t)vk_dim(w, 2) * vk_dim(w, 3) * (2 + (vk_dim(w, 1) + 3) / 4) + 64};
    vk_constant(&d, vk_dim(w, 1) % 4 == 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.conv.act);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, groups > 1);
    if (half) {
        vk_constant(&d, vk_stored(plan, op->in[0]) == VQP_F16);
        vk_constant(&d, half_weight);
    }
    vk_bind_in(plan, &d, op, 0, texel);
    vk_bind_as(&d, vk_weight(plan, op->in[1], &channels_last), channels_last.dtype, texel);
    for (uint32_t k = 2; k < 4; k++)
        vk_bind_in(plan, &d, op, k, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    d.groups[0] = (outs + 31) / 32;
    d.groups[1] = texel ? (pixels + 7) / 8 : (pixels + 63) / 64;
    vk_emit(plan, &d);
}

VK_TIER(texel)
{
    uint32_t pixels = vk_rows(&p->vals[p->ops[i].out[0]]);
    if (pixels / 8 >= vk_caps(plan)->max_groups[1] || !vk_texels(plan, p, i, &vk_kernel_conv2d_texel))
        return 0;
    plain(plan, p, i, &vk_kernel_conv2d_texel, 1, 1);
    return 1;
}

VK_TIER(f16)
{
    if (!vk_f16(plan) || !vk_f16_conv2d(p, i) || !vk_usable(plan, &vk_kernel_conv2d_f16))
        return 0;
    plain(plan, p, i, &vk_kernel_conv2d_f16, 1, 0);
    return 1;
}

VK_TIER(f32)
{
    if (!vk_usable(plan, &vk_kernel_conv2d))
        return 0;
    plain(plan, p, i, &vk_kernel_conv2d, 0, 0);
    return 1;
}

VK_OP(conv2d)
{
    static const vk_tier tiers[] = {vk_coopmat_conv2d, texel, f16, f32, NULL};
    return vk_offer(plan, p, i, tiers, err);
}
