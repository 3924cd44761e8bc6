#include "reference.h"

enum {
    ROW_CHUNK = 64, /* rows and output blocks of one item: its weights stay in the cache while the rows pass */
    BLOCK_CHUNK = 8
};

static struct vqp_ref_matrix matrix(const struct vqp_hb_node *n)
{
    return (struct vqp_ref_matrix){1, n->in[1].dim[0], n->in[1].dim[1], 1};
}

struct linear {
    const struct vqp_hb_node *n;
    const float *packed;
    int64_t rows, ins, outs;
    uint64_t blocks, block_chunks;
    int gate_per_row;
};

static void finish(const struct linear *l, int64_t row, int64_t o, double acc)
{
    const struct vqp_hb_arg *bias = &l->n->in[2], *residual = &l->n->in[3], *gate = &l->n->in[4];
    int64_t at = row * l->outs + o;
    double v = vqp_ref_act(l->n->op.u.linear.act, bias->data ? acc + (double)bias->f[o] : acc);
    if (gate->data)
        v *= (double)gate->f[l->gate_per_row ? at : o];
    if (residual->data)
        v += (double)residual->f[at];
    l->n->out[0].f[at] = (float)v;
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct linear *l = ctx;
    const float *x = l->n->in[0].f;
    int64_t row0 = (int64_t)(i / l->block_chunks) * ROW_CHUNK;
    int64_t row_end = l->rows - row0 < ROW_CHUNK ? l->rows : row0 + ROW_CHUNK;
    uint64_t block = i % l->block_chunks * BLOCK_CHUNK;
    uint64_t block_end = l->blocks - block < BLOCK_CHUNK ? l->blocks : block + BLOCK_CHUNK;
    for (; block < block_end; block++) {
        int64_t o0 = (int64_t)block * VQP_REF_LANES;
        int64_t lanes = l->outs - o0 < VQP_REF_LANES ? l->outs - o0 : VQP_REF_LANES;
        for (int64_t row = row0; row < row_end; row += VQP_REF_ROWS) {
            int64_t rows = row_end - row < VQP_REF_ROWS ? row_end - row : VQP_REF_ROWS;
            const float *xs[VQP_REF_ROWS];
            double acc[VQP_REF_ROWS][VQP_REF_LANES] = {{0}};
            for (int64_t r = 0; r < VQP_REF_ROWS; r++)
                xs[r] = x + (r < rows ? row + r : row) * l->ins;
            vqp_ref_tile(xs, l->packed + block * (uint64_t)l->ins * VQP_REF_LANES, l->ins, acc);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t o = 0; o < lanes; o++)
                    finish(l, row + r, o0 + o, acc[r][o]);
        }
    }
}

VQP_REF_RUN(linear)
{
    struct vqp_ref_matrix m = matrix(n);
    struct linear l = {
        .n = n, .packed = vqp_ref_packed_weight(n), .ins = m.ins, .outs = m.outs, .blocks = vqp_ref_blocks(m.outs)};
    l.rows = (int64_t)n->out[0].count / m.outs;
    l.gate_per_row = n->in[4].count != (uint64_t)m.outs;
    l.block_chunks = (l.blocks + BLOCK_CHUNK - 1) / BLOCK_CHUNK;
    vqp_hb_for(x, (uint64_t)((l.rows + ROW_CHUNK - 1) / ROW_CHUNK) * l.block_chunks, item, &l);
}

VQP_REF_PREPARE(linear)
{
    struct vqp_ref_matrix m = matrix(n);
    return vqp_ref_prepare(c, n, &m);
}
