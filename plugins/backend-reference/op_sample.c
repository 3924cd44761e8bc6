#include "reference.h"
#include <math.h>
#include <vqpipe/philox.h>

/* The Gumbel draw that both samplers share, and the best class of a column so far. */
struct draw {
    uint64_t seed;
    uint32_t eval, stream, position;
    const float *noise; /* NULL: the counter-based numbers; else where class 0 of this column is */
    int64_t noise_stride;
    float u[4];
    float best;
    int32_t cls; /* -1: nothing finite yet */
    int bad;     /* a NaN or +infinity was seen */
};

static struct draw start(const struct vqp_hb_node *n, uint32_t first, int64_t b, int64_t position, int64_t positions,
                         int64_t classes)
{
    const struct vqp_hb_arg *noise = &n->in[first + 2];
    const int32_t *seed = n->in[first].i + 2 * b;
    return (struct draw){
        .seed = (uint64_t)(uint32_t)seed[1] << 32 | (uint32_t)seed[0],
        .eval = (uint32_t)n->in[first + 1].i[0],
        .stream = n->op.u.sample.stream,
        .position = (uint32_t)position,
        .noise = noise->data ? noise->f + b * classes * positions + position : NULL,
        .noise_stride = positions,
        .cls = -1,
    };
}

/* Offers class k, in ascending order of k. */
static void offer(struct draw *d, uint32_t k, float l)
{
    if (isnan(l) || l == INFINITY)
        d->bad = 1;
    if (!d->noise && k % 4 == 0)
        vqp_uniform4(d->seed, d->eval, d->stream, d->position, k / 4, d->u);
    float u = d->noise ? d->noise[k * d->noise_stride] : d->u[k % 4];
    float v = l - logf(-logf(u + 1e-30f) + 1e-30f);
    if (isfinite(l) && (d->cls < 0 || v > d->best)) {
        d->best = v;
        d->cls = (int32_t)k;
    }
}

static double log_add_exp(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

struct posterior {
    const struct vqp_hb_node *n;
    double *q; /* per slot */
};

VQP_REF_SCRATCH(posterior_sample)
{
    return VQP_REF_SLOTS * (uint64_t)n->in[0].dim[2] * sizeof(double);
}

static void posterior_column(void *ctx, uint64_t i, uint32_t slot)
{
    const struct posterior *p = ctx;
    const struct vqp_hb_node *n = p->n;
    const float *par = n->in[2].f, *logp;
    int64_t positions = n->in[0].dim[1], classes = n->in[0].dim[2], token = n->in[1].i[i];
    int final = par[VQP_PAR_FINAL] == 1;
    struct draw d =
        start(n, 3, (int64_t)i / positions, (int64_t)i % positions, positions, final ? classes : classes + 1);
    logp = n->in[0].f + (int64_t)i * classes;
    if (final) {
        for (int64_t k = 0; k < classes; k++)
            offer(&d, (uint32_t)k, logp[k]);
    } else {
        const double log_zero = log(1e-30);
        int masked = token == classes;
        double *q = p->q + slot * classes, max = -INFINITY, sum = 0, par_d[VQP_PAR_FINAL];
        for (int k = 0; k < VQP_PAR_FINAL; k++)
            par_d[k] = (double)par[k];
        /* log q(x_t | x0 = k) and log q(x_t | x_s = k) have one value where k is the token and one elsewhere */
        double from_clean[2], from_s[2];
        for (int same = 0; same < 2; same++) {
            double keep = same ? 0 : log_zero;
            from_clean[same] =
                masked ? par_d[VQP_PAR_CUM_T_C] : log_add_exp(par_d[VQP_PAR_CUM_T_A] + keep, par_d[VQP_PAR_CUM_T_B]);
            from_s[same] =
                masked ? par_d[VQP_PAR_LOG_C] : log_add_exp(par_d[VQP_PAR_LOG_A] + keep, par_d[VQP_PAR_LOG_B]);
        }
        for (int64_t k = 0; k < classes; k++) {
            q[k] = (double)logp[k] - from_clean[k == token];
            max = q[k] > max ? q[k] : max;
        }
        for (int64_t k = 0; k < classes; k++)
            sum += exp(q[k] - max);
        double s = max + log(sum);
        for (int64_t k = 0; k < classes; k++)
            offer(&d, (uint32_t)k,
                  (float)(log_add_exp(q[k] - s + par_d[VQP_PAR_CUM_S_A], par_d[VQP_PAR_CUM_S_B]) + from_s[k == token] +
                          s));
        offer(&d, (uint32_t)classes, (float)(par_d[VQP_PAR_CUM_S_C] + (masked ? 0 : log_zero) + s));
    }
    n->out[0].i[i] = d.bad ? -1 : d.cls;
}

VQP_REF_RUN(posterior_sample)
{
    struct posterior p = {n, (double *)x->scratch};
    vqp_hb_for(x, n->out[0].count, posterior_column, &p);
}

static void categorical_column(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    int64_t positions = n->in[0].dim[1], classes = n->in[0].dim[2];
    const float *logp = n->in[0].f + (int64_t)i * classes;
    struct draw d = start(n, 1, (int64_t)i / positions, (int64_t)i % positions, positions, classes);
    for (int64_t k = 0; k < classes; k++)
        offer(&d, (uint32_t)k, logp[k]);
    n->out[0].i[i] = d.bad ? -1 : d.cls;
    n->out[1].f[i] = d.bad || d.cls < 0 ? 0 : logp[d.cls];
}

VQP_REF_RUN(categorical_sample)
{
    vqp_hb_for(x, n->out[0].count, categorical_column, (void *)n);
}
