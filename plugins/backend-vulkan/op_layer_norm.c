#include "ops.h"

VK_OP(norm)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *row = &p->vals[op->in[4]];
    uint32_t batch = x->shape.rank > 1 ? vk_dim(x, 0) : 1, l2 = op->kind == VQP_OP_L2_NORM;
    struct {
        uint32_t rows, width, per_batch, table_rows;
        float eps;
    } push = {vk_rows(x), vk_last(x), vk_rows(x) / batch, vk_dim(&p->vals[op->in[3]], 0), l2 ? 0 : op->u.norm.eps};
    struct vk_dispatch d = {.kernel = &vk_kernel_layer_norm};
    vk_constant(&d, vk_row_group(plan));
    vk_constant(&d, l2 ? 2 : op->kind == VQP_OP_RMS_NORM);
    vk_constant(&d, op->in[1] != 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, !op->in[4] ? 0 : vk_count(row) == 1 ? 1 : 2);
    for (int k = 0; k < 5; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, push.rows);
    return vk_emit(plan, &d);
}
