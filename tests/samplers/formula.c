/* A step's distribution as the papers define it, by going through all that can happen. */
#include "samplers.h"
#include <math.h>

/* ---- VQ-Diffusion: Bayes' rule, from the matrices of single timesteps ------------------------------------------- */

typedef double matrix[CODES + 1][CODES + 1]; /* [from][to] */

static double along(double start, double end, int t, double clean)
{
    return t < 0 ? clean : start + (end - start) * t / (TIMESTEPS - 1);
}

/* The product of the matrices of the timesteps after s, up to t. */
static void transitions(int s, int t, matrix out)
{
    for (int i = 0; i <= CODES; i++)
        for (int j = 0; j <= CODES; j++)
            out[i][j] = i == j;
    for (int u = s + 1; u <= t; u++) {
        double a = along(0.99999, 0.000009, u, 1) / along(0.99999, 0.000009, u - 1, 1);
        double c = 1 - (1 - along(0.000009, 0.99999, u, 0)) / (1 - along(0.000009, 0.99999, u - 1, 0));
        double b = (1 - a - c) / CODES;
        matrix before;
        memcpy(before, out, sizeof before);
        for (int i = 0; i <= CODES; i++)
            for (int j = 0; j <= CODES; j++) {
                out[i][j] = 0;
                for (int k = 0; k <= CODES; k++)
                    out[i][j] += before[i][k] * (k == MASK ? j == MASK : j == MASK ? c : j == k ? a + b : b);
            }
    }
}

/* Adds `probability` times the product of the tokens' own distributions to out. */
static void add_product(double token[TOKENS][CODES + 1], double probability, double out[STATES])
{
    for (int state = 0; state < STATES; state++) {
        int32_t y[TOKENS];
        double product = probability;
        state_ids(state, y);
        for (int n = 0; n < TOKENS; n++)
            product *= token[n][y[n]];
        out[state] += product;
    }
}

/* Token n stays as it is, or is drawn from p. */
static void stays(double token[CODES + 1], int32_t x)
{
    for (int k = 0; k <= CODES; k++)
        token[k] = k == x;
}

static void drawn(double token[CODES + 1], const double p[CODES])
{
    for (int k = 0; k < CODES; k++)
        token[k] = p[k];
    token[MASK] = 0;
}

static void vq_diffusion(const struct setting *s, const double p[TOKENS][CODES], const int32_t x[TOKENS],
                         const struct vqp_eval *evals, int32_t n, int32_t i, double out[STATES])
{
    (void)s;
    double token[TOKENS][CODES + 1];
    matrix to_s, to_t, jump;
    int t = evals[i].t, until = i + 1 < n ? evals[i + 1].t : -1;
    transitions(-1, until, to_s);
    transitions(-1, t, to_t);
    transitions(until, t, jump);
    for (int k = 0; k < TOKENS; k++) {
        double sum = 0;
        for (int y = 0; y <= CODES; y++) {
            token[k][y] = 0;
            for (int x0 = 0; x0 < CODES; x0++)
                token[k][y] += p[k][x0] * to_s[x0][y] * jump[y][x[k]] / to_t[x0][x[k]];
            sum += token[k][y];
        }
        for (int y = 0; y <= CODES; y++)
            token[k][y] /= sum;
    }
    add_product(token, 1, out);
}

/* ---- Improved VQ-Diffusion --------------------------------------------------------------------------------------- */

static double highest(const double p[CODES])
{
    return fmax(fmax(p[0], p[1]), fmax(p[2], p[3]));
}

/* `left` more of the masked positions are drawn, the next one in proportion to its weight. */
static void pick(double token[TOKENS][CODES + 1], const double sharp[TOKENS][CODES], const int32_t x[TOKENS],
                 const double weight[TOKENS], int taken, int left, double probability, double out[STATES])
{
    double sum = 0;
    for (int n = 0; n < TOKENS; n++)
        sum += x[n] == MASK && !(taken >> n & 1) ? weight[n] : 0;
    if (!left || sum == 0) {
        add_product(token, probability, out);
        return;
    }
    for (int n = 0; n < TOKENS; n++)
        if (x[n] == MASK && !(taken >> n & 1)) {
            drawn(token[n], sharp[n]);
            pick(token, sharp, x, weight, taken | 1 << n, left - 1, probability * weight[n] / sum, out);
            stays(token[n], x[n]);
        }
}

static void purity(const struct setting *s, const double p[TOKENS][CODES], const int32_t x[TOKENS],
                   const struct vqp_eval *evals, int32_t n, int32_t i, double out[STATES])
{
    double token[TOKENS][CODES + 1], weight[TOKENS], sharp[TOKENS][CODES], most = 0;
    for (int k = 0; k < TOKENS; k++)
        most = fmax(most, highest(p[k]));
    for (int k = 0; k < TOKENS; k++) {
        double share = highest(p[k]) / most, sum = 0;
        weight[k] = s->rule == 1 ? 1 : share;
        for (int c = 0; c < CODES; c++)
            sum += sharp[k][c] = pow(p[k][c], 1 + s->number * share);
        for (int c = 0; c < CODES; c++)
            sharp[k][c] /= sum;
        if (i + 1 == n)
            drawn(token[k], p[k]);
        else
            stays(token[k], x[k]);
    }
    if (i + 1 == n)
        add_product(token, 1, out);
    else
        pick(token, sharp, x, weight, 0, (int)(evals[i].par[0] - evals[i].par[1]), 1, out);
}

