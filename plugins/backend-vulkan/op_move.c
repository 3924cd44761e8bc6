#include "ops.h"

/* concat, slice, permute, repeat, take, store: words of four bytes from one place to another (copy.comp). */
struct copy {
    uint32_t n, rank, rows, from_first, to_first, dim[6], from_step[6], to_step[6];
};

static vqp_status copy(struct vk_plan *plan, struct copy *c, vqp_val from, vqp_val row, vqp_val to)
{
    struct vk_dispatch d = {.kernel = &vk_kernel_copy};
    c->n = 1;
    for (uint32_t k = 0; k < c->rank; k++)
        c->n *= c->dim[k];
    vk_constant(&d, row != 0);
    vk_bind(&d, vk_value(plan, from));
    vk_bind(&d, vk_value(plan, row));
    vk_bind_result(&d, vk_value(plan, to));
    vk_push(&d, c, sizeof *c);
    vk_spread(&d, ((uint64_t)c->n + 63) / 64);
    return vk_emit(plan, &d);
}

/* An array as [outer, n, inner] about an axis. */
struct about {
    uint32_t outer, n, inner;
};
static struct about about(const struct vqp_val_info *v, uint32_t axis)
{
    struct about a = {1, vk_dim(v, axis), 1};
    for (uint32_t k = 0; k < v->shape.rank; k++)
        *(k < axis ? &a.outer : &a.inner) *= k == axis ? 1 : vk_dim(v, k);
    return a;
}

VK_OP(concat)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct about to = about(&p->vals[op->out[0]], op->u.axis.axis);
    uint32_t off = 0;
    vqp_status st = VQP_OK;
    for (int k = 0; k < VQP_OP_MAX_IN && op->in[k] && !st; k++) {
        struct about from = about(&p->vals[op->in[k]], op->u.axis.axis);
        uint32_t run = from.n * from.inner;
        struct copy c = {.rank = 2,
                         .dim = {from.outer, run},
                         .from_step = {run, 1},
                         .to_step = {to.n * to.inner, 1},
                         .to_first = off};
        st = copy(plan, &c, op->in[k], 0, op->out[0]);
        off += run;
    }
    return st;
}

VK_OP(slice)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct about from = about(&p->vals[op->in[0]], op->u.axis.axis);
    uint32_t run = op->u.axis.count * from.inner;
    struct copy c = {.rank = 2,
                     .dim = {from.outer, run},
                     .from_step = {from.n * from.inner, 1},
                     .to_step = {run, 1},
                     .from_first = op->u.axis.start * from.inner};
    return copy(plan, &c, op->in[0], 0, op->out[0]);
}

VK_OP(permute)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *in = &p->vals[op->in[0]], *out = &p->vals[op->out[0]];
    struct copy c = {.rank = out->shape.rank};
    uint32_t step = 1;
    for (uint32_t k = c.rank; k-- > 0; step *= c.dim[k]) {
        c.dim[k] = vk_dim(out, k);
        c.to_step[k] = step;
        c.from_step[k] = 1;
        for (uint32_t after = op->u.permute.perm[k] + 1u; after < in->shape.rank; after++)
            c.from_step[k] *= vk_dim(in, after);
    }
    return copy(plan, &c, op->in[0], 0, op->out[0]);
}

VK_OP(repeat)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *in = &p->vals[op->in[0]];
    uint32_t rows = vk_dim(in, 0), row = vk_count(in) / rows, times = op->u.repeat.times;
    struct copy c = {.rank = 3, .dim = {rows, times, row}, .from_step = {row, 0, 1}};
    c.to_step[0] = op->u.repeat.tile ? row : times * row;
    c.to_step[1] = op->u.repeat.tile ? rows * row : row;
    c.to_step[2] = 1;
    return copy(plan, &c, op->in[0], 0, op->out[0]);
}

VK_OP(take)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct copy c = {.rank = 1,
                     .rows = vk_dim(&p->vals[op->in[0]], 0),
                     .dim = {vk_count(&p->vals[op->out[0]])},
                     .from_step = {1},
                     .to_step = {1}};
    return copy(plan, &c, op->in[0], op->in[1], op->out[0]);
}

VK_OP(store)
{
    (void)err;
    const struct vqp_op *op = &p->ops[i];
    struct copy c = {
        .rank = 1, .dim = {(uint32_t)((p->vals[op->in[1]].bytes + 3) / 4)}, .from_step = {1}, .to_step = {1}};
    return copy(plan, &c, op->in[1], 0, op->in[0]);
}

VK_OP(advance)
{
    (void)err;
    struct vk_dispatch d = {.kernel = &vk_kernel_advance, .groups = {1}};
    vk_bind_result(&d, vk_value(plan, p->ops[i].in[0]));
    return vk_emit(plan, &d);
}
