#include "simd.h"
#include <stdlib.h>

/* LINEAR in float32, where oneDNN has no kernel for packed weights (AVX2: it packs them anew in every product); and with q8_0 weights
 * everywhere. The weight is packed once: a panel of BLOCK outputs after another, in each the inputs in order, as the tile product wants it.
 * A q8_0 weight stays in the file's mapping: each item unpacks the part of a panel that it is about to use. An item is a block of rows; it
 * takes the outputs by groups of panels and the inputs by parts, so that one panel's part stays in the first-level cache, the rows' in the second.
 * An element's sum runs over its inputs in order, whatever the blocks are: it does not depend on threads or on other rows. */

#define TILE_BF16 0
#include "product.h"

TILE_PRODUCT(product, WIDE, 0)
TILE_PRODUCT(product_add, WIDE, 1)

enum {
    PART = 384,        /* inputs, at most */
    GROUP = 8 * BLOCK, /* outputs */
    BLOCK_ROWS = 128,
    Q8_BLOCK_ROWS = 512, /* more, as each item unpacks what it uses */
    LINE = 64,
    UNPACKED = PART * BLOCK
};

struct panels {
    int64_t n, k;
    uint32_t dtype;     /* of the file */
    const float *scale; /* of q8_0 */
    float *values;
};

struct linear {
    const float *values; /* packed: in the cache of weights, or */
    struct panels *mine; /* of a CONSTANT, which has no place there */
    struct panels q8;    /* dtype VQP_Q8_0: nothing is packed */
    int64_t rows, n, k;
    int64_t threads, block, blocks, columns, shares; /* an item: so many rows, so many outputs */
    int64_t part;
};

/* ---- packing ---- */

struct filling {
    const struct panels *panels;
    const void *data;
};

static vf read_some(const struct filling *f, int64_t row, int64_t i)
{
    const struct panels *p = f->panels;
    vf v = splat(0);
    if (row >= p->n)
        return v;
    if (p->dtype == VQP_Q8_0)
        return load_int8((const int8_t *)f->data + row * p->k + i) * p->scale[(row * p->k + i) / VQP_HB_Q8_BLOCK];
    if (p->k - i >= LANES)
        return load_weight(f->data, p->dtype, row * p->k + i);
    float s[LANES] = {0};
    for (int64_t c = 0; c < p->k - i; c++)
        s[c] = vqp_hb_load(f->data, p->dtype, (uint64_t)(row * p->k + i + c));
    return load(s);
}

/* The inputs from..from+terms-1 of the panel of outputs first.. */
static void fill_part(const struct filling *f, int64_t first, int64_t from, int64_t terms, float *to)
{
    for (int64_t i = 0; i < terms; i += LANES)
        for (int64_t c = 0; c < BLOCK; c += LANES) {
            vf rows[LANES];
            for (int64_t r = 0; r < LANES; r++)
                rows[r] = read_some(f, first + c + r, from + i);
            transpose(rows);
            for (int64_t r = 0; r < LANES && i + r < terms; r++)
                store(to + (i + r) * BLOCK + c, rows[r]);
        }
}

static void fill(void *ctx, uint64_t panel)
{
    const struct filling *f = ctx;
    int64_t first = (int64_t)panel * BLOCK;
    fill_part(f, first, 0, f->panels->k, f->panels->values + first * f->panels->k);
}

static int same(const void *copy, const void *key)
{
    const struct panels *a = copy, *b = key;
    return a->n == b->n && a->k == b->k && a->dtype == b->dtype;
}

static void destroy(void *copy)
{
    struct panels *p = copy;
    if (!p)
        return;
    free(p->values);
    free(p);
}

static void *make(const void *data, const void *key)
{
    struct panels *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    *p = *(const struct panels *)key;
    uint64_t columns = (uint64_t)(p->n + BLOCK - 1) / BLOCK * BLOCK;
    if (columns > UINT64_MAX / sizeof(float) / (uint64_t)p->k ||
        !(p->values = vqp_hb_memory(columns * (uint64_t)p->k * sizeof(float)))) {
        free(p);
        return NULL;
    }
    vqp_cpu_parallel(columns / BLOCK, fill, &(struct filling){p, data});
    return p;
}

