#include "simd.h"

/* Rows go AT_ONCE side by side, so that none of their sums waits for the one before; a row's own order of summing is always the same. */
enum {
    AT_ONCE = 4,
    CHAINS = 2,
    STRIDE = CHAINS * LANES
};

struct norm {
    const struct vqp_hb_node *n;
    int64_t width, rows;
    float eps;
};
struct row {
    const float *x, *scale, *shift; /* of the table; NULL: none */
    float mean, factor;
};

/* The sums of x, or of (x - mean) squared, of `rows` rows. */
INLINE void totals(const struct row *row, int rows, int64_t width, int squared, float *out)
{
    vf sum[AT_ONCE][CHAINS] = {0};
    int64_t d = 0;
    for (; d + STRIDE <= width; d += STRIDE)
        for (int r = 0; r < rows; r++)
            for (int64_t c = 0; c < CHAINS; c++) {
                vf x = load(row[r].x + d + c * LANES), v = x - row[r].mean;
                sum[r][c] += squared ? v * v : x;
            }
    for (; d < width; d += LANES)
        for (int r = 0; r < rows; r++) {
            vf x = load_some(row[r].x + d, width - d, squared ? row[r].mean : 0), v = x - row[r].mean;
            sum[r][0] += squared ? v * v : x;
        }
    for (int r = 0; r < rows; r++)
        out[r] = sum_of(sum[r][0] + sum[r][1]);
}

INLINE vf normed(const struct norm *m, const struct row *row, int64_t d, int64_t left)
{
    const float *weight = m->n->in[1].f, *bias = m->n->in[2].f;
    vf y = (load_some(row->x + d, left, 0) - row->mean) * row->factor;
    if (weight)
        y *= load_some(weight + d, left, 0);
    if (bias)
        y += load_some(bias + d, left, 0);
    if (row->scale)
        y = y * (1.0f + load_some(row->scale + d, left, 0)) + load_some(row->shift + d, left, 0);
    return y;
}

INLINE void norm_rows(const struct norm *m, int64_t k, int rows)
{
    const struct vqp_hb_arg *in = &m->n->in[0], *table = &m->n->in[3], *at = &m->n->in[4], *out = &m->n->out[0];
    int64_t width = m->width, batch = in->rank > 1 ? in->dim[0] : 1, whole = width / LANES * LANES;
    struct row row[AT_ONCE];
    float sum[AT_ONCE];
    for (int r = 0; r < rows; r++) {
        row[r] = (struct row){.x = in->f + (k + r) * width};
        if (!table->data)
            continue;
        int64_t b = (k + r) / (m->rows / batch), last = table->dim[0] - 1;
        int64_t i = at->data ? vqp_hb_clamp(at->i[at->count == 1 ? 0 : b], last) : last == 0 ? 0 : b;
        row[r].scale = table->f + i * 2 * width;
        row[r].shift = row[r].scale + width;
    }
    if (m->n->op.kind == VQP_OP_LAYER_NORM) {
        totals(row, rows, width, 0, sum);
        for (int r = 0; r < rows; r++)
            row[r].mean = sum[r] / (float)width;
    }
    totals(row, rows, width, 1, sum);
    for (int r = 0; r < rows; r++)
        row[r].factor = 1 / sqrtf(sum[r] / (float)width + m->eps);
    for (int r = 0; r < rows; r++) {
        const struct row copy = row[r];
        int64_t to = (k + r) * width;
        if (out->dtype == VQP_F32)
            for (int64_t d = 0; d < whole; d += LANES)
                store(out->f + to + d, normed(m, &copy, d, LANES));
        for (int64_t d = out->dtype == VQP_F32 ? whole : 0; d < width; d += LANES)
            store_as(out->data, out->dtype, to + d, width - d, normed(m, &copy, d, width - d));
    }
}

static void item(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct norm *m = ctx;
    int64_t row = (int64_t)k * AT_ONCE;
    if (m->rows - row >= AT_ONCE)
        norm_rows(m, row, AT_ONCE);
    else
        for (; row < m->rows; row++)
            norm_rows(m, row, 1);
}

/* LAYER_NORM or RMS_NORM. */
ISA_RUN(layer_norm)
{
    struct norm m = {n, vqp_hb_last(&n->in[0]), (int64_t)vqp_hb_rows(&n->in[0]), n->op.u.norm.eps};
    vqp_hb_for(x, ((uint64_t)m.rows + AT_ONCE - 1) / AT_ONCE, item, &m);
}
