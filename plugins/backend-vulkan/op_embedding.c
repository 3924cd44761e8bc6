#include "ops.h"

VK_OP(embedding)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *table = &p->vals[op->in[1]];
    uint32_t push[] = {vk_count(&p->vals[op->out[0]]), vk_dim(table, 1), vk_dim(table, 0),
                       vk_last(&p->vals[op->in[0]])};
    struct vk_dispatch d = {.kernel = &vk_kernel_embedding};
    vk_constant(&d, op->kind == VQP_OP_CODEBOOK);
    vk_constant(&d, op->in[2] != 0);
    for (int k = 0; k < 3; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, ((uint64_t)push[0] + 63) / 64);
    return vk_emit(plan, &d);
}
