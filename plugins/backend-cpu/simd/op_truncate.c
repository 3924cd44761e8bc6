#include "simd.h"

/* Only the classes near the cut need sorting: they are told apart into buckets by value, sums are kept for each bucket, and the one in
 * which the sum reaches the rate is sorted. */

enum {
    BUCKETS = 512,
    STEP = 16
};
struct truncation {
    const struct vqp_hb_node *n;
    unsigned char *scratch;
};

static uint64_t slot_bytes(uint64_t classes)
{
    return (classes * (2 * sizeof(int32_t) + sizeof(double)) + BUCKETS * sizeof(double) + sizeof(double) * 2 * LANES +
            63) /
           64 * 64;
}

ISA_SCRATCH(truncate)
{
    return ((const struct slots *)n->own)->slots * slot_bytes((uint64_t)vqp_hb_last(&n->in[0]));
}

typedef double vd __attribute__((vector_size(LANES * 8)));
typedef double vd_loose __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef int64_t vl __attribute__((vector_size(LANES * 8)));

/* e^x in double to a few ulp, for -700 < x < 700, as its Taylor polynomial on |r| <= ln 2 / 2. */
INLINE vd exp_double(vd x)
{
    static const double inverse[] = {
        1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1,           1};
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    vd t = x * 1.4426950408889634074 + magic, n = t - magic;
    vd r = x - n * 6.93147180369123816490e-01;
    r = r - n * 1.90821492927058770002e-10;
    vd y = inverse[0] - (vd){0};
    for (int i = 1; i < 13; i++)
        y = y * r + inverse[i];
    return y * (vd)(((vl)t - (vl)(magic - (vd){0}) + 1023) << 52);
}

/* Which bucket each class is in, descending by value; NaN and what is far below the others in the last. */
static void assign(const float *in, int64_t classes, int32_t *bucket)
{
    vf most = splat(-INFINITY), least = splat(INFINITY);
    for (int64_t k = 0; k < classes; k += LANES) {
        vf v = load_some(in + k, classes - k, in[k]);
        most = larger(v, most);
        least = choose(v < least, v, least);
    }
    float high = largest_of(most), low = -largest_of(-least);
    low = low > high - 30 ? low : high - 30;
    float step = (float)(BUCKETS - 1) / (high - low);
    int sortable = isfinite(high) && isfinite(step); /* one bucket for all, else */
    for (int64_t k = 0; k < classes; k += LANES) {
        vf v = load_some(in + k, classes - k, 0), b = (high - v) * step;
        b = choose(b < (float)(BUCKETS - 1), b, splat(BUCKETS - 1)); /* false for a NaN */
        vi i = sortable ? __builtin_convertvector(b, vi) : (vi){0};
        if (classes - k >= LANES)
            memcpy(bucket + k, &i, sizeof i);
        else
            memcpy(bucket + k, &i, (size_t)(classes - k) * sizeof *bucket);
    }
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    const struct truncation *t = ctx;
    int64_t classes = vqp_hb_last(&t->n->in[0]);
    double *sum = (double *)(t->scratch + slot * slot_bytes((uint64_t)classes)), *e = sum + BUCKETS, total = 0;
    int32_t *bucket = (int32_t *)(e + classes + INT64_C(2) * LANES), cut = 0;
    uint32_t *order = (uint32_t *)(bucket + classes), n = 0;
    const float *in = t->n->in[0].f + i * (uint64_t)classes;
    float *out = t->n->out[0].f + i * (uint64_t)classes, rate = t->n->in[1].f[0], low = t->n->op.u.truncate.floor;
    assign(in, classes, bucket);
    for (int64_t k = 0; k < classes; k += LANES) {
        vf v = load_some(in + k, classes - k, 0);
        v = choose(v < -700.0f, splat(-700), v); /* beyond it nothing is added to any sum */
        *(vd_loose *)(e + k) = exp_double(__builtin_convertvector(v, vd));
    }
    memset(sum, 0, BUCKETS * sizeof *sum);
    for (int64_t k = 0; k < classes; k++)
        sum[bucket[k]] += e[k];
    for (; cut < BUCKETS; cut += STEP) { /* by steps, as long as the sum stays below */
        double more = 0;
        for (int64_t k = 0; k < STEP; k++)
            more += sum[cut + k];
        if (!((float)(total + more) < rate))
            break;
        total += more;
    }
    while (cut < BUCKETS && (float)(total + sum[cut]) < rate)
        total += sum[cut++];
    for (int64_t k = 0; k < classes; k += LANES) {
        vf v = load_some(in + k, classes - k, 0);
        vi b = {0};
        memcpy(&b, bucket + k, classes - k < LANES ? (size_t)(classes - k) * sizeof *bucket : sizeof b);
        store_some(out + k, classes - k, choose((b < cut) & ~(v < low), v, splat(low)));
        for (int64_t c = k; any(b == cut) && c < k + LANES && c < classes; c++)
            if (bucket[c] == cut)
                order[n++] = (uint32_t)c;
    }
    vqp_hb_sort_some(in, order, n);
    for (uint32_t k = 0; k < n; k++) {
        int first = total == 0 && k == 0, kept = first || (float)total < rate;
        out[order[k]] = !kept || in[order[k]] < low ? low : in[order[k]];
        total += e[order[k]];
    }
}

ISA_RUN(truncate)
{
    struct truncation t = {n, x->scratch};
    vqp_hb_for(x, vqp_hb_rows(&n->in[0]), item, &t);
}
