#include "ops.h"

struct push {
    uint32_t n, rank, axis, dim[6], base[6], stride[6];
};

/* index and what it points into. */
static struct push describe(const struct vqp_val_info *base, const struct vqp_val_info *index, uint32_t axis)
{
    struct push c = {.n = vk_count(index), .rank = index->shape.rank, .axis = axis};
    uint32_t step = 1;
    for (uint32_t k = c.rank; k-- > 0; step *= c.dim[k]) {
        c.dim[k] = vk_dim(index, k);
        c.base[k] = vk_dim(base, k);
        c.stride[k] = step;
    }
    return c;
}

VK_OP(gather)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct push c = describe(&p->vals[op->in[0]], &p->vals[op->in[1]], op->u.axis.axis);
    struct vk_dispatch d = {.kernel = &vk_kernel_gather};
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &c, sizeof c);
    vk_spread(&d, ((uint64_t)c.n + 63) / 64);
    return vk_emit(plan, &d);
}

VK_OP(scatter)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct push c = describe(&p->vals[op->in[0]], &p->vals[op->in[1]], op->u.axis.axis);
    struct {
        uint32_t n, rank, rows, from_first, to_first, dim[6], from_step[6], to_step[6];
    } whole = {.rank = 1, .from_step = {1}, .to_step = {1}};
    struct vk_dispatch all = {.kernel = &vk_kernel_copy}, d = {.kernel = &vk_kernel_gather_scatter};
    whole.n = whole.dim[0] = vk_count(&p->vals[op->in[0]]);
    vk_constant(&all, 0);
    vk_bind(&all, vk_value(plan, op->in[0]));
    vk_bind(&all, vk_value(plan, 0));
    vk_bind_result(&all, vk_value(plan, op->out[0]));
    vk_push(&all, &whole, sizeof whole);
    vk_spread(&all, ((uint64_t)whole.n + 63) / 64);
    vqp_status st = vk_emit(plan, &all);
    c.n /= c.dim[c.axis];
    d.turns = c.dim[c.axis] + 8ull; /* one over the axes is before it */
    vk_bind(&d, vk_value(plan, op->in[2]));
    vk_bind(&d, vk_value(plan, op->in[1]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &c, sizeof c);
    vk_spread(&d, ((uint64_t)c.n + 63) / 64);
    return st ? st : vk_emit(plan, &d);
}
