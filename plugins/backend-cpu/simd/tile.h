/* SDPA in one precision, on the tile product of product.h; included by op_sdpa.c with TILE_BF16 0 and 1. */
#include "product.h"

#ifndef VQP_SDPA_BLOCKS
#define VQP_SDPA_BLOCKS
enum {
    KEY_BLOCK = 11 * BLOCK, /* 264 with AVX2: 256 keys are one block */
    QUERY_CHUNK = 64
};
#endif

TILE_PRODUCT(product1, 1, 0)
TILE_PRODUCT(product2, 2, 0)
TILE_PRODUCT(product3, 3, 0)
TILE_PRODUCT(product1_add, 1, 1)
TILE_PRODUCT(product2_add, 2, 1)
TILE_PRODUCT(product3_add, 3, 1)

static void NAME(product)(const NAME(element) *const *a, const NAME(element) * b, int64_t terms, int64_t columns,
                          float *out, int64_t stride, int add)
{
    for (int64_t j = 0; j < columns; j += BLOCK, b += BLOCK * terms) {
        int64_t left = columns - j;
        if (left > 2 * LANES)
            (add ? NAME(product3_add) : NAME(product3))(a, b, terms, out + j, stride);
        else if (left > LANES)
            (add ? NAME(product2_add) : NAME(product2))(a, b, terms, out + j, stride);
        else
            (add ? NAME(product1_add) : NAME(product1))(a, b, terms, out + j, stride);
    }
}

struct NAME(sdpa) {
    const struct vqp_hb_node *n;
    int64_t queries, keys, heads, d, width, chunks, chunk;
    int64_t d_terms, key_terms, d_padded, keys_padded; /* terms of both products; columns rounded up to LANES */
    unsigned char *scratch;
    uint64_t slot_bytes, k_bytes, v_bytes;
};

static struct NAME(sdpa) NAME(describe)(const struct vqp_hb_node *n)
{
    struct NAME(sdpa) s = {.n = n,
                           .queries = n->in[0].dim[1],
                           .keys = n->in[1].dim[1],
                           .width = n->in[0].dim[2],
                           .heads = n->op.u.sdpa.heads};
    int64_t blocks = (s.keys + KEY_BLOCK - 1) / KEY_BLOCK;
    s.d = s.width / s.heads;
    s.d_terms = (s.d + PAIR - 1) / PAIR;
    s.d_padded = (s.d + LANES - 1) / LANES * LANES;
    s.key_terms = KEY_BLOCK / PAIR;
    s.keys_padded = blocks * KEY_BLOCK;
    s.k_bytes = (uint64_t)(s.keys_padded * s.d_terms) * 4;
    s.v_bytes = (uint64_t)(blocks * s.key_terms * s.d_padded) * 4;
    /* keys, values, queries, scores, weights, results */
    s.slot_bytes = s.k_bytes + s.v_bytes + (uint64_t)(ROWS * (s.d_terms + 2 * KEY_BLOCK + s.d_padded)) * 4 + 64;
    s.slot_bytes = (s.slot_bytes + 63) / 64 * 64;
    return s;
}

static uint64_t NAME(slot_bytes)(const struct vqp_hb_node *n)
{
    return NAME(describe)(n).slot_bytes;
}

INLINE float NAME(value)(const struct vqp_hb_arg *a, int64_t at)
{
    return a->dtype == VQP_BF16 ? vqp_cpu_from_bf16(a->h[at]) : a->f[at];
}

/* Terms 2i and 2i+1, the second absent at the end; or term i. */
INLINE NAME(element) NAME(pack_terms)(const struct vqp_hb_arg *a, int64_t at, int64_t step, int64_t i, int64_t n)
{
#if TILE_BF16
    int64_t first = at + 2 * i * step;
    uint32_t low, high = 0;
    if (a->dtype == VQP_BF16) {
        low = a->h[first];
        if (2 * i + 1 < n)
            high = a->h[first + step];
    } else {
        low = vqp_cpu_bf16(a->f[first]);
        if (2 * i + 1 < n)
            high = vqp_cpu_bf16(a->f[first + step]);
    }
    return low | high << 16;
#else
    (void)n;
    return NAME(value)(a, at + i * step);
#endif
}

/* b of the scores' product for one block of keys: columns are keys, terms the head's d. */
static void NAME(pack_keys)(const struct NAME(sdpa) * s, int64_t at, int64_t keys, NAME(element) * to)
{
    for (int64_t j = 0; j < keys; j += BLOCK) {
        int64_t left = keys - j < BLOCK ? keys - j : BLOCK, lanes = (left + LANES - 1) / LANES * LANES;
#if !TILE_BF16
        const struct vqp_hb_arg *in = &s->n->in[1];
        for (int64_t i = 0; in->dtype == VQP_F32 && i < s->d_terms; i += LANES)
            for (int64_t c = 0; c < lanes; c += LANES) {
                vf rows[LANES];
                for (int r = 0; r < LANES; r++)
                    rows[r] = c + r < left ? load_some(in->f + at + (j + c + r) * s->width + i, s->d - i, 0) : splat(0);
                transpose(rows);
                for (int r = 0; r < LANES && i + r < s->d_terms; r++)
                    store(to + (i + r) * lanes + c, rows[r]);
            }
        if (in->dtype == VQP_F32) {
            to += lanes * s->d_terms;
            continue;
        }
#endif
        for (int64_t i = 0; i < s->d_terms; i++, to += lanes)
            for (int64_t c = 0; c < lanes; c++)
                to[c] = c < left ? NAME(pack_terms)(&s->n->in[1], at + (j + c) * s->width, 1, i, s->d) : 0;
    }
}

