#include "simd.h"
#include <vqpipe/philox.h>

/* Gumbel arg-max, LANES classes at a time. */

typedef uint32_t vu __attribute__((vector_size(LANES * 4)));

struct draw {
    uint64_t seed;
    uint32_t eval, stream, position;
    const float *noise; /* NULL: the counter-based numbers; else where class 0 of this column is */
    int64_t noise_stride;
    float u[4 * LANES]; /* of the classes from first on */
    vf best;
    vi cls, bad; /* cls -1: nothing finite yet; bad: a NaN or +infinity was seen */
};

static void start(struct draw *d, const struct vqp_hb_node *n, uint32_t first, int64_t b, int64_t position,
                  int64_t positions, int64_t classes)
{
    const struct vqp_hb_arg *noise = &n->in[first + 2];
    const int32_t *seed = n->in[first].i + 2 * b;
    d->seed = (uint64_t)(uint32_t)seed[1] << 32 | (uint32_t)seed[0];
    d->eval = (uint32_t)n->in[first + 1].i[0];
    d->stream = n->op.u.sample.stream;
    d->position = (uint32_t)position;
    d->noise = noise->data ? noise->f + b * classes * positions + position : NULL;
    d->noise_stride = positions;
    d->best = splat(-INFINITY);
    d->cls = (vi){0} - 1;
    d->bad = (vi){0};
}

/* One Philox4x32 round for LANES counters (philox.h has the one-counter form and the names). */
INLINE void multiply(const uint32_t *a, uint32_t m, uint32_t *high, uint32_t *low)
{
    for (int i = 0; i < LANES; i++) {
        uint64_t p = (uint64_t)a[i] * m;
        high[i] = (uint32_t)(p >> 32);
        low[i] = (uint32_t)p;
    }
}

/* d->u = the uniform numbers of classes first .. first + 4*LANES - 1, as vqp_uniform4 gives them four by four. */
static void draw_uniforms(struct draw *d, int64_t first)
{
    uint32_t c[4][LANES], h0[LANES], l0[LANES], h1[LANES], l1[LANES];
    uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
    for (int i = 0; i < LANES; i++) {
        c[0][i] = d->position;
        c[1][i] = (uint32_t)(first / 4) + (uint32_t)i;
        c[2][i] = d->eval;
        c[3][i] = d->stream;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        multiply(c[0], 0xD2511F53u, h0, l0);
        multiply(c[2], 0xCD9E8D57u, h1, l1);
        for (int i = 0; i < LANES; i++) {
            c[0][i] = h1[i] ^ c[1][i] ^ k0;
            c[1][i] = l1[i];
            c[2][i] = h0[i] ^ c[3][i] ^ k1;
            c[3][i] = l0[i];
        }
    }
    vf f[4];
    for (int word = 0; word < 4; word++) {
        vu bits;
        memcpy(&bits, c[word], sizeof bits);
        f[word] = __builtin_convertvector((vi)(bits >> 9), vf) * 0x1p-23f + 0x1p-24f;
    }
    float *to = d->u;
    for (int high = 0; high < 2; high++) {
        vf even = interleave(f[0], f[2], high), odd = interleave(f[1], f[3], high);
        for (int half = 0; half < 2; half++, to += LANES)
            store(to, interleave(even, odd, half));
    }
}

/* Offers the classes k .. k+LANES-1, of which `some` are there, in ascending order of k (a multiple of LANES). */
INLINE void offer(struct draw *d, int64_t k, int64_t some, vf l)
{
    vf u;
    if (d->noise) {
        float s[LANES];
        for (int64_t i = 0; i < LANES; i++)
            s[i] = i < some ? d->noise[(k + i) * d->noise_stride] : 0.5f;
        u = load(s);
    } else {
        if (k % (INT64_C(4) * LANES) == 0)
            draw_uniforms(d, k);
        u = load(d->u + k % (INT64_C(4) * LANES));
    }
    vi there = lane_numbers() < (int32_t)(some < LANES ? some : LANES);
    d->bad |= there & (~(l == l) | (l == INFINITY));
    vf v = l - vlog(1e-30f - vlog(u + 1e-30f));
    vi wins = there & (v > d->best);
    d->best = choose(wins, v, d->best);
    d->cls = choose_int(wins, lane_numbers() + (int32_t)k, d->cls);
}

/* The class of the highest score; the lowest one among equals. -1: nothing finite, or something bad. */
static int32_t winner(const struct draw *d)
{
    float best = -INFINITY;
    int32_t cls = -1;
    for (int i = 0; i < LANES; i++) {
        if (d->bad[i])
            return -1;
        if (d->cls[i] >= 0 && (cls < 0 || d->best[i] > best || (d->best[i] == best && d->cls[i] < cls))) {
            best = d->best[i];
            cls = d->cls[i];
        }
    }
    return cls;
}

