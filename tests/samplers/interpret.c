#include "samplers.h"
#include <math.h>

/* A program is run once for every sequence of choices. An element is v + g * G, where G is the Gumbel number of its position: only
 * the order of such elements is ever asked for, and then it is chosen (Plackett-Luce: next comes i with a probability in proportion to
 * exp(v/g)), and the elements become their places in it. */

enum {
    MOST = 64,
    MAX_CHOICES = 32
};
struct element {
    double v, g;
};
struct walk {
    const struct vqp_program_view *p;
    struct element (*values)[MOST]; /* by root */
    double probability;
    int choice[MAX_CHOICES], of[MAX_CHOICES], n_choices; /* this run's; those of the run before are the plan */
};

static void refuse(const char *what)
{
    fprintf(stderr, "interpret: %s\n", what);
    exit(2);
}

static struct element *of(const struct walk *w, vqp_val v)
{
    return w->values[w->p->vals[v].root];
}

static const struct vqp_shape *shape(const struct walk *w, vqp_val v)
{
    return &w->p->vals[v].shape;
}

static int count(const struct walk *w, vqp_val v)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < shape(w, v)->rank; i++)
        n *= shape(w, v)->dim[i];
    if (n > MOST)
        refuse("a value is too large");
    return (int)n;
}

static double plain(struct element e)
{
    if (e.g != 0)
        refuse("a number was asked for where only an order can be");
    return e.v;
}

static int choose(struct walk *w, const double *weight, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight[i];
    if (w->n_choices == MAX_CHOICES)
        refuse("too many choices");
    int k = w->n_choices++;
    w->of[k] = n;
    w->probability *= weight[w->choice[k]] / sum;
    return w->choice[k];
}

/* The next sequence of choices; 0 after the last. */
static int turn(struct walk *w)
{
    while (w->n_choices > 0 && ++w->choice[w->n_choices - 1] == w->of[w->n_choices - 1])
        w->choice[--w->n_choices] = 0;
    return w->n_choices > 0;
}

/* Element of operand v under element k of a value of shape `out`. */
static struct element *under(const struct walk *w, vqp_val v, const struct vqp_shape *out, int k)
{
    const struct vqp_shape *s = shape(w, v);
    int64_t at = 0, stride = 1;
    for (uint32_t i = 1; i <= out->rank; i++) {
        int64_t index = k % out->dim[out->rank - i];
        k /= (int)out->dim[out->rank - i];
        if (i > s->rank)
            continue;
        at += s->dim[s->rank - i] == 1 ? 0 : index * stride;
        stride *= s->dim[s->rank - i];
    }
    return &of(w, v)[at];
}

/* ---- random ops -------------------------------------------------------------------------------------------------- */

static double log_add_exp(double a, double b)
{
    return fmax(a, b) + log1p(exp(-fabs(a - b)));
}

/* l of ops.h, as weights; returns how many. */
static int posterior(const struct element *logp, int x, const struct element *par, double *weight)
{
    double q[CODES], sum = -INFINITY, zero = log(1e-30);
    if (par[VQP_PAR_FINAL].v == 1) {
        for (int k = 0; k < CODES; k++)
            weight[k] = exp(logp[k].v);
        return CODES;
    }
    for (int k = 0; k < CODES; k++) {
        double same = k == x ? 0 : zero;
        q[k] = logp[k].v - (x == MASK ? par[VQP_PAR_CUM_T_C].v
                                      : log_add_exp(par[VQP_PAR_CUM_T_A].v + same, par[VQP_PAR_CUM_T_B].v));
        sum = k ? log_add_exp(sum, q[k]) : q[k];
    }
    for (int k = 0; k <= CODES; k++) {
        double same = k == x ? 0 : zero;
        double m = k == MASK ? par[VQP_PAR_CUM_S_C].v
                             : log_add_exp(q[k] - sum + par[VQP_PAR_CUM_S_A].v, par[VQP_PAR_CUM_S_B].v);
        double st = k == MASK   ? same
                    : x == MASK ? par[VQP_PAR_LOG_C].v
                                : log_add_exp(par[VQP_PAR_LOG_A].v + same, par[VQP_PAR_LOG_B].v);
        weight[k] = exp(m + st + sum);
    }
    return CODES + 1;
}

