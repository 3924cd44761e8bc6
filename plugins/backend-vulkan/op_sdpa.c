#include "ops.h"

VK_OP(sdpa)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *q = &p->vals[op->in[0]], *k = &p->vals[op->in[1]];
    uint32_t heads = op->u.sdpa.heads, size = vk_dim(q, 2) / heads;
    struct {
        uint32_t n, queries, keys, heads;
        float scale;
    } push = {vk_dim(q, 0) * heads * vk_dim(q, 1), vk_dim(q, 1), vk_dim(k, 1), heads, op->u.sdpa.scale};
    struct vk_dispatch d = {.kernel = &vk_kernel_sdpa, .work = 2 * (uint64_t)push.n * push.keys * size};
    vk_constant(&d, size);
    vk_constant(&d, size % 4 == 0);
    vk_constant(&d, op->u.sdpa.causal != 0);
    vk_constant(&d, (size + 3) / 4);
    for (int at = 0; at < 3; at++)
        vk_bind(&d, vk_value(plan, op->in[at]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, ((uint64_t)push.n + 63) / 64);
    return vk_emit(plan, &d);
}
