#include "ops.h"

static uint32_t head_size(const struct vqp_program_view *p, uint32_t i)
{
    return vk_dim(&p->vals[p->ops[i].in[0]], 2) / p->ops[i].u.sdpa.heads;
}

VK_F16(sdpa)
{
    return head_size(p, i) % 4 == 0;
}

/* As sdpa.comp: two loops over a key's vectors for four keys, from 33 vectors on eight a turn and then the up to seven left over. Shorter
 * heads are unrolled. */
static uint64_t turns(uint64_t keys, uint64_t vectors)
{
    uint64_t each = vectors > 32 ? 2 * (vectors / 8 + 1 + vectors % 8 + 1) : 0;
    return (keys / 4 + 2) * (1 + each) + 8 * (vectors + 1);
}

/* Plain tier; half: the variants f16 and texel. */
static void plain(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const struct vk_kernel *kernel,
                  int half, int texel)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *q = &p->vals[op->in[0]], *k = &p->vals[op->in[1]];
    uint32_t heads = op->u.sdpa.heads, size = head_size(p, i);
    struct {
        uint32_t n, queries, keys, heads;
        float scale;
    } push = {vk_dim(q, 0) * heads * vk_dim(q, 1), vk_dim(q, 1), vk_dim(k, 1), heads, op->u.sdpa.scale};
    struct vk_dispatch d = {.kernel = kernel, .work = 2 * (uint64_t)push.n * push.keys * size};
    d.turns = turns(push.keys, (size + 3) / 4);
    vk_constant(&d, size);
    vk_constant(&d, size % 4 == 0);
    vk_constant(&d, op->u.sdpa.causal != 0);
    vk_constant(&d, (size + 3) / 4);
    for (int at = 0; at < 4 && half; at++)
        vk_constant(&d, vk_stored(plan, at < 3 ? op->in[at] : op->out[0]) == VQP_F16);
    for (uint32_t at = 0; at < 3; at++)
        vk_bind_in(plan, &d, op, at, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, ((uint64_t)push.n + 63) / 64);
    vk_emit(plan, &d);
}

VK_TIER(texel)
{
    if (!vk_texels(plan, p, i, &vk_kernel_sdpa_texel))
        return 0;
    plain(plan, p, i, &vk_kernel_sdpa_texel, 1, 1);
    return 1;
}

VK_TIER(f16)
{
    if (!vk_f16(plan) || !vk_f16_sdpa(p, i) || !vk_usable(plan, &vk_kernel_sdpa_f16))
        return 0;
    plain(plan, p, i, &vk_kernel_sdpa_f16, 1, 0);
    return 1;
}

VK_TIER(f32)
{
    if (!vk_usable(plan, &vk_kernel_sdpa))
        return 0;
    plain(plan, p, i, &vk_kernel_sdpa, 0, 0);
    return 1;
}

VK_OP(sdpa)
{
    static const vk_tier tiers[] = {vk_coopmat_sdpa, texel, f16, f32, NULL};
    return vk_offer(plan, p, i, tiers, err);
}
