#include "ops.h"

VK_OP(truncate)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *out = &p->vals[op->out[0]];
    struct {
        uint32_t rows, classes;
        float low;
    } push = {vk_rows(out), vk_last(out), op->u.truncate.floor};
    int texel = vk_texels(plan, p, i, &vk_kernel_truncate_texel);
    struct vk_dispatch d = {.kernel = texel ? &vk_kernel_truncate_texel : &vk_kernel_truncate,
                            .work = 256 * (uint64_t)vk_count(out)};
    vk_row_group(plan, &d, 24, push.classes); /* 17 for the cut at most: each leaves a quarter of the keys */
    vk_bind_in(plan, &d, op, 0, texel);
    vk_bind_in(plan, &d, op, 1, texel);
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, push.rows);
    return vk_emit(plan, &d);
}
