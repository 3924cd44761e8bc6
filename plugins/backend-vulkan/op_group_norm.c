#include "ops.h"

VK_OP(group_norm)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]];
    uint32_t batch = vk_dim(x, 0), channels = vk_last(x);
    struct {
        uint32_t all, groups, channels, pixels;
        float eps;
    } push = {batch * op->u.norm.groups, op->u.norm.groups, channels, vk_count(x) / batch / channels, op->u.norm.eps};
    struct vk_dispatch d = {.kernel = &vk_kernel_group_norm};
    vk_constant(&d, vk_row_group(plan));
    vk_constant(&d, op->in[1] != 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.norm.act);
    for (int k = 0; k < 3; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, push.all);
    return vk_emit(plan, &d);
}
