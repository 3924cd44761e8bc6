#include "simd.h"

/* Channels last: places of one batch row are taken in chunks, and every channel keeps its own sums, so that memory is read in order. Three
 * passes: the means, the variances, the result. */

enum {
    CHUNKS = 32 /* of one batch row; fixed, so that sums do not depend on the number of threads */
};

struct group_norm {
    const struct vqp_hb_node *n;
    int64_t places, channels, each;
    double *partial;      /* [batch][CHUNKS][channels] */
    float *mean, *factor; /* [batch][channels] */
};

ISA_SCRATCH(group_norm)
{
    uint64_t values = (uint64_t)(n->in[0].dim[0] * vqp_hb_last(&n->in[0]));
    return values * (CHUNKS * sizeof(double) + 2 * sizeof(float));
}

static void range(const struct group_norm *g, uint64_t item, int64_t *first, int64_t *end)
{
    int64_t chunk = (int64_t)(item % CHUNKS);
    *first = g->places * chunk / CHUNKS;
    *end = g->places * (chunk + 1) / CHUNKS;
}

/* The chunk's sums of x, or of (x - mean)^2, for each channel. */
INLINE void sums(const struct group_norm *g, uint64_t item, int squares)
{
    int64_t first, end, b = (int64_t)(item / CHUNKS);
    range(g, item, &first, &end);
    const float *x = g->n->in[0].f + b * g->places * g->channels, *mean = g->mean + b * g->channels;
    double *out = g->partial + (int64_t)item * g->channels;
    for (int64_t c = 0; c < g->channels; c += LANES) {
        int64_t some = g->channels - c;
        double total[LANES] = {0};
        vf m = squares ? load_some(mean + c, some, 0) : splat(0);
        for (int64_t p = first; p < end;) {
            vf sum = splat(0);
            for (int64_t stop = end - p < 64 ? end : p + 64; p < stop; p++) {
                vf v = load_some(x + p * g->channels + c, some, 0) - m;
                sum += squares ? v * v : v;
            }
            for (int i = 0; i < LANES; i++)
                total[i] += (double)sum[i];
        }
        for (int64_t i = 0; i < LANES && i < some; i++)
            out[c + i] = total[i];
    }
}

static void sum(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    sums(ctx, item, 0);
}

static void sum_squares(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    sums(ctx, item, 1);
}

/* Each group's total over its channels and all chunks, divided by the count, into every channel of the group. */
static void gather(const struct group_norm *g, float *to, int factor)
{
    for (int64_t b = 0; b < g->n->in[0].dim[0]; b++)
        for (int64_t first = 0; first < g->channels; first += g->each) {
            double total = 0;
            for (int64_t k = 0; k < CHUNKS; k++)
                for (int64_t c = first; c < first + g->each; c++)
                    total += g->partial[(b * CHUNKS + k) * g->channels + c];
            total /= (double)(g->places * g->each);
            for (int64_t c = first; c < first + g->each; c++)
                to[b * g->channels + c] =
                    factor ? (float)(1 / sqrt(total + (double)g->n->op.u.norm.eps)) : (float)total;
        }
}

static void result(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    const struct group_norm *g = ctx;
    const struct vqp_hb_arg *weight = &g->n->in[1], *bias = &g->n->in[2], *out = &g->n->out[0];
    int64_t first, end, b = (int64_t)(item / CHUNKS);
    range(g, item, &first, &end);
    for (int64_t c = 0; c < g->channels; c += LANES) {
        int64_t some = g->channels - c;
        vf mean = load_some(g->mean + b * g->channels + c, some, 0);
        vf scale = load_some(g->factor + b * g->channels + c, some, 0), shift = splat(0);
        if (weight->data)
            scale *= load_some(weight->f + c, some, 0);
        if (bias->data)
            shift = load_some(bias->f + c, some, 0);
        for (int64_t p = first; p < end; p++) {
            int64_t at = (b * g->places + p) * g->channels + c;
            vf y = (load_some(g->n->in[0].f + at, some, 0) - mean) * scale + shift;
            store_as(out->data, out->dtype, at, some, activate(g->n->op.u.norm.act, y));
        }
    }
}

ISA_RUN(group_norm)
{
    const struct vqp_hb_arg *in = &n->in[0];
    struct group_norm g = {.n = n, .channels = vqp_hb_last(in), .partial = (double *)x->scratch};
    uint64_t items = (uint64_t)in->dim[0] * CHUNKS;
    g.places = (int64_t)in->count / in->dim[0] / g.channels;
    g.each = g.channels / n->op.u.norm.groups;
    g.mean = (float *)(g.partial + (int64_t)items * g.channels);
    g.factor = g.mean + in->dim[0] * g.channels;
    vqp_hb_for(x, items, sum, &g);
    gather(&g, g.mean, 0);
    vqp_hb_for(x, items, sum_squares, &g);
    gather(&g, g.factor, 1);
    vqp_hb_for(x, items, result, &g);
}
