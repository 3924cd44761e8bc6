#include "cpu.h"
#include <stdlib.h>

/* Work of one run of the product: some 10 ms on two cores. */
static const double PIECE_FLOPS = 4e9;

static int64_t rows_of_a_piece(int64_t rows, int64_t n, int64_t k)
{
    double most = PIECE_FLOPS / (2 * (double)n * (double)k);
    if (most >= (double)rows)
        return rows;
    return most < 128 ? (rows < 128 ? rows : 128) : (int64_t)most / 64 * 64;
}

vqp_status vqp_cpu_linear_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
{
    struct vqp_cpu *cpu = vqp_cpu_of(c->self);
    const struct vqp_hb_arg *x = &n->in[0], *bias = &n->in[2], *residual = &n->in[3], *gate = &n->in[4];
    struct vqp_cpu_own *own = n->own = calloc(1, sizeof *own);
    struct vqp_cpu_post posts[3];
    struct vqp_cpu_form *form = NULL;
    struct vqp_cpu_matmul m = {
        .n = n->in[1].dim[0],
        .k = n->in[1].dim[1],
        .x_dtype = cpu->bf16 ? VQP_BF16 : VQP_F32,
        .weight_dtype = cpu->bf16 ? VQP_BF16 : VQP_F32,
        .out_dtype = n->out[0].dtype,
        .bias = bias->f,
        .posts = posts,
    };
    if (!own)
        return vqp_hb_no_memory(c);
    own->rows = (int64_t)(n->out[0].count / (uint64_t)m.n);
    own->piece = m.m = rows_of_a_piece(own->rows, m.n, m.k);
    if (n->op.u.linear.act)
        posts[m.n_posts++] = (struct vqp_cpu_post){VQP_CPU_POST_ACT, .act = n->op.u.linear.act};
    if (gate->data)
        posts[m.n_posts++] =
            (struct vqp_cpu_post){VQP_CPU_POST_MUL, .values = gate->f, .per_row = gate->count != (uint64_t)m.n};
    if (residual->data)
        posts[m.n_posts++] = (struct vqp_cpu_post){VQP_CPU_POST_ADD, .values = residual->f};
    if (x->dtype != m.x_dtype)
        own->x_bytes = x->count * sizeof(uint16_t);
    int ok = vqp_cpu_matmul_create(cpu->engine, &m, &own->product, &form);
    if (ok && (m.m = own->rows % own->piece) > 0 && !vqp_cpu_matmul_create(cpu->engine, &m, &own->last, &form)) {
        vqp_cpu_form_destroy(form);
        ok = 0;
    }
    if (!ok)
        return vqp_cpu_refused(c, "matrix product");
    return vqp_cpu_own_finish(c, n, form);
}

void vqp_cpu_linear(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
{
    const struct vqp_cpu_own *own = n->own;
    void *copy = vqp_cpu_own_copy(x);
    if (own->x_bytes)
        vqp_cpu_to_bf16(x, n->in[0].f, copy, n->in[0].count);
    vqp_cpu_own_run(x, n, copy);
}
