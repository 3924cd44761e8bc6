#include "compare_stages.h"
#include "npy.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct stage_tolerances stages_f32 = {.states = 1e-5, .logp = 1e-3, .image = 1e-3, .near = 1e-4, .ids = 1};
const struct stage_tolerances stages_f16 = {.states = 2e-3, .logp = 5e-2, .image = 2e-2, .near = 5e-2};
static const float cut = -70.0F; /* what truncation cuts becomes this, and what lies below is clamped to it */

struct array {
    struct vqp_shape shape;
    int64_t count;
    union {
        void *data;
        float *f;
        int32_t *i;
    };
};

struct comparison {
    const char *reference, *dump;
    const struct stage_tolerances *allowed;
    struct stage_report *report;
};

__attribute__((format(printf, 2, 3))) static void fall_short(struct comparison *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("\n    %s: ", c->dump);
    vprintf(fmt, ap);
    va_end(ap);
    c->report->bad++;
}

static int exists(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.npy", dir, name);
    return access(path, F_OK) == 0;
}

static int load(struct comparison *c, const char *dir, const char *name, uint32_t dtype, struct array *a)
{
    char path[4096];
    struct vqp_error err;
    memset(a, 0, sizeof *a);
    snprintf(path, sizeof path, "%s/%s.npy", dir, name);
    if (vqp_npy_load(path, dtype, VQP_E_IO, &a->shape, &a->data, &err)) {
        fall_short(c, "%s", err.msg);
        return 0;
    }
    a->count = 1;
    for (uint32_t i = 0; i < a->shape.rank; i++)
        a->count *= a->shape.dim[i];
    return 1;
}

static int same_shape(struct comparison *c, const char *name, const struct vqp_shape *a, const struct vqp_shape *b)
{
    int same = a->rank == b->rank && !memcmp(a->dim, b->dim, a->rank * sizeof *a->dim);
    if (!same)
        fall_short(c, "%s has another shape than the reference's", name);
    return same;
}

/* The reference's step s of a stacked [S,...] array, as one step's array; owns nothing. */
static struct array slice(const struct array *stack, uint32_t s)
{
    struct array one = {.shape = {.rank = stack->shape.rank - 1}, .count = stack->count / stack->shape.dim[0]};
    memcpy(one.shape.dim, stack->shape.dim + 1, one.shape.rank * sizeof *one.shape.dim);
    one.i = stack->i + s * one.count;
    return one;
}

/* margin: of the reference's draws, or NULL. */
static void compare_ids(struct comparison *c, const char *name, const struct array *a, const float *margin)
{
    struct array b;
    if (!load(c, c->dump, name, VQP_I32, &b))
        return;
    if (same_shape(c, name, &a->shape, &b.shape)) {
        int64_t differing = 0, first = 0;
        float least = INFINITY;
        for (int64_t k = a->count - 1; k >= 0; k--)
            if (a->i[k] != b.i[k]) {
                differing++;
                first = k;
                least = margin ? fminf(least, margin[k]) : least;
            }
        if (differing)
            fall_short(
                c, "%s: %" PRId64 " of %" PRId64 " ids differ, first [%" PRId64 "]: %d, not %d; least margin %.1e%s",
                name, differing, a->count, first, b.i[first], a->i[first], (double)least,
                (double)least < c->allowed->near ? " (a near-tie of the draw)" : "");
        c->report->ids += (unsigned)a->count;
    }
    free(b.data);
}

/* NaN counts as infinitely far. */
static double farther(double worst, double a, double b)
{
    double d = fabs(a - b);
    return d <= worst ? worst : isnan(d) ? INFINITY : d;
}