/* b of the results' product: columns are the head's d, terms the keys of the block. */
static void NAME(pack_values)(const struct NAME(sdpa) * s, int64_t at, int64_t keys, NAME(element) * to)
{
    const struct vqp_hb_arg *in = &s->n->in[2];
    int64_t terms = (keys + PAIR - 1) / PAIR;
    for (int64_t j = 0; j < s->d; j += BLOCK) {
        int64_t left = s->d - j < BLOCK ? s->d - j : BLOCK, lanes = (left + LANES - 1) / LANES * LANES;
        for (int64_t i = 0; i < terms; i++, to += lanes) {
#if !TILE_BF16
            if (in->dtype == VQP_F32) {
                for (int64_t c = 0; c < lanes; c += LANES)
                    store(to + c, load_some(in->f + at + i * s->width + j + c, left - c, 0));
                continue;
            }
#endif
            for (int64_t c = 0; c < lanes; c++)
                to[c] = c < left ? NAME(pack_terms)(in, at + j + c, s->width, i, keys) : 0;
        }
    }
}

/* One tile's state over the blocks of keys. */
struct NAME(tile) {
    const NAME(element) * query[ROWS], *weights[ROWS];
    NAME(element) * weight; /* [ROWS][KEY_BLOCK / PAIR] */
    float *score, *out;     /* [ROWS][KEY_BLOCK], [ROWS][d_padded] */
    float max[ROWS], sum[ROWS];
};

#ifndef VQP_SDPA_HIDE
#define VQP_SDPA_HIDE
/* Hides the keys from `seen` on of a row's scores: a vector that is seen in part, and those behind it. */
INLINE void hide(float *score, int64_t seen, int64_t keys)
{
    int64_t j = seen / LANES * LANES;
    vi there = lane_numbers() < (int32_t)(seen - j);
    store(score + j, choose(there, load(score + j), splat(-INFINITY)));
    for (j += LANES; j < keys; j += LANES)
        store(score + j, splat(-INFINITY));
}
#endif

/* Scores of the tile's rows into weights, which for bf16 are pairs; what the rows have summed so far is scaled to their new maxima. Scores
 * are taken times log2 e, so that weights are powers of 2. The rows go side by side: each waits for its own maximum alone. */
INLINE void NAME(weigh)(const struct NAME(sdpa) * s, struct NAME(tile) * t, int64_t keys, const int64_t *seen,
                        int first)
{
    float scale = s->n->op.u.sdpa.scale * 1.44269504088896341f, max[ROWS];
    vf most[ROWS], sum[ROWS];
    for (int64_t j = 0; scale < 0 && j < ROWS * KEY_BLOCK; j++)
        t->score[j] = -t->score[j];
    scale = scale < 0 ? -scale : scale; /* the largest score stays the largest when it is scaled */
    if (scale == 0)
        scale = 0x1p-126f; /* so that hidden ones stay -infinity */
    for (int r = 0; r < ROWS; r++) {
        if (seen[r] < keys || keys % LANES)
            hide(t->score + r * KEY_BLOCK, seen[r] < 0 ? 0 : seen[r], keys);
        most[r] = splat(-INFINITY);
        sum[r] = splat(0);
    }
    for (int64_t j = 0; j < keys; j += LANES)
        for (int r = 0; r < ROWS; r++)
            most[r] = larger(load(t->score + r * KEY_BLOCK + j), most[r]);
    for (int r = 0; r < ROWS; r++) {
        max[r] = largest_of(most[r]) * scale;
        if (!first && t->max[r] > max[r])
            max[r] = t->max[r];
        if (!(max[r] > -INFINITY))
            max[r] = 0; /* nothing seen so far */
    }
    for (int r = 0; r < ROWS; r++)
        for (int64_t j = 0; j < keys; j += LANES) {
            vf p = vexp2_falling(load(t->score + r * KEY_BLOCK + j) * scale - max[r]);
            sum[r] += p;
#if TILE_BF16
            __m256bh h = _mm512_cvtneps_pbh((__m512)p);
            memcpy(t->weight + (r * KEY_BLOCK + j) / 2, &h, sizeof h);
#else
            store(t->weight + r * KEY_BLOCK + j, p);
#endif
        }
    for (int r = 0; r < ROWS; r++) {
        float shrink = first ? 0 : exp2f(t->max[r] - max[r]), *out = t->out + r * s->d_padded;
        t->sum[r] = first ? sum_of(sum[r]) : t->sum[r] * shrink + sum_of(sum[r]);
        for (int64_t j = 0; !first && shrink != 1 && j < s->d_padded; j += LANES)
            store(out + j, load(out + j) * shrink);
        t->max[r] = max[r];
    }
}

