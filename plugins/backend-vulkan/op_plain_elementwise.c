#include "ops.h"

struct push {
    uint32_t n, rank, dim[6], step[3][6];
};

/* Where operand `a` steps along the axes of the result; returns whether that is not simply element by element. */
static int steps(const struct vqp_val_info *a, const struct vqp_val_info *out, uint32_t *step)
{
    uint32_t stride = 1;
    for (uint32_t k = 0; k < a->shape.rank; k++) {
        uint32_t dim = vk_dim(a, a->shape.rank - 1 - k);
        step[out->shape.rank - 1 - k] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
    return vk_count(a) != vk_count(out);
}

/* The operands' dtype: what a weight stands for is read as float32. */
static uint32_t dtype_of(const struct vqp_val_info *v)
{
    return v->dtype == VQP_F16 || v->dtype == VQP_BF16 ? VQP_F32 : v->dtype;
}

VK_OP(elementwise)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *out = &p->vals[op->out[0]];
    struct push push = {vk_count(out), out->shape.rank, {0}, {{0}}};
    struct vk_dispatch d = {.kernel = &vk_kernel_plain_elementwise};
    uint32_t broadcast = 0;
    for (uint32_t k = 0; k < out->shape.rank; k++)
        push.dim[k] = vk_dim(out, k);
    for (int k = 0; k < 3; k++) {
        if (op->in[k])
            broadcast |= (uint32_t)steps(&p->vals[op->in[k]], out, push.step[k]);
        vk_bind(&d, vk_value(plan, op->in[k]));
    }
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_constant(&d, op->kind);
    vk_constant(&d, op->kind == VQP_OP_WHERE ? VQP_I32 : dtype_of(&p->vals[op->in[0]]));
    vk_constant(&d, op->kind == VQP_OP_WHERE ? VQP_I32 : out->dtype);
    vk_constant(&d, op->kind == VQP_OP_COMPARE ? op->u.compare.cmp : 0);
    vk_constant(&d, broadcast);
    vk_push(&d, &push, sizeof push);
    vk_spread(&d, ((uint64_t)push.n + 255) / 256);
    return vk_emit(plan, &d);
}
