#include "reference.h"
#include <math.h>

/* For each head the keys are packed as a matrix of M outputs and the values as one of d outputs, so that both products are the
 * matrix kernel's. */

enum {
    QUERY_CHUNK = 64
};

struct sdpa {
    const struct vqp_hb_node *n;
    int64_t queries, keys, heads, d, width;
    uint64_t query_chunks, k_floats, v_floats;
    float *packed;          /* per batch row and head: keys, then values */
    unsigned char *scratch; /* per slot: scores, then weights, of the tile's queries */
    uint64_t score_row;
};

static struct sdpa describe(const struct vqp_hb_node *n)
{
    struct sdpa s = {.n = n, .queries = n->in[0].dim[1], .keys = n->in[1].dim[1], .heads = n->op.u.sdpa.heads};
    s.width = n->in[0].dim[2];
    s.d = s.width / s.heads;
    s.query_chunks = (uint64_t)((s.queries + QUERY_CHUNK - 1) / QUERY_CHUNK);
    s.k_floats = vqp_ref_packed(s.keys, s.d);
    s.v_floats = vqp_ref_packed(s.d, s.keys);
    s.score_row = vqp_ref_blocks(s.keys) * VQP_REF_LANES;
    return s;
}

static uint64_t packed_bytes(const struct sdpa *s)
{
    return (uint64_t)(s->n->in[0].dim[0] * s->heads) * (s->k_floats + s->v_floats) * sizeof(float);
}

static uint64_t slot_bytes(const struct sdpa *s)
{
    return VQP_REF_ROWS * s->score_row * (sizeof(double) + sizeof(float));
}

VQP_REF_SCRATCH(sdpa)
{
    struct sdpa s = describe(n);
    return packed_bytes(&s) + VQP_REF_SLOTS * slot_bytes(&s);
}

static void pack(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct sdpa *s = ctx;
    int64_t b = (int64_t)i / s->heads, head = (int64_t)i % s->heads, off = b * s->keys * s->width + head * s->d;
    float *dst = s->packed + i * (s->k_floats + s->v_floats);
    vqp_ref_pack(dst, s->n->in[1].data, VQP_F32, s->keys, s->d, off, s->width, 1);
    vqp_ref_pack(dst + s->k_floats, s->n->in[2].data, VQP_F32, s->d, s->keys, off, 1, s->width);
}

/* Scores into weights exp(scale * (score - max)), which are left as float32; returns their sum. */
static double weigh(double scale, const double *score, float *weight, int64_t seen, int64_t keys)
{
    double max = -INFINITY, sum = 0;
    for (int64_t m = 0; m < seen; m++)
        max = scale * score[m] > max ? scale * score[m] : max;
    for (int64_t m = 0; m < keys; m++) {
        weight[m] = m < seen ? (float)exp(scale * score[m] - max) : 0;
        sum += (double)weight[m];
    }
    return sum;
}

static void tile(const struct sdpa *s, int64_t b, int64_t head, int64_t query, int64_t rows, const float *packed,
                 unsigned char *scratch)
{
    double *score = (double *)scratch, sum[VQP_REF_ROWS];
    float *weight = (float *)(score + VQP_REF_ROWS * s->score_row);
    const float *xs[VQP_REF_ROWS];
    for (int64_t r = 0; r < VQP_REF_ROWS; r++)
        xs[r] = s->n->in[0].f + (b * s->queries + query + (r < rows ? r : 0)) * s->width + head * s->d;
    /* a causal tile's last query sees the most */
    int64_t keys = s->n->op.u.sdpa.causal ? query + rows : s->keys;
    for (uint64_t block = 0; block < vqp_ref_blocks(keys); block++) {
        double acc[VQP_REF_ROWS][VQP_REF_LANES] = {{0}};
        vqp_ref_tile(xs, packed + block * (uint64_t)s->d * VQP_REF_LANES, s->d, acc);
        for (uint64_t r = 0; r < VQP_REF_ROWS; r++)
            for (uint64_t o = 0; o < VQP_REF_LANES; o++)
                score[r * s->score_row + block * VQP_REF_LANES + o] = acc[r][o];
    }
    for (int64_t r = 0; r < VQP_REF_ROWS; r++) {
        int64_t q = query + (r < rows ? r : 0);
        float *row = weight + (uint64_t)r * s->score_row;
        sum[r] = weigh((double)s->n->op.u.sdpa.scale, score + (uint64_t)r * s->score_row, row,
                       s->n->op.u.sdpa.causal ? q + 1 : keys, keys);
        xs[r] = row;
    }
    for (int64_t j0 = 0; j0 < s->d; j0 += VQP_REF_LANES) {
        double acc[VQP_REF_ROWS][VQP_REF_LANES] = {{0}};
        vqp_ref_tile(xs, packed + s->k_floats + (uint64_t)(j0 * s->keys), keys, acc);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < VQP_REF_LANES && j0 + j < s->d; j++)
                s->n->out[0].f[(b * s->queries + query + r) * s->width + head * s->d + j0 + j] =
                    (float)(acc[r][j] / sum[r]);
    }
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    const struct sdpa *s = ctx;
    uint64_t bh = i / s->query_chunks;
    int64_t query = (int64_t)(i % s->query_chunks) * QUERY_CHUNK;
    int64_t end = s->queries - query < QUERY_CHUNK ? s->queries : query + QUERY_CHUNK;
    for (; query < end; query += VQP_REF_ROWS)
        tile(s, (int64_t)bh / s->heads, (int64_t)bh % s->heads, query,
             end - query < VQP_REF_ROWS ? end - query : VQP_REF_ROWS, s->packed + bh * (s->k_floats + s->v_floats),
             s->scratch + slot * slot_bytes(s));
}

VQP_REF_RUN(sdpa)
{
    struct sdpa s = describe(n);
    uint64_t rows = (uint64_t)(n->in[0].dim[0] * s.heads);
    s.packed = (float *)x->scratch;
    s.scratch = x->scratch + packed_bytes(&s);
    vqp_hb_for(x, rows, pack, &s);
    vqp_hb_for(x, rows * s.query_chunks, item, &s);
}