/* ---- MaskGIT ----------------------------------------------------------------------------------------------------- */

/* Of the masked positions the `keep` surest keep the code that they drew (probability prob), the others are masked again. */
static void keep_surest(const int32_t x[TOKENS], const int32_t code[TOKENS], const double prob[TOKENS], int kept,
                        int keep, double temperature, double probability, double out[STATES])
{
    double weight[TOKENS], sum = 0;
    int32_t y[TOKENS];
    for (int n = 0; n < TOKENS; n++) {
        int free = x[n] == MASK && !(kept >> n & 1), beaten = 0;
        for (int k = 0; k < TOKENS; k++)
            beaten |= x[k] == MASK && !(kept >> k & 1) && prob[k] > prob[n];
        weight[n] = !free ? 0 : temperature > 0 ? pow(prob[n], 1 / temperature) : !beaten;
        sum += weight[n];
        y[n] = x[n] == MASK && (kept >> n & 1) ? code[n] : x[n];
    }
    if (!keep || sum == 0) {
        out[state_of(y)] += probability;
        return;
    }
    for (int n = 0; n < TOKENS; n++)
        if (weight[n] > 0)
            keep_surest(x, code, prob, kept | 1 << n, keep - 1, temperature, probability * weight[n] / sum, out);
}

static void maskgit(const struct setting *s, const double p[TOKENS][CODES], const int32_t x[TOKENS],
                    const struct vqp_eval *evals, int32_t n, int32_t i, double out[STATES])
{
    int masked = 0;
    double temperature = n > 1 ? s->number * (1 - (double)i / (n - 1)) : s->number;
    for (int k = 0; k < TOKENS; k++)
        masked += x[k] == MASK;
    double left = fmax(1, fmin(masked - 1, (double)evals[i].par[1]));
    int keep = i + 1 == n ? masked : masked - (int)left;
    for (int all = 0; all < CODES * CODES * CODES; all++) {
        int32_t code[TOKENS] = {all / 16, all / 4 % 4, all % 4};
        double prob[TOKENS], probability = 1;
        for (int k = 0; k < TOKENS; k++)
            probability *= prob[k] = p[k][code[k]];
        keep_surest(x, code, prob, 0, keep, temperature, probability, out);
    }
}

/* ---- Halton ------------------------------------------------------------------------------------------------------ */

static void halton(const struct setting *s, const double p[TOKENS][CODES], const int32_t x[TOKENS],
                   const struct vqp_eval *evals, int32_t n, int32_t i, double out[STATES])
{
    (void)s, (void)n;
    static const int place[TOKENS] = {2, 0, 1}; /* 1/3, 2/3, 1/9, ... of a row of three */
    double token[TOKENS][CODES + 1];
    for (int k = 0; k < TOKENS; k++)
        if (x[k] == MASK && place[k] < TOKENS - (int)evals[i].par[1])
            drawn(token[k], p[k]);
        else
            stays(token[k], x[k]);
    add_product(token, 1, out);
}

const struct setting settings[] = {
    {"vq-diffusion", "num_vec_classes: 5\nnum_train_timesteps: 6", 6, vq_diffusion, 0, 0},
    {"vq-diffusion", "num_vec_classes: 5\nnum_train_timesteps: 6", 3, vq_diffusion, 0, 0},
    {"vq-diffusion", "num_vec_classes: 5\nnum_train_timesteps: 6", 1, vq_diffusion, 0, 0},
    {"vq-diffusion-purity", NULL, 3, purity, 0, 2},
    {"vq-diffusion-purity", NULL, 2, purity, 0, 2},
    {"vq-diffusion-purity", "prior_rule: 1", 3, purity, 0, 1},
    {"vq-diffusion-purity", "prior_rule: 2\nprior_weight: 1.5", 3, purity, 1.5, 2},
    {"vq-diffusion-purity", "evaluations_per_step: 2", 2, purity, 0, 2},
    {"maskgit", NULL, 3, maskgit, 2, 0},
    {"maskgit", "masking_schedule: linear\ntemperature_start: 0.5", 3, maskgit, 0.5, 0},
    {"maskgit", "temperature_start: 0", 4, maskgit, 0, 0},
    {"maskgit", NULL, 1, maskgit, 2, 0},
    {"halton", NULL, 3, halton, 0, 0},
    {"halton", NULL, 2, halton, 0, 0},
};
const size_t n_settings = sizeof settings / sizeof *settings;
