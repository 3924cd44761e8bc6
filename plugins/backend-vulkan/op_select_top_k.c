#include "ops.h"

VK_OP(select_top_k)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *in = &p->vals[op->in[0]];
    uint32_t push[] = {vk_count(in), vk_last(in), 0};
    struct vk_dispatch d = {
        .kernel = &vk_kernel_sort_k_top, .work = (uint64_t)push[0] * push[1], .turns = push[1] + 1ull};
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, ((uint64_t)push[0] + 63) / 64);
    return vk_emit(plan, &d);
}
