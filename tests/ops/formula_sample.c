#include "ops.h"
#include <math.h>
#include <vqpipe/philox.h>

static double log_sum_exp(const double *v, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = fmax(max, v[k]);
    if (isinf(max))
        return max;
    for (int64_t k = 0; k < n; k++)
        sum += exp(v[k] - max);
    return max + log(sum);
}

void formula_guide_log_softmax(const struct tensor *logits, const struct tensor *guide, double *out)
{
    int64_t c = ops_dim(logits, 1), rows = (int64_t)logits->count / c, half = guide ? rows / 2 : rows;
    double *l = ops_alloc((size_t)(2 * c), sizeof *l), *u = l + c;
    for (int64_t row = 0; row < half; row++) {
        for (int64_t k = 0; k < c; k++) {
            u[k] = ops_at(logits, (uint64_t)(row * c + k));
            l[k] = guide ? ops_at(logits, (uint64_t)((row + half) * c + k)) : u[k];
        }
        double lse_u = log_sum_exp(u, c), lse_l = log_sum_exp(l, c);
        for (int64_t k = 0; k < c; k++) {
            u[k] -= lse_u;
            l[k] -= lse_l;
            if (guide)
                l[k] = u[k] + ops_at(guide, 0) * (l[k] - u[k]);
        }
        double lse = log_sum_exp(l, c);
        for (int64_t k = 0; k < c; k++)
            out[row * c + k] = l[k] - lse;
    }
}

void formula_order(const double *v, int64_t n, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) { /* insertion, which keeps equals in their order */
        int64_t at = i;
        for (; at > 0 && !isnan(v[i]) && (isnan(v[order[at - 1]]) || v[order[at - 1]] < v[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

void formula_truncate(const float *logp, int64_t n, float rate, float low, double *before, double *out)
{
    int64_t *order = ops_alloc((size_t)n, sizeof *order);
    double *v = ops_alloc((size_t)n, sizeof *v), sum = 0;
    for (int64_t k = 0; k < n; k++)
        v[k] = (double)logp[k];
    formula_order(v, n, order);
    for (int64_t k = 0; k < n; k++) {
        int64_t cls = order[k];
        before[cls] = sum;
        out[cls] = k == 0 || (float)sum < rate ? fmax(v[cls], (double)low) : (double)low;
        sum += exp(v[cls]);
    }
}

static double log_add_exp(double x, double y)
{
    return log_sum_exp((double[]){x, y}, 2);
}

/* Adds the noise of K = n classes to l; 0 where a class is NaN or +infinity, or none is finite. */
static int64_t noisy(const struct formula_draw *d, int64_t b, int64_t n, int64_t classes, const double *l,
                     double *score)
{
    int64_t positions = d->logp->shape.dim[1], finite = 0;
    for (int64_t k = 0; k < classes; k++) {
        uint64_t seed = (uint64_t)(uint32_t)d->seed->i[2 * b + 1] << 32 | (uint32_t)d->seed->i[2 * b];
        float u = d->noise ? d->noise->f[(b * classes + k) * positions + n]
                           : vqp_uniform(seed, (uint32_t)d->eval->i[0], d->stream, (uint32_t)n, (uint32_t)k);
        float g = -logf(-logf(u + 1e-30f) + 1e-30f), lf = (float)l[k];
        if (isnan(lf) || (isinf(lf) && lf > 0))
            return 0;
        finite += isfinite(lf) != 0;
        score[k] = (double)(lf + g);
    }
    return finite ? classes : 0;
}

int64_t formula_categorical(const struct formula_draw *d, int64_t b, int64_t n, double *score)
{
    int64_t c = d->logp->shape.dim[2];
    double *l = ops_alloc((size_t)c, sizeof *l);
    for (int64_t k = 0; k < c; k++)
        l[k] = ops_at(d->logp, (uint64_t)((b * d->logp->shape.dim[1] + n) * c + k));
    return noisy(d, b, n, c, l, score);
}

int64_t formula_posterior(const struct formula_draw *d, int64_t b, int64_t n, double *score)
{
    int64_t c = d->logp->shape.dim[2], at = b * d->logp->shape.dim[1] + n, x = d->tokens->i[at];
    double par[12], zero = log(1e-30);
    double *q = ops_alloc((size_t)(2 * c + 1), sizeof *q), *l = q + c;
    for (uint64_t k = 0; k < 12; k++)
        par[k] = ops_at(d->par, k);
    if (par[VQP_PAR_FINAL] == 1)
        return formula_categorical(d, b, n, score);
    for (int64_t k = 0; k < c; k++) {
        double qt = x == c ? par[VQP_PAR_CUM_T_C]
                           : log_add_exp(par[VQP_PAR_CUM_T_A] + (k == x ? 0 : zero), par[VQP_PAR_CUM_T_B]);
        q[k] = ops_at(d->logp, (uint64_t)(at * c + k)) - qt;
    }
    double s = log_sum_exp(q, c);
    for (int64_t k = 0; k < c; k++) {
        double m = log_add_exp(q[k] - s + par[VQP_PAR_CUM_S_A], par[VQP_PAR_CUM_S_B]);
        double st =
            x == c ? par[VQP_PAR_LOG_C] : log_add_exp(par[VQP_PAR_LOG_A] + (k == x ? 0 : zero), par[VQP_PAR_LOG_B]);
        l[k] = m + st + s;
    }
    l[c] = par[VQP_PAR_CUM_S_C] + (x == c ? 0 : zero) + s;
    return noisy(d, b, n, c + 1, l, score);
}