static void categorical(struct walk *w, const struct vqp_op *op)
{
    for (int n = 0; n < TOKENS; n++) {
        double weight[CODES];
        const struct element *logp = of(w, op->in[0]) + (ptrdiff_t)n * CODES;
        for (int k = 0; k < CODES; k++)
            weight[k] = exp(plain(logp[k]));
        int k = choose(w, weight, CODES);
        of(w, op->out[0])[n] = (struct element){k, 0};
        if (op->out[1])
            of(w, op->out[1])[n] = logp[k];
    }
}

/* Makes the noisy elements among the n of e into numbers in an order that is chosen. Those without noise stand above or below all. */
static void settle(struct walk *w, struct element *e, int n)
{
    int left[MOST], n_left = 0;
    for (int i = 0; i < n; i++)
        if (e[i].g != 0)
            left[n_left++] = i;
    for (int place = 0; n_left > 0; place++) {
        double weight[MOST], most = -INFINITY;
        for (int i = 0; i < n_left; i++)
            most = fmax(most, e[left[i]].v / e[left[i]].g);
        for (int i = 0; i < n_left; i++)
            weight[i] = exp(e[left[i]].v / e[left[i]].g - most);
        int i = choose(w, weight, n_left);
        e[left[i]] = (struct element){-place, 0};
        left[i] = left[--n_left];
    }
}