INLINE vf log_add_exp(vf a, vf b)
{
    vf high = larger(a, b), low = choose(a > b, b, a);
    return high + vlog(1.0f + vexp_falling(low - high));
}

static double log_add_exp_double(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

struct posterior {
    const struct vqp_hb_node *n;
    float *q; /* per slot */
};

static uint64_t row_floats(int64_t classes)
{
    return ((uint64_t)classes + 1 + LANES) / LANES * LANES;
}

ISA_SCRATCH(posterior_sample)
{
    return ((const struct slots *)n->own)->slots * row_floats(n->in[0].dim[2]) * sizeof(float);
}

/* l[k] of ops.h for k in 0..classes, into l. */
static void log_posterior(const struct vqp_hb_node *n, const float *logp, int64_t classes, int64_t token, float *l)
{
    const float *par = n->in[2].f;
    const double log_zero = log(1e-30);
    int masked = token == classes;
    float from_clean[2],
        from_s[2]; /* of the other classes, of the token: log q(x_t | x0 = k) and log q(x_t | x_s = k) */
    for (int same = 0; same < 2; same++) {
        double keep = same ? 0 : log_zero;
        from_clean[same] =
            masked ? par[VQP_PAR_CUM_T_C]
                   : (float)log_add_exp_double((double)par[VQP_PAR_CUM_T_A] + keep, (double)par[VQP_PAR_CUM_T_B]);
        from_s[same] = masked
                           ? par[VQP_PAR_LOG_C]
                           : (float)log_add_exp_double((double)par[VQP_PAR_LOG_A] + keep, (double)par[VQP_PAR_LOG_B]);
    }
    for (int64_t k = 0; k < classes; k += LANES)
        store_some(l + k, classes - k, load_some(logp + k, classes - k, 0) - from_clean[0]);
    int inside = token >= 0 && token < classes;
    if (inside)
        l[token] = logp[token] - from_clean[1];
    vf most = splat(-INFINITY), sum = splat(0);
    for (int64_t k = 0; k < classes; k += LANES)
        most = larger(load_some(l + k, classes - k, -INFINITY), most);
    float max = largest_of(most);
    for (int64_t k = 0; k < classes; k += LANES)
        sum += vexp_falling(load_some(l + k, classes - k, -INFINITY) - max);
    float s = max + logf(sum_of(sum));
    vf a = splat(par[VQP_PAR_CUM_S_A] - s), b = splat(par[VQP_PAR_CUM_S_B]);
    float at_token = 0;
    if (inside)
        at_token = log_add_exp(splat(l[token]) + a, b)[0] + from_s[1] + s;
    for (int64_t k = 0; k < classes; k += LANES)
        store_some(l + k, classes - k, log_add_exp(load_some(l + k, classes - k, 0) + a, b) + from_s[0] + s);
    if (inside)
        l[token] = at_token;
    l[classes] = (float)((double)par[VQP_PAR_CUM_S_C] + (masked ? 0 : log_zero)) + s;
}

static void posterior_column(void *ctx, uint64_t i, uint32_t slot)
{
    const struct posterior *p = ctx;
    const struct vqp_hb_node *n = p->n;
    int64_t positions = n->in[0].dim[1], classes = n->in[0].dim[2], offered = classes;
    const float *l = n->in[0].f + (int64_t)i * classes;
    if (n->in[2].f[VQP_PAR_FINAL] != 1) {
        float *q = p->q + slot * row_floats(classes);
        log_posterior(n, l, classes, n->in[1].i[i], q);
        l = q;
        offered++;
    }
    struct draw d;
    start(&d, n, 3, (int64_t)i / positions, (int64_t)i % positions, positions, offered);
    for (int64_t k = 0; k < offered; k += LANES)
        offer(&d, k, offered - k, load_some(l + k, offered - k, 0));
    n->out[0].i[i] = winner(&d);
}

ISA_RUN(posterior_sample)
{
    struct posterior p = {n, (float *)x->scratch};
    vqp_hb_for(x, n->out[0].count, posterior_column, &p);
}

static void categorical_column(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    int64_t positions = n->in[0].dim[1], classes = n->in[0].dim[2];
    const float *logp = n->in[0].f + (int64_t)i * classes;
    struct draw d;
    start(&d, n, 1, (int64_t)i / positions, (int64_t)i % positions, positions, classes);
    for (int64_t k = 0; k < classes; k += LANES)
        offer(&d, k, classes - k, load_some(logp + k, classes - k, 0));
    int32_t cls = winner(&d);
    n->out[0].i[i] = cls;
    n->out[1].f[i] = cls < 0 ? 0 : logp[cls];
}

ISA_RUN(categorical_sample)
{
    vqp_hb_for(x, n->out[0].count, categorical_column, (void *)n);
}