static double compare_floats(struct comparison *c, const char *name, double tolerance)
{
    struct array a, b;
    double worst = 0;
    int have = load(c, c->reference, name, VQP_F32, &a);
    have &= load(c, c->dump, name, VQP_F32, &b);
    if (have && same_shape(c, name, &a.shape, &b.shape)) {
        for (int64_t k = 0; k < a.count; k++)
            worst = farther(worst, (double)a.f[k], (double)b.f[k]);
        if (worst > tolerance)
            fall_short(c, "%s is off by %.2e", name, worst);
    }
    free(a.data);
    free(b.data);
    return worst;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Whether x and y, one position's log-probabilities over all classes, may differ in what truncation cut. Sorts both. */
static int is_tie(float *x, float *y, int64_t classes, double rate, double near)
{
    double sum = 0, before = INFINITY, apart = 0;
    qsort(x, (size_t)classes, sizeof *x, descending);
    qsort(y, (size_t)classes, sizeof *y, descending);
    for (int64_t k = 0; k < classes; k++) {
        apart = farther(apart, (double)x[k], (double)y[k]);
        if (x[k] > cut) {
            before = k ? sum : INFINITY;
            sum += exp((double)x[k]);
        }
    }
    return apart < near || fabs(sum - rate) < near || fabs(before - rate) < near;
}

/* One position's column of log-probabilities, `stride` apart; x and y are scratch of `classes` floats. */
static double compare_column(const float *a, const float *b, int64_t classes, int64_t stride, double rate, double near,
                             float *x, float *y, unsigned *ties)
{
    unsigned cuts = 0;
    double worst = 0, uncut = 0;
    for (int64_t k = 0; k < classes; k++) {
        x[k] = a[k * stride];
        y[k] = b[k * stride];
        worst = farther(worst, (double)x[k], (double)y[k]);
        if ((x[k] <= cut) != (y[k] <= cut))
            cuts++;
        else
            uncut = farther(uncut, (double)x[k], (double)y[k]);
    }
    if (!cuts || !is_tie(x, y, classes, rate, near))
        return worst;
    *ties += cuts;
    return uncut;
}

static void compare_logp(struct comparison *c, const char *name, double rate)
{
    struct array a, b;
    double worst = 0;
    int have = load(c, c->reference, name, VQP_F32, &a);
    have &= load(c, c->dump, name, VQP_F32, &b);
    if (have && same_shape(c, name, &a.shape, &b.shape) && a.shape.rank == 3) {
        int64_t classes = a.shape.dim[1], tokens = a.shape.dim[2];
        float *scratch = calloc((size_t)classes, 2 * sizeof *scratch);
        for (int64_t i = 0; scratch && i < a.shape.dim[0]; i++)
            for (int64_t n = 0; n < tokens; n++) {
                int64_t at = i * classes * tokens + n;
                double d = compare_column(a.f + at, b.f + at, classes, tokens, rate, c->allowed->near, scratch,
                                          scratch + classes, &c->report->ties);
                worst = fmax(worst, d);
            }
        if (!scratch || worst > c->allowed->logp)
            fall_short(c, "%s is off by %.2e", name, worst);
        free(scratch);
    }
    free(a.data);
    free(b.data);
    c->report->logp = fmax(c->report->logp, worst);
}

/* The reference's ids and margins after step s, one array for all steps or a file a step, against the dump's. */
static void compare_step_ids(struct comparison *c, uint32_t s, int is_stacked, const struct array *all_tokens,
                             const struct array *all_margins)
{
    char tokens_name[32], margin_name[32];
    struct array tokens = {0}, margin = {0};
    snprintf(tokens_name, sizeof tokens_name, "tokens-%03u", s);
    snprintf(margin_name, sizeof margin_name, "margin-%03u", s);
    if (is_stacked) {
        tokens = slice(all_tokens, s);
        margin = slice(all_margins, s);
        compare_ids(c, tokens_name, &tokens, margin.f);
        return;
    }
    if (load(c, c->reference, tokens_name, VQP_I32, &tokens) && load(c, c->reference, margin_name, VQP_F32, &margin) &&
        margin.count == tokens.count)
        compare_ids(c, tokens_name, &tokens, margin.f);
    else
        fall_short(c, "step %u is not in the reference", s);
    free(tokens.data);
    free(margin.data);
}

static void compare_steps(struct comparison *c, uint32_t steps, double truncation)
{
    struct array stacked = {0}, margins = {0};
    int is_stacked = exists(c->reference, "tokens");
    if (is_stacked &&
        (!load(c, c->reference, "tokens", VQP_I32, &stacked) || !load(c, c->reference, "margin", VQP_F32, &margins) ||
         stacked.shape.dim[0] != steps || margins.count != stacked.count)) {
        fall_short(c, "tokens.npy and margin.npy of the reference do not hold %u steps", steps);
        steps = 0;
    }
    for (uint32_t s = 0; s < steps; s++) {
        char logp_name[32];
        snprintf(logp_name, sizeof logp_name, "logp-%03u", s);
        if (c->allowed->ids)
            compare_step_ids(c, s, is_stacked, &stacked, &margins);
        if (s == steps - 1 || exists(c->reference, logp_name))
            compare_logp(c, logp_name, truncation);
    }
    free(stacked.data);
    free(margins.data);
}

void compare_stages(const char *reference, const char *dump, uint32_t steps, double truncation,
                    const struct stage_tolerances *allowed, struct stage_report *out)
{
    struct comparison c = {reference, dump, allowed, out};
    struct array ids;
    memset(out, 0, sizeof *out);
    static const char *const of_text[] = {"input_ids", "text_states"}; /* a model without text has neither */
    for (int i = 0; i < 2; i++)
        if (exists(dump, of_text[i]) && !exists(reference, of_text[i]))
            fall_short(&c, "%s is there, but not in the reference", of_text[i]);
    if (exists(reference, "input_ids") && load(&c, reference, "input_ids", VQP_I32, &ids)) {
        compare_ids(&c, "input_ids", &ids, NULL);
        free(ids.data);
    }
    if (exists(reference, "text_states"))
        out->states = compare_floats(&c, "text_states", c.allowed->states);
    if (exists(reference, "negative_states"))
        out->states = fmax(out->states, compare_floats(&c, "negative_states", c.allowed->states));
    else if (exists(dump, "negative_states"))
        fall_short(&c, "negative_states is there without guidance");
    compare_steps(&c, steps, truncation);
    out->image = compare_floats(&c, "image", c.allowed->image);
}
