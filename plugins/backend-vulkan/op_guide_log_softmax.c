#include "ops.h"

VK_OP(guide_log_softmax)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *out = &p->vals[op->out[0]];
    uint32_t push[] = {vk_rows(out), vk_last(out)};
    int texel = vk_texels(plan, p, i, &vk_kernel_guide_log_softmax_texel);
    struct vk_dispatch d = {.kernel = texel ? &vk_kernel_guide_log_softmax_texel : &vk_kernel_guide_log_softmax,
                            .work = 32 * (uint64_t)vk_count(out)};
    vk_row_group(plan, &d, 7, push[1]);
    vk_constant(&d, op->in[1] != 0);
    vk_bind_in(plan, &d, op, 0, texel);
    vk_bind_in(plan, &d, op, 1, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, push[0]);
    return vk_emit(plan, &d);
}
