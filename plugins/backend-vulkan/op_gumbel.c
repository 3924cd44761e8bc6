#include "ops.h"

VK_OP(gumbel)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *out = &p->vals[op->out[0]];
    uint32_t push[] = {vk_count(out), vk_dim(out, 1), op->u.sample.stream};
    struct vk_dispatch d = {.kernel = &vk_kernel_gumbel};
    vk_constant(&d, op->in[3] != 0);
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind(&d, vk_value(plan, op->in[3]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, ((uint64_t)push[0] + 63) / 64);
    return vk_emit(plan, &d);
}
