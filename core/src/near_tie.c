#include "near_tie.h"
#include "tolerance.h"
#include <math.h>
#include <vqpipe/philox.h>

static const void *data_of(const struct vqp_choice *c, vqp_val v)
{
    return c->values[c->program->vals[v].root];
}

static const struct vqp_shape *shape_of(const struct vqp_choice *c, vqp_val v)
{
    return &c->program->vals[v].shape;
}

/* ---- draws ------------------------------------------------------------------------------------------------------ */

struct draw {
    const float *logp, *par, *noise; /* logp: of this position */
    const int32_t *seed, *eval;      /* seed: of this image */
    int64_t n_codes, n_classes, b, n, positions, token;
    uint32_t stream;
    double s; /* logsumexp of q */
};

static double log_add_exp(double x, double y)
{
    double hi = fmax(x, y), lo = fmin(x, y);
    return isinf(hi) ? hi : hi + log1p(exp(lo - hi));
}

static const double log_zero = -69.07755278982137; /* log 1e-30 */

/* log q(x_t | x0 = k) */
static double forward(const struct draw *d, int64_t k, uint32_t a, uint32_t b, uint32_t c)
{
    if (d->token == d->n_codes)
        return (double)d->par[c];
    return log_add_exp((double)d->par[a] + (k == d->token ? 0 : log_zero), (double)d->par[b]);
}

static double q_of(const struct draw *d, int64_t k)
{
    return (double)d->logp[k] - forward(d, k, VQP_PAR_CUM_T_A, VQP_PAR_CUM_T_B, VQP_PAR_CUM_T_C);
}

static double log_prob(const struct draw *d, int64_t k)
{
    if (!d->par)
        return (double)d->logp[k];
    if (k == d->n_codes)
        return (double)d->par[VQP_PAR_CUM_S_C] + (d->token == k ? 0 : log_zero) + d->s;
    double m = log_add_exp(q_of(d, k) - d->s + (double)d->par[VQP_PAR_CUM_S_A], (double)d->par[VQP_PAR_CUM_S_B]);
    return m + forward(d, k, VQP_PAR_LOG_A, VQP_PAR_LOG_B, VQP_PAR_LOG_C) + d->s;
}

static double score(const struct draw *d, int64_t k)
{
    uint64_t seed = (uint64_t)(uint32_t)d->seed[1] << 32 | (uint32_t)d->seed[0];
    float u = d->noise ? d->noise[(d->b * d->n_classes + k) * d->positions + d->n]
                       : vqp_uniform(seed, (uint32_t)d->eval[0], d->stream, (uint32_t)d->n, (uint32_t)k);
    float g = -logf(-logf(u + 1e-30f) + 1e-30f);
    return log_prob(d, k) + (double)g;
}

static int draw_tie(const struct vqp_choice *c)
{
    int posterior = c->op->kind == VQP_OP_POSTERIOR_SAMPLE;
    const vqp_val *in = c->op->in, *rest = in + (posterior ? 3 : 1);
    const struct vqp_shape *shape = shape_of(c, in[0]);
    struct draw d = {.par = posterior ? data_of(c, in[2]) : NULL,
                     .seed = data_of(c, rest[0]),
                     .eval = data_of(c, rest[1]),
                     .noise = rest[2] ? data_of(c, rest[2]) : NULL,
                     .n_codes = shape->dim[2],
                     .n_classes = shape->dim[2],
                     .positions = shape->dim[1],
                     .b = (int64_t)c->at / shape->dim[1],
                     .n = (int64_t)c->at % shape->dim[1],
                     .stream = c->op->u.sample.stream};
    d.logp = (const float *)data_of(c, in[0]) + (int64_t)c->at * d.n_codes;
    d.seed += 2 * d.b;
    if (d.par && d.par[VQP_PAR_FINAL] == 1.0f)
        d.par = NULL;
    if (d.par) {
        d.token = ((const int32_t *)data_of(c, in[1]))[c->at];
        d.n_classes++;
        double max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < d.n_codes; k++)
            max = fmax(max, q_of(&d, k));
        for (int64_t k = 0; k < d.n_codes; k++)
            sum += exp(q_of(&d, k) - max);
        d.s = max + log(sum);
    }
    if (c->first < 0 || c->second < 0 || c->first >= (double)d.n_classes || c->second >= (double)d.n_classes)
        return 0;
    return fabs(score(&d, (int64_t)c->first) - score(&d, (int64_t)c->second)) < VQP_NEAR_TIE;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static int truncate_tie(const struct vqp_choice *c)
{
    const struct vqp_shape *shape = shape_of(c, c->op->in[0]);
    int64_t classes = shape->rank ? shape->dim[shape->rank - 1] : 1, k = (int64_t)c->at % classes;
    const float *logp = (const float *)data_of(c, c->op->in[0]) + ((int64_t)c->at - k),
                *rate = data_of(c, c->op->in[1]);
    double low = (double)c->op->u.truncate.floor, kept = fmax((double)logp[k], low), before = 0;
    if (!((c->first == low && c->second == kept) || (c->first == kept && c->second == low)))
        return 0;
    for (int64_t j = 0; j < classes; j++)
        if (logp[j] > logp[k] || (logp[j] == logp[k] && j < k))
            before += exp((double)logp[j]);
    return fabs(before - (double)*rate) < VQP_NEAR_TIE;
}

static int code_tie(const struct vqp_choice *c)
{
    const struct vqp_val_info *table = &c->program->vals[c->op->in[1]];
    int64_t width = table->shape.dim[1], codes = table->shape.dim[0];
    const float *x = (const float *)data_of(c, c->op->in[0]) + (int64_t)c->at * width, *t = data_of(c, c->op->in[1]);
    double choice[2] = {c->first, c->second}, distance[2] = {0}, size = 0;
    if (table->dtype != VQP_F32)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (choice[i] < 0 || choice[i] >= (double)codes)
            return 0;
        for (int64_t e = 0; e < width; e++) {
            double v = (double)x[e], w = (double)t[(int64_t)choice[i] * width + e];
            distance[i] += (v - w) * (v - w);
            size += (v * v + w * w) / 2;
        }
    }
    return fabs(distance[0] - distance[1]) <= 1e-5 * size;
}

static int level_tie(const struct vqp_choice *c)
{
    double x = 255.0 * (double)((const float *)data_of(c, c->op->in[0]))[c->at];
    return fabs(c->first - c->second) == 1 && fabs(x - (c->first + c->second) / 2) < 1e-3;
}

int vqp_near_tie(const struct vqp_choice *c)
{
    switch (c->op->kind) {
    case VQP_OP_POSTERIOR_SAMPLE:
    case VQP_OP_CATEGORICAL_SAMPLE: return draw_tie(c);
    case VQP_OP_TRUNCATE: return truncate_tie(c);
    case VQP_OP_NEAREST_CODE: return code_tie(c);
    case VQP_OP_TO_RGB: return level_tie(c);
    default: return 0;
    }
}
