#include "ops.h"

VK_OP(to_rgb)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    uint32_t n = vk_count(&p->vals[op->in[0]]);
    struct vk_dispatch d = {.kernel = &vk_kernel_to_rgb};
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &n, sizeof n);
    vk_spread(&d, ((uint64_t)n + 255) / 256);
    return vk_emit(plan, &d);
}
