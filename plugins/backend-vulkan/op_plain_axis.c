#include "ops.h"

VK_OP(axis)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *in = &p->vals[op->in[0]];
    struct {
        uint32_t lines, n, inner;
    } push = {0, vk_dim(in, op->u.axis.axis), 1};
    struct vk_dispatch d = {.kernel = &vk_kernel_plain_axis};
    for (uint32_t k = op->u.axis.axis + 1; k < in->shape.rank; k++)
        push.inner *= vk_dim(in, k);
    push.lines = vk_count(in) / push.n;
    d.turns = (op->kind == VQP_OP_SOFTMAX ? 3 : 1) * ((uint64_t)push.n + 1);
    vk_constant(&d, op->kind);
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, ((uint64_t)push.lines + 63) / 64);
    return vk_emit(plan, &d);
}

VK_OP(sort_k)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *in = &p->vals[op->in[0]];
    uint32_t push[] = {vk_count(in), vk_last(in), op->u.axis.count};
    struct vk_dispatch d = {.kernel = &vk_kernel_sort_k, .work = (uint64_t)push[0] * push[1], .turns = push[1] + 1ull};
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_bind_result(&d, vk_value(plan, op->out[1]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, ((uint64_t)push[0] + 63) / 64);
    return vk_emit(plan, &d);
}
