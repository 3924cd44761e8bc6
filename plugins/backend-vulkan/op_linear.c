#include "ops.h"

VK_F16(linear)
{
    return vk_dim(&p->vals[p->ops[i].in[1]], 1) % 4 == 0;
}

static int is_q8_0(const struct vqp_program_view *p, uint32_t i)
{
    return p->vals[p->ops[i].in[1]].dtype == VQP_Q8_0;
}

/* Plain tier; half: the variants f16, texel and q8_0. */
static void plain(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const struct vk_kernel *kernel,
                  int half, int texel)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]], *gate = &p->vals[op->in[4]];
    uint32_t ins = vk_dim(w, 1), outs = vk_dim(w, 0), push[] = {vk_rows(out), ins, outs};
    int q8_0 = is_q8_0(p, i);
    uint32_t half_weight = half && !q8_0 && vk_f16(plan) && vk_f16_linear(p, i) && vk_fits_f16(plan, op->in[1]);
    struct vk_dispatch d = {
        .kernel = kernel, .work = (uint64_t)push[0] * ins * outs, .turns = 64ull + (ins % 4 ? ins : ins / 4)};
    vk_constant(&d, ins % 4 == 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.linear.act);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, !op->in[4] ? 0 : gate->shape.rank == 1 && out->shape.rank > 1 ? 1 : 2);
    if (half) {
        vk_constant(&d, vk_stored(plan, op->in[0]) == VQP_F16);
        vk_constant(&d, half_weight);
        vk_constant(&d, vk_stored(plan, op->out[0]) == VQP_F16);
    }
    vk_bind_in(plan, &d, op, 0, texel);
    vk_bind_as(&d, vk_matrix(plan, op->in[1], half_weight), half_weight ? VQP_F16 : vk_value_dtype(plan, op->in[1]),
               texel);
    for (uint32_t k = 2; k < (q8_0 ? 6u : 5u); k++)
        vk_bind_in(plan, &d, op, k, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    d.groups[0] = (outs + 31) / 32;
    d.groups[1] = texel ? (push[0] + 7) / 8 : (push[0] + 63) / 64;
    vk_emit(plan, &d);
}

VK_TIER(texel)
{
    const struct vk_kernel *kernel = is_q8_0(p, i) ? &vk_kernel_linear_texel_q8_0 : &vk_kernel_linear_texel;
    uint32_t rows = vk_rows(&p->vals[p->ops[i].out[0]]);
    if (rows / 8 >= vk_caps(plan)->max_groups[1] || !vk_texels(plan, p, i, kernel))
        return 0;
    plain(plan, p, i, kernel, 1, 1);
    return 1;
}

VK_TIER(f16)
{
    if (!vk_f16(plan) || !vk_f16_linear(p, i) || !vk_usable(plan, &vk_kernel_linear_f16))
        return 0;
    plain(plan, p, i, &vk_kernel_linear_f16, 1, 0);
    return 1;
}

VK_TIER(f32)
{
    if (!vk_usable(plan, &vk_kernel_linear))
        return 0;
    plain(plan, p, i, &vk_kernel_linear, 0, 0);
    return 1;
}

VK_TIER(q8_0)
{
    if (!vk_usable(plan, &vk_kernel_linear_q8_0))
        return 0;
    plain(plan, p, i, &vk_kernel_linear_q8_0, 1, 0);
    return 1;
}

VK_OP(linear)
{
    static const vk_tier tiers[] = {vk_coopmat_linear, texel, f16, f32, NULL};
    static const vk_tier q8_0_tiers[] = {texel, q8_0, NULL};
    return vk_offer(plan, p, i, is_q8_0(p, i) ? q8_0_tiers : tiers, err);
}
