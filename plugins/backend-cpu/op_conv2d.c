#include "cpu.h"
#include <stdlib.h>
#include <string.h>

struct vqp_cpu_conv vqp_cpu_conv_of(const struct vqp_op *op, const int64_t *x, const int64_t *w, const int64_t *out)
{
    int64_t factor = op->u.conv.upsample ? op->u.conv.upsample : 1, groups = op->u.conv.groups ? op->u.conv.groups : 1;
    return (struct vqp_cpu_conv){
        .b = x[0],
        .h = x[1] * factor,
        .w = x[2] * factor,
        .i = w[1],
        .o = w[0] / groups,
        .oh = out[1],
        .ow = out[2],
        .kh = w[2],
        .kw = w[3],
        .groups = groups,
        .stride = op->u.conv.stride ? op->u.conv.stride : 1,
        .top = op->u.conv.pad_top,
        .left = op->u.conv.pad_left,
        .bottom = op->u.conv.pad_bottom,
        .right = op->u.conv.pad_right,
    };
}

vqp_status vqp_cpu_conv2d_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
{
    struct vqp_cpu *cpu = vqp_cpu_of(c->self);
    struct vqp_cpu_own *own = n->own = calloc(1, sizeof *own);
    struct vqp_cpu_post posts[2];
    struct vqp_cpu_form *form = NULL;
    struct vqp_cpu_conv v = vqp_cpu_conv_of(&n->op, n->in[0].dim, n->in[1].dim, n->out[0].dim);
    if (!own)
        return vqp_hb_no_memory(c);
    own->rows = own->piece = 1;
    v.x_dtype = v.weight_dtype = cpu->bf16 ? VQP_BF16 : VQP_F32;
    v.out_dtype = n->out[0].dtype;
    v.bias = n->in[2].f;
    v.posts = posts;
    if (n->op.u.conv.act)
        posts[v.n_posts++] = (struct vqp_cpu_post){VQP_CPU_POST_ACT, .act = n->op.u.conv.act};
    if (n->in[3].data)
        posts[v.n_posts++] = (struct vqp_cpu_post){VQP_CPU_POST_SUM};
    if (n->op.u.conv.upsample > 1 || n->in[0].dtype != v.x_dtype)
        own->x_bytes = (uint64_t)(v.b * v.h * v.w * v.i * v.groups) * (cpu->bf16 ? sizeof(uint16_t) : sizeof(float));
    if (!vqp_cpu_conv_create(cpu->engine, &v, &own->product, &form))
        return vqp_cpu_refused(c, "convolution");
    return vqp_cpu_own_finish(c, n, form);
}

struct lines {
    const struct vqp_hb_node *n;
    void *copy;
    int64_t factor;
    int to_bf16;
};

/* One line of the picture that the convolution sees. */
static void copy_line(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    const struct lines *l = ctx;
    const struct vqp_hb_arg *x = &l->n->in[0];
    int64_t channels = x->dim[3], line = (int64_t)item / l->factor * x->dim[2], width = x->dim[2] * l->factor;
    /* lines of the larger picture are numbered through the batch: factor divides each picture's */
    for (int64_t i = 0; i < width; i++) {
        int64_t from = (line + i / l->factor) * channels, to = ((int64_t)item * width + i) * channels;
        if (l->to_bf16)
            for (int64_t k = 0; k < channels; k++)
                ((uint16_t *)l->copy)[to + k] = vqp_cpu_bf16(x->f[from + k]);
        else if (x->dtype == VQP_BF16)
            memcpy((uint16_t *)l->copy + to, x->h + from, (size_t)channels * sizeof(uint16_t));
        else
            memcpy((float *)l->copy + to, x->f + from, (size_t)channels * sizeof(float));
    }
}

struct residual {
    const struct vqp_hb_node *n;
    uint64_t each;
};

static void copy_residual(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    const struct residual *r = ctx;
    memcpy(r->n->out[0].f + item * r->each, r->n->in[3].f + item * r->each, r->each * sizeof(float));
}

void vqp_cpu_conv2d(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
{
    const struct vqp_cpu_own *own = n->own;
    const int64_t *in = n->in[0].dim, *out = n->out[0].dim;
    struct lines l = {n, vqp_cpu_own_copy(x), n->op.u.conv.upsample ? n->op.u.conv.upsample : 1,
                      vqp_cpu_of(x->self)->bf16 && n->in[0].dtype == VQP_F32};
    struct residual r = {n, (uint64_t)(out[2] * out[3])};
    if (own->x_bytes)
        vqp_hb_for(x, (uint64_t)(in[0] * in[1] * l.factor), copy_line, &l);
    if (n->in[3].data && n->in[3].data != n->out[0].data)
        vqp_hb_for(x, (uint64_t)(out[0] * out[1]), copy_residual, &r);
    vqp_cpu_own_run(x, n, l.copy);
}
