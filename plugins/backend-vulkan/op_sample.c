#include "ops.h"

/* logp, seed, eval, noise: the operands that both samplers have. */
static struct vk_dispatch begin(struct vk_plan *plan, const struct vqp_program_view *p, const struct vqp_op *op,
                                uint32_t seed, const struct vk_kernel *kernel)
{
    const struct vqp_val_info *logp = &p->vals[op->in[0]];
    struct vk_dispatch d = {.kernel = kernel, .work = 64 * (uint64_t)vk_count(logp)};
    uint32_t push[] = {vk_rows(logp), vk_dim(logp, 1), vk_last(logp), op->u.sample.stream};
    vk_row_group(plan, &d, 8, push[2]); /* three, the last one with a loop inside for every four classes */
    vk_constant(&d, op->in[seed + 2] != 0);
    vk_bind(&d, vk_value(plan, op->in[0]));
    for (uint32_t k = seed; k < seed + 3; k++)
        vk_bind(&d, vk_value(plan, op->in[k]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    vk_spread(&d, push[0]);
    return d;
}

VK_OP(posterior_sample)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct vk_dispatch d = begin(plan, p, op, 3, &vk_kernel_sample_posterior);
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind(&d, vk_value(plan, op->in[2]));
    return vk_emit(plan, &d);
}

VK_OP(categorical_sample)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct vk_dispatch d = begin(plan, p, op, 1, &vk_kernel_sample);
    vk_bind_result(&d, vk_value(plan, op->out[1]));
    return vk_emit(plan, &d);
}
