#include "ops.h"

VK_OP(rope)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]];
    uint32_t heads = op->u.rope.heads;
    uint32_t push[] = {vk_count(x) / 2, vk_dim(x, 1), heads, vk_last(x) / heads / 2, op->u.rope.interleaved};
    struct vk_dispatch d = {.kernel = &vk_kernel_rope};
    for (int k = 0; k < 3; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, ((uint64_t)push[0] + 63) / 64);
    return vk_emit(plan, &d);
}
