#include "reference.h"
#include <string.h>

/* The matrix kernel at every tap of the filter, for four neighbouring output pixels; a tap outside the picture reads a row of zeros. */

enum {
    PIXEL_CHUNK = 64, /* output pixels of one line that make an item, and blocks of output channels */
    BLOCK_CHUNK = 4
};

static struct vqp_ref_matrix matrix(const struct vqp_hb_node *n)
{
    const int64_t *w = n->in[1].dim;
    int64_t groups = n->op.u.conv.groups ? n->op.u.conv.groups : 1;
    return (struct vqp_ref_matrix){groups, w[0] / groups, w[1], w[2] * w[3]};
}

VQP_REF_SCRATCH(conv2d) /* the row of zeros */
{
    struct vqp_ref_matrix m = matrix(n);
    return (uint64_t)m.ins * sizeof(float);
}

struct conv {
    const struct vqp_hb_node *n;
    struct vqp_ref_matrix m;
    const float *packed, *zeros;
    int64_t h, w, channels, oh, ow, outs, kh, kw, stride, factor, top, left;
    uint64_t blocks, pixel_chunks, block_chunks;
};

/* The input channels that output (b, y, x) reads at tap (ky, kx), from the first of the group. */
static const float *input(const struct conv *c, int64_t b, int64_t y, int64_t x, int64_t ky, int64_t kx, int64_t group)
{
    int64_t iy = y * c->stride + ky - c->top, ix = x * c->stride + kx - c->left;
    if (iy < 0 || ix < 0 || iy >= c->h * c->factor || ix >= c->w * c->factor)
        return c->zeros;
    return c->n->in[0].f + ((b * c->h + iy / c->factor) * c->w + ix / c->factor) * c->channels + group * c->m.ins;
}

static void pixels(const struct conv *c, int64_t b, int64_t y, int64_t x, int64_t count, uint64_t block)
{
    const struct vqp_hb_arg *bias = &c->n->in[2], *residual = &c->n->in[3];
    int64_t group = (int64_t)(block / c->blocks), first = (int64_t)(block % c->blocks) * VQP_REF_LANES;
    int64_t lanes = c->m.outs - first < VQP_REF_LANES ? c->m.outs - first : VQP_REF_LANES;
    const float *w = c->packed + ((uint64_t)(group * c->m.taps) * c->blocks + block % c->blocks) * (uint64_t)c->m.ins *
                                     VQP_REF_LANES;
    double acc[VQP_REF_ROWS][VQP_REF_LANES] = {{0}};
    for (int64_t ky = 0; ky < c->kh; ky++)
        for (int64_t kx = 0; kx < c->kw; kx++, w += vqp_ref_packed(c->m.outs, c->m.ins)) {
            const float *xs[VQP_REF_ROWS];
            for (int64_t r = 0; r < VQP_REF_ROWS; r++)
                xs[r] = r < count ? input(c, b, y, x + r, ky, kx, group) : c->zeros;
            vqp_ref_tile(xs, w, c->m.ins, acc);
        }
    for (int64_t r = 0; r < count; r++)
        for (int64_t o = 0; o < lanes; o++) {
            int64_t channel = group * c->m.outs + first + o, at = ((b * c->oh + y) * c->ow + x + r) * c->outs + channel;
            double v = vqp_ref_act(c->n->op.u.conv.act, bias->data ? acc[r][o] + (double)bias->f[channel] : acc[r][o]);
            c->n->out[0].f[at] = (float)(residual->data ? v + (double)residual->f[at] : v);
        }
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct conv *c = ctx;
    uint64_t all = c->blocks * (uint64_t)c->m.groups, block = i % c->block_chunks * BLOCK_CHUNK;
    uint64_t block_end = all - block < BLOCK_CHUNK ? all : block + BLOCK_CHUNK;
    i /= c->block_chunks;
    int64_t x0 = (int64_t)(i % c->pixel_chunks) * PIXEL_CHUNK;
    int64_t x_end = c->ow - x0 < PIXEL_CHUNK ? c->ow : x0 + PIXEL_CHUNK;
    int64_t line = (int64_t)(i / c->pixel_chunks);
    for (; block < block_end; block++)
        for (int64_t x = x0; x < x_end; x += VQP_REF_ROWS)
            pixels(c, line / c->oh, line % c->oh, x, x_end - x < VQP_REF_ROWS ? x_end - x : VQP_REF_ROWS, block);
}

VQP_REF_RUN(conv2d)
{
    const int64_t *in = n->in[0].dim, *out = n->out[0].dim;
    struct conv c = {
        .n = n,
        .m = matrix(n),
        .packed = vqp_ref_packed_weight(n),
        .zeros = (const float *)x->scratch,
        .h = in[1],
        .w = in[2],
        .channels = in[3],
        .oh = out[1],
        .ow = out[2],
        .outs = out[3],
        .kh = n->in[1].dim[2],
        .kw = n->in[1].dim[3],
        .stride = n->op.u.conv.stride ? n->op.u.conv.stride : 1,
        .factor = n->op.u.conv.upsample ? n->op.u.conv.upsample : 1,
        .top = n->op.u.conv.pad_top,
        .left = n->op.u.conv.pad_left,
    };
    memset(x->scratch, 0, (size_t)c.m.ins * sizeof(float));
    c.blocks = vqp_ref_blocks(c.m.outs);
    c.block_chunks = (c.blocks * (uint64_t)c.m.groups + BLOCK_CHUNK - 1) / BLOCK_CHUNK;
    c.pixel_chunks = (uint64_t)((c.ow + PIXEL_CHUNK - 1) / PIXEL_CHUNK);
    vqp_hb_for(x, (uint64_t)(out[0] * c.oh) * c.pixel_chunks * c.block_chunks, item, &c);
}

VQP_REF_PREPARE(conv2d)
{
    struct vqp_ref_matrix m = matrix(n);
    return vqp_ref_prepare(c, n, &m);
}