void ISA(linear_release)(void *own)
{
    struct linear *l = own;
    destroy(l->mine);
    free(l);
}

vqp_status ISA(linear_prepare)(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
{
    static const struct vqp_hb_form form = {same, make, destroy};
    const struct panels key = {n->in[1].dim[0], n->in[1].dim[1], n->in[1].dtype, n->in[5].f, NULL};
    int q8 = key.dtype == VQP_Q8_0;
    int64_t threads = vqp_cpu_of(c->self)->threads;
    struct linear *l = n->own = calloc(1, sizeof *l);
    const struct panels *p = NULL;
    if (l && q8)
        p = &key;
    else if (l && c->weight_1)
        p = vqp_hb_weights_obtain(c->self->weights, n->in[1].data, &form, &key);
    else if (l)
        p = l->mine = make(n->in[1].data, &key);
    if (!p)
        return vqp_hb_no_memory(c);
    *l = (struct linear){.values = p->values, .mine = l->mine, .q8 = key, .n = key.n, .k = key.k, .threads = threads};
    l->rows = (int64_t)(n->out[0].count / (uint64_t)key.n);
    /* Blocks of one size, so that all threads have equal shares; where rows are few, the outputs are shared too. */
    int64_t most = threads * (q8 ? Q8_BLOCK_ROWS : BLOCK_ROWS), rounds = (l->rows + most - 1) / most;
    l->block = (l->rows + threads * rounds - 1) / (threads * rounds);
    l->block = (l->block + ROWS - 1) / ROWS * ROWS;
    l->blocks = (l->rows + l->block - 1) / l->block;
    int64_t panels = (key.n + BLOCK - 1) / BLOCK, wanted = (threads + l->blocks - 1) / l->blocks;
    l->columns = (panels + wanted - 1) / wanted * BLOCK;
    l->shares = (key.n + l->columns - 1) / l->columns;
    int64_t parts = (key.k + PART - 1) / PART;
    l->part = (key.k + parts - 1) / parts;
    if (q8)
        l->part = (l->part + VQP_HB_Q8_BLOCK - 1) / VQP_HB_Q8_BLOCK * VQP_HB_Q8_BLOCK;
    return VQP_OK;
}

/* ---- the product ---- */

/* A tile's last part: the sums, then bias, activation, gate and residual, all in registers. */
struct last {
    const float *bias, *gate, *residual; /* where the tile has them; NULL: absent */
    int64_t gate_stride;                 /* of one row to the next; residual's is that of out */
};

INLINE void finish(const float *const *a, const float *panel, int64_t terms, float *out, int64_t stride,
                   const struct last *l, int add, uint32_t act)
{
    vf acc[ROWS][WIDE];
    begin_f32(acc, out, stride, WIDE, add);
    sums_f32(acc, a, panel, terms, WIDE);
    if (l->bias)
        for (int64_t v = 0; v < WIDE; v++)
            for (int64_t r = 0; r < ROWS; r++)
                acc[r][v] += load(l->bias + v * LANES);
    /* An activation's constants leave no registers for the sums: each goes where it belongs at once. */
    if (act != VQP_ACT_NONE && !l->gate && !l->residual) {
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t v = 0; v < WIDE; v++)
                store(out + r * stride + v * LANES, activate(act, acc[r][v]));
        return;
    }
    for (int64_t v = 0; v < WIDE; v++)
        for (int64_t r = 0; r < ROWS; r++)
            acc[r][v] = activate(act, acc[r][v]);
    if (l->gate)
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t v = 0; v < WIDE; v++)
                acc[r][v] *= load(l->gate + r * l->gate_stride + v * LANES);
    if (l->residual)
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t v = 0; v < WIDE; v++)
                acc[r][v] += load(l->residual + r * stride + v * LANES);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t v = 0; v < WIDE; v++)
            store(out + r * stride + v * LANES, acc[r][v]);
}