static void descending(const struct element *e, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && e[order[at - 1]].v < e[i].v; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void sorted(struct walk *w, const struct vqp_op *op)
{
    int n = count(w, op->in[0]), order[MOST];
    struct element *e = of(w, op->in[0]);
    settle(w, e, n);
    descending(e, n, order);
    for (int i = 0; i < n; i++)
        if (op->kind == VQP_OP_SELECT_TOP_K) {
            of(w, op->out[0])[order[i]] = (struct element){i < plain(of(w, op->in[1])[0]), 0};
        } else if (i < (int)op->u.axis.count) {
            of(w, op->out[0])[i] = e[order[i]];
            if (op->out[1])
                of(w, op->out[1])[i] = (struct element){order[i], 0};
        }
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static struct element both(uint32_t kind, struct element a, struct element b)
{
    switch (kind) {
    case VQP_OP_ADD: return a.g != 0 && b.g != 0 ? (refuse("two noises"), a) : (struct element){a.v + b.v, a.g + b.g};
    case VQP_OP_MUL:
        return a.g != 0 ? (struct element){a.v * plain(b), a.g * b.v} : (struct element){a.v * b.v, a.v * b.g};
    case VQP_OP_SUB: return (struct element){plain(a) - plain(b), 0};
    case VQP_OP_MAX: return (struct element){fmax(plain(a), plain(b)), 0};
    case VQP_OP_MIN: return (struct element){fmin(plain(a), plain(b)), 0};
    default: refuse("an op of two operands");
    }
    return a;
}

static int compares(uint32_t cmp, double a, double b)
{
    const int results[] = {a == b, a != b, a<b, a <= b, a> b, a >= b};
    return results[cmp];
}

/* out element k of an op that broadcasts. */
static struct element one(const struct walk *w, const struct vqp_op *op, int k)
{
    const struct vqp_shape *s = shape(w, op->out[0]);
    struct element in[3] = {{0, 0}, {0, 0}, {0, 0}};
    for (int i = 0; i < 3 && op->in[i]; i++)
        in[i] = *under(w, op->in[i], s, k);
    switch (op->kind) {
    case VQP_OP_EXP: return (struct element){exp(plain(in[0])), 0};
    case VQP_OP_CAST: return (struct element){op->u.cast.dtype == VQP_F32 ? plain(in[0]) : trunc(plain(in[0])), 0};
    case VQP_OP_COMPARE: return (struct element){compares(op->u.compare.cmp, plain(in[0]), plain(in[1])), 0};
    case VQP_OP_WHERE: return plain(in[0]) != 0 ? in[1] : in[2];
    default: return both(op->kind, in[0], in[1]);
    }
}

static void reduce(struct walk *w, const struct vqp_op *op)
{
    const struct vqp_shape *s = shape(w, op->in[0]);
    int axis = (int)op->u.axis.axis, n = (int)s->dim[axis], inner = 1;
    for (uint32_t i = (uint32_t)axis + 1; i < s->rank; i++)
        inner *= (int)s->dim[i];
    for (int k = 0; k < count(w, op->out[0]); k++) {
        const struct element *e = of(w, op->in[0]) + (ptrdiff_t)k / inner * n * inner + k % inner;
        double sum = 0, max = -INFINITY;
        for (int i = 0; i < n; i++) {
            sum += plain(e[(ptrdiff_t)i * inner]);
            max = fmax(max, e[(ptrdiff_t)i * inner].v);
        }
        of(w, op->out[0])[k] = (struct element){op->kind == VQP_OP_REDUCE_SUM ? sum : max, 0};
    }
}

static void step(struct walk *w, const struct vqp_op *op)
{
    struct element *out = of(w, op->out[0]), *in = of(w, op->in[0]);
    int n = count(w, op->out[0]);
    switch (op->kind) {
    case VQP_OP_POSTERIOR_SAMPLE:
        for (int k = 0; k < TOKENS; k++) {
            double weight[CODES + 1];
            int classes =
                posterior(in + (ptrdiff_t)k * CODES, (int)plain(of(w, op->in[1])[k]), of(w, op->in[2]), weight);
            out[k] = (struct element){choose(w, weight, classes), 0};
        }
        break;
    case VQP_OP_CATEGORICAL_SAMPLE: categorical(w, op); break;
    case VQP_OP_GUMBEL:
        for (int k = 0; k < n; k++)
            out[k] = (struct element){0, 1};
        break;
    case VQP_OP_SELECT_TOP_K:
    case VQP_OP_SORT_K: sorted(w, op); break;
    case VQP_OP_GATHER: /* from one row */
        for (int k = 0; k < n; k++) {
            int at = (int)plain(of(w, op->in[1])[k]), last = count(w, op->in[0]) - 1;
            out[k] = in[at < 0 ? 0 : at > last ? last : at];
        }
        break;
    case VQP_OP_SLICE: memcpy(out, in + op->u.axis.start, (size_t)n * sizeof *out); break; /* of rank 1 */
    case VQP_OP_REDUCE_SUM:
    case VQP_OP_REDUCE_MAX: reduce(w, op); break;
    default:
        for (int k = 0; k < n; k++)
            out[k] = one(w, op, k);
    }
}

static void load(struct walk *w, const struct interpret_input *in, size_t n_in)
{
    for (vqp_val v = 1; v < w->p->n_vals; v++) {
        const struct vqp_val_info *info = &w->p->vals[v];
        for (int k = 0; info->role == VQP_VAL_CONSTANT && k < count(w, v); k++)
            w->values[v][k] = (struct element){
                info->dtype == VQP_F32 ? (double)((const float *)info->data)[k] : ((const int32_t *)info->data)[k], 0};
        for (size_t i = 0; i < n_in; i++)
            for (int k = 0; in[i].val == v && k < count(w, v); k++)
                w->values[v][k] = (struct element){in[i].data[k], 0};
    }
}

void interpret(const struct vqp_program_view *p, vqp_val next, const struct interpret_input *in, size_t n_in,
               double out[STATES])
{
    struct walk w = {.p = p, .values = calloc(p->n_vals, sizeof *w.values)};
    if (!w.values)
        exit(2);
    for (int s = 0; s < STATES; s++)
        out[s] = 0;
    load(&w, in, n_in);
    do {
        int32_t x[TOKENS];
        w.probability = 1;
        w.n_choices = 0;
        for (uint32_t i = 0; i < p->n_ops; i++)
            step(&w, &p->ops[i]);
        for (int n = 0; n < TOKENS; n++)
            x[n] = (int32_t)plain(of(&w, next)[n]);
        out[state_of(x)] += w.probability;
    } while (turn(&w));
    free(w.values);
}
