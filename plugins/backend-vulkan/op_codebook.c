#include "ops.h"

VK_OP(codebook)
{
    return vk_op_embedding(plan, p, i, err); /* one kernel; it looks at the kind */
}

VK_OP(nearest_code)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *table = &p->vals[op->in[1]];
    uint32_t push[] = {vk_count(&p->vals[op->out[0]]), vk_dim(table, 1), vk_dim(table, 0)};
    struct vk_dispatch d = {.kernel = &vk_kernel_nearest_code, .work = (uint64_t)push[0] * vk_count(table)};
    vk_row_group(plan, &d, (uint64_t)push[1] + 2, push[2]);
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, push[0]);
    return vk_emit(plan, &d);
}
