#include "ops.h"

VK_SUPPORTS(add)
{
    (void)caps;
    const struct vqp_val_info *a = &p->vals[p->ops[i].in[0]], *b = &p->vals[p->ops[i].in[1]];
    return p->vals[p->ops[i].out[0]].dtype == VQP_F32 && !memcmp(&a->shape, &b->shape, sizeof a->shape);
}

VK_OP(add)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    uint32_t n = (uint32_t)(p->vals[op->out[0]].bytes / 4);
    struct vk_dispatch d = {.kernel = &vk_kernel_add};
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &n, sizeof n);
    vk_spread(&d, (n + 63) / 64);
    return vk_emit(plan, &d);
}