static void NAME(tile)(const struct NAME(sdpa) * s, struct NAME(tile) * t, int64_t query, int64_t rows,
                       const NAME(element) * k, const NAME(element) * v)
{
    int64_t causal = s->n->op.u.sdpa.causal;
    int64_t end = causal ? query + rows : s->keys; /* the tile's last query sees the most */
    for (int64_t k0 = 0; k0 < end; k0 += KEY_BLOCK) {
        int64_t packed = s->keys - k0 < KEY_BLOCK ? s->keys - k0 : KEY_BLOCK; /* the block as it was packed */
        NAME(product)(t->query, k, s->d_terms, packed, t->score, KEY_BLOCK, 0);
        int64_t seen[ROWS];
        for (int r = 0; r < ROWS; r++)
            seen[r] = causal ? (query + r < end ? query + r + 1 : end) - k0 : packed;
        NAME(weigh)(s, t, packed, seen, k0 == 0);
        NAME(product)(t->weights, v, (packed + PAIR - 1) / PAIR, s->d, t->out, s->d_padded, k0 > 0);
        k += (packed + LANES - 1) / LANES * LANES * s->d_terms;
        v += (packed + PAIR - 1) / PAIR * s->d_padded;
    }
}

static void NAME(item)(void *ctx, uint64_t item, uint32_t slot)
{
    const struct NAME(sdpa) *s = ctx;
    const struct vqp_hb_arg *q = &s->n->in[0], *out = &s->n->out[0];
    int64_t head = (int64_t)item / s->chunks % s->heads, b = (int64_t)item / s->chunks / s->heads;
    int64_t query = (int64_t)item % s->chunks * s->chunk;
    int64_t query_end = s->queries - query < s->chunk ? s->queries : query + s->chunk;
    unsigned char *at = s->scratch + slot * s->slot_bytes;
    NAME(element) *k = (NAME(element) *)at, *v = (NAME(element) *)(at + s->k_bytes);
    NAME(element) *queries = (NAME(element) *)(at + s->k_bytes + s->v_bytes);
    struct NAME(tile) t;
    t.score = (float *)(queries + ROWS * s->d_terms);
    t.weight = (NAME(element) *)(t.score + ROWS * KEY_BLOCK);
    t.out = (float *)(t.weight + ROWS * KEY_BLOCK);
    for (int r = 0; r < ROWS; r++) {
        t.query[r] = queries + r * s->d_terms;
        t.weights[r] = t.weight + r * (KEY_BLOCK / PAIR);
    }
    int64_t seen = s->n->op.u.sdpa.causal ? query_end : s->keys, k_at = 0, v_at = 0;
    for (int64_t k0 = 0; k0 < seen; k0 += KEY_BLOCK) {
        int64_t keys = s->keys - k0 < KEY_BLOCK ? s->keys - k0 : KEY_BLOCK;
        int64_t from = (b * s->keys + k0) * s->width + head * s->d;
        NAME(pack_keys)(s, from, keys, k + k_at);
        NAME(pack_values)(s, from, keys, v + v_at);
        k_at += (keys + LANES - 1) / LANES * LANES * s->d_terms;
        v_at += (keys + PAIR - 1) / PAIR * s->d_padded;
    }
    for (; query < query_end; query += ROWS) {
        int64_t rows = query_end - query < ROWS ? query_end - query : ROWS;
        for (int64_t r = 0; r < ROWS; r++) {
            int64_t from = (b * s->queries + query + (r < rows ? r : 0)) * s->width + head * s->d;
#if !TILE_BF16
            if (q->dtype == VQP_F32) {
                t.query[r] = q->f + from;
                continue;
            }
#endif
            for (int64_t i = 0; i < s->d_terms; i++)
                queries[r * s->d_terms + i] = NAME(pack_terms)(q, from, 1, i, s->d);
        }
        NAME(tile)(s, &t, query, rows, k, v);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < s->d; j += LANES)
                store_as(out->data, out->dtype, (b * s->queries + query + r) * s->width + head * s->d + j, s->d - j,
                         load(t.out + r * s->d_padded + j) * (1 / t.sum[r]));
    }
}

static void NAME(run)(struct vqp_hb_exec *x, const struct vqp_hb_node *n, uint32_t slots)
{
    struct NAME(sdpa) s = NAME(describe)(n);
    int64_t rows = n->in[0].dim[0] * s.heads, most = (s.queries + QUERY_CHUNK - 1) / QUERY_CHUNK;
    s.chunks = (2 * (int64_t)slots + rows - 1) / rows; /* items enough for all threads; each packs its head anew */
    s.chunks = s.chunks > most ? most : s.chunks;
    s.chunk = ((s.queries + s.chunks - 1) / s.chunks + ROWS - 1) / ROWS * ROWS;
    s.chunks = (s.queries + s.chunk - 1) / s.chunk;
    s.scratch = x->scratch;
    vqp_hb_for(x, (uint64_t)(rows * s.chunks), NAME(item), &s);
}

#include "product_end.h"
