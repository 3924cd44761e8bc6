#include "ops.h"

VK_OP(linear)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]], *gate = &p->vals[op->in[4]];
    uint32_t ins = vk_dim(w, 1), outs = vk_dim(w, 0), push[] = {vk_rows(out), ins, outs};
    struct vk_dispatch d = {.kernel = &vk_kernel_linear, .work = (uint64_t)push[0] * ins * outs};
    vk_constant(&d, ins % 4 == 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.linear.act);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, !op->in[4] ? 0 : gate->shape.rank == 1 && out->shape.rank > 1 ? 1 : 2);
    for (int k = 0; k < 5; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    d.groups[0] = (outs + 31) / 32;
    d.groups[1] = (push[0] + 63) / 64;
    return vk_emit(plan, &d);
}