#define FINISH(name, add, act)                                                                                         \
    static void name(const float *const *a, const float *panel, int64_t terms, float *out, int64_t stride,             \
                     const struct last *l)                                                                             \
    {                                                                                                                  \
        finish(a, panel, terms, out, stride, l, add, act);                                                             \
    }
FINISH(plain, 0, VQP_ACT_NONE)
FINISH(plain_add, 1, VQP_ACT_NONE)
FINISH(gelu_erf, 0, VQP_ACT_GELU_ERF)
FINISH(gelu_erf_add, 1, VQP_ACT_GELU_ERF)
FINISH(gelu_sigmoid, 0, VQP_ACT_GELU_SIGMOID)
FINISH(gelu_sigmoid_add, 1, VQP_ACT_GELU_SIGMOID)
FINISH(silu, 0, VQP_ACT_SILU)
FINISH(silu_add, 1, VQP_ACT_SILU)
#undef FINISH

static void (*const finishes[][2])(const float *const *a, const float *panel, int64_t terms, float *out, int64_t stride,
                                   const struct last *l) = {
    [VQP_ACT_NONE] = {plain, plain_add},
    [VQP_ACT_GELU_ERF] = {gelu_erf, gelu_erf_add},
    [VQP_ACT_GELU_SIGMOID] = {gelu_sigmoid, gelu_sigmoid_add},
    [VQP_ACT_SILU] = {silu, silu_add},
};

static void multiply(const struct linear *l, const struct vqp_hb_node *n, const float *const *a, const float *panel,
                     int64_t from, int64_t terms, float *out, int64_t stride, const struct last *last)
{
    if (from + terms == l->k)
        finishes[n->op.u.linear.act][from > 0](a, panel, terms, out, stride, last);
    else
        (from > 0 ? product_add_f32 : product_f32)(a, panel, terms, out, stride);
}

/* A tile of which some rows or columns are not there, on copies of what it reads: its elements come out as in a whole one. */
static void edge(const struct linear *l, const struct vqp_hb_node *n, const float *const *a, const float *panel,
                 int64_t from, int64_t terms, float *out, const struct last *last, int64_t rows, int64_t columns)
{
    float sums[ROWS * BLOCK] = {0}, bias[BLOCK] = {0}, gate[ROWS * BLOCK] = {0}, residual[ROWS * BLOCK] = {0};
    size_t bytes = (size_t)columns * sizeof *sums;
    for (int64_t r = 0; r < rows; r++) {
        if (from > 0)
            memcpy(sums + r * BLOCK, out + r * l->n, bytes);
        if (last->gate)
            memcpy(gate + r * BLOCK, last->gate + r * last->gate_stride, bytes);
        if (last->residual)
            memcpy(residual + r * BLOCK, last->residual + r * l->n, bytes);
    }
    if (last->bias)
        memcpy(bias, last->bias, bytes);
    const struct last copy = {last->bias ? bias : NULL, last->gate ? gate : NULL, last->residual ? residual : NULL,
                              BLOCK};
    multiply(l, n, a, panel, from, terms, sums, BLOCK, &copy);
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + r * l->n, sums + r * BLOCK, bytes);
}

static void tile(const struct linear *l, const struct vqp_hb_node *n, const float *panel, int64_t row, int64_t rows,
                 int64_t first, int64_t from, int64_t terms)
{
    const float *a[ROWS], *x = n->in[0].f + from, *bias = n->in[2].f, *residual = n->in[3].f, *gate = n->in[4].f;
    int64_t at = row * l->n + first, columns = l->n - first < BLOCK ? l->n - first : BLOCK;
    int gate_by_row = n->in[4].count != (uint64_t)l->n;
    const struct last last = {.bias = bias ? bias + first : NULL,
                              .residual = residual ? residual + at : NULL,
                              .gate = gate ? gate + (gate_by_row ? at : first) : NULL,
                              .gate_stride = gate_by_row ? l->n : 0};
    float *out = n->out[0].f + at;
    for (int64_t r = 0; r < ROWS; r++) {
        int64_t there = r < rows ? r : 0;
        a[r] = x + (row + there) * l->k;
        __builtin_prefetch(out + there * l->n, 1); /* what comes after the sums arrives during them */
        __builtin_prefetch(out + there * l->n + columns - 1, 1);
        if (residual) {
            __builtin_prefetch(last.residual + there * l->n);
            __builtin_prefetch(last.residual + there * l->n + columns - 1);
        }
    }
    if (rows == ROWS && columns == BLOCK)
        multiply(l, n, a, panel, from, terms, out, l->n, &last);
    else
        edge(l, n, a, panel, from, terms, out, &last, rows, columns);
}

/* Where an item is: the group of panels, the part of the inputs, the panel. */
struct place {
    int64_t group, from, first;
};

/* 0: there is no next one before the output `end`. */
static int advance(const struct linear *l, struct place *p, int64_t end)
{
    p->first += BLOCK;
    if (p->first < p->group + GROUP && p->first < end)
        return 1;
    p->first = p->group;
    p->from += l->part;
    if (p->from < l->k)
        return 1;
    *p = (struct place){p->group + GROUP, 0, p->group + GROUP};
    return p->group < end;
}

static const float *panel_at(const struct linear *l, const struct place *p)
{
    return l->values + p->first * l->k + p->from * BLOCK;
}

static int64_t terms_at(const struct linear *l, const struct place *p)
{
    return l->k - p->from < l->part ? l->k - p->from : l->part;
}

struct job {
    const struct vqp_hb_node *n;
    float *unpacked; /* of q8_0: each slot's part of a panel */
};

static void item(void *ctx, uint64_t item, uint32_t slot)
{
    const struct job *job = ctx;
    const struct vqp_hb_node *n = job->n;
    const struct linear *l = n->own;
    const struct filling q8 = {&l->q8, n->in[1].data};
    float *unpacked = job->unpacked + (uint64_t)slot * UNPACKED;
    int64_t row = (int64_t)item / l->shares * l->block, begin = (int64_t)item % l->shares * l->columns;
    int64_t rows = l->rows - row < l->block ? l->rows - row : l->block;
    int64_t end = l->n - begin < l->columns ? l->n : begin + l->columns;
    struct place now = {begin, 0, begin}, after;
    for (int more = begin < end; more; now = after) {
        const float *panel = l->values ? panel_at(l, &now) : unpacked, *ahead = panel;
        int64_t terms = terms_at(l, &now), lines = 0;
        after = now;
        more = advance(l, &after, end);
        if (!l->values)
            fill_part(&q8, now.first, now.from, terms, unpacked);
        if (more && l->values) { /* the next panel comes into the second-level cache while this one is worked on */
            ahead = panel_at(l, &after);
            lines = terms_at(l, &after) * BLOCK * (int64_t)sizeof *ahead / LINE;
            lines = (lines * ROWS + rows - 1) / rows;
        }
        for (int64_t r = 0; r < rows; r += ROWS) {
            for (int64_t i = 0; i < lines; i++, ahead += LINE / (int64_t)sizeof *ahead)
                __builtin_prefetch(ahead, 0, 2);
            tile(l, n, panel, row + r, rows - r < ROWS ? rows - r : ROWS, now.first, now.from, terms);
        }
    }
}

ISA_RUN(linear)
{
    const struct linear *l = n->own;
    struct job job = {n, (float *)x->scratch};
    vqp_hb_for(x, (uint64_t)(l->blocks * l->shares), item, &job);
}

ISA_SCRATCH(linear)
{
    const struct linear *l = n->own;
    return l->values ? 0 : (uint64_t)l->threads * UNPACKED * sizeof(float);
}

#include "product_end.h"
