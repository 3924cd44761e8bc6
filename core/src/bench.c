/* A run with a clock on it: every program's time, every op's, and what the matrix products would take alone. */
#include "ceiling.h"
#include "cost.h"
#include "memory.h"
#include "result.h"
#include "run.h"
#include <stdlib.h>
#include <string.h>

/* Groups of steps are shorter than in a run that nobody looks at, so that a median has more to choose from. */
static const double GROUP_SECONDS = 0.05;
enum {
    MOST_SAMPLES = 1024,
    LEAST_ROUNDS =
        5, /* of ceilings, where there are steps enough; more as long as they take less time than the steps */
    SHAPES_TEXT = 400,
};

struct op {
    struct vqpipe_bench_op pub;
    uint32_t ceiling; /* index of its entry; UINT32_MAX: none */
};

/* One round of ceilings: what the step's matrix products took, and how many samples of the step there were by then. */
struct round {
    double seconds;
    uint32_t samples;
};

struct vqpipe_bench {
    struct vqp_arena arena;
    const struct vqp_session *session; /* of the first batch; NULL until it runs */
    struct vqpipe_bench_info info;
    struct op *ops;
    uint32_t n_ops, first[VQP_N_PHASES + 1]; /* a phase's ops are first[phase] .. first[phase + 1] - 1 */
    struct vqp_ceilings ceilings;
    uint32_t last_ceiling;             /* entries of the step program: those before it */
    double *step_seconds, *op_seconds; /* a sample each: [n], [n][ops of the step] */
    uint32_t n_samples, cap_samples, evals_done;
    uint64_t *ns; /* scratch for one piece */
    struct round round[VQP_CEILING_ROUNDS];
    uint32_t n_rounds, wanted_rounds;
    int first_done;
};

/* ---- ops -------------------------------------------------------------------------------------------------------- */

static vqp_status add_op(struct vqpipe_bench *b, uint32_t phase, const struct vqp_piece *piece, uint32_t i,
                         struct vqp_error *err)
{
    const struct vqp_program_view *p = piece->view;
    struct op *o = &b->ops[b->n_ops];
    struct vqp_cost cost = vqp_op_cost(p, i);
    char shapes[SHAPES_TEXT];
    o->pub = (struct vqpipe_bench_op){.struct_size = sizeof o->pub,
                                      .phase = phase,
                                      .kind = vqp_op_name(p->ops[i].kind),
                                      .scope = vqp_arena_strdup(&b->arena, p->op_scope[i] ? p->op_scope[i] : ""),
                                      .shapes = vqp_arena_strdup(&b->arena, vqp_op_shapes(p, i, shapes, sizeof shapes)),
                                      .flops = cost.flops,
                                      .bytes = cost.bytes};
    if (!o->pub.scope || !o->pub.shapes)
        return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
    b->n_ops++;
    if (cost.products && !VQP_HAS(piece->backend->v, ceiling) && !b->info.no_ceiling)
        b->info.no_ceiling = vqp_arena_printf(
            &b->arena, "the backend %s does not measure how fast matrix products are alone", piece->backend->name);
    return vqp_ceilings_add(&b->ceilings, piece, i, &o->ceiling, err);
}

/* The step's entries come first, so that a shape which other programs have too gets all its rounds. */
static vqp_status list_ops(struct vqpipe_bench *b, struct vqp_error *err)
{
    static const uint32_t order[VQP_N_PHASES] = {VQP_STEP, VQP_PREPARE, VQP_FINISH};
    const struct vqp_session *s = b->session;
    uint32_t most = 0, all = 0, count[VQP_N_PHASES] = {0};
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++) {
        for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next) {
            uint32_t n = p->view->n_ops;
            most = most > n ? most : n;
            count[phase] += n;
            if (!p->host && !VQP_HAS(p->backend->v, profile))
                b->info.no_profile =
                    vqp_arena_printf(&b->arena, "the backend %s does not time its ops", p->backend->name);
        }
        b->first[phase] = all;
        all += count[phase];
    }
    b->first[VQP_N_PHASES] = all;
    b->ops = vqp_arena_alloc(&b->arena, all + 1, sizeof *b->ops);
    b->ns = vqp_arena_alloc(&b->arena, most + 1, sizeof *b->ns);
    vqp_status st = VQP_OK;
    if (!b->ops || !b->ns) {
        vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
        return VQP_E_NOMEM;
    }
    for (uint32_t k = 0; !st && k < VQP_N_PHASES; k++) {
        b->n_ops = b->first[order[k]];
        for (const struct vqp_piece *p = s->piece[order[k]]; !st && p; p = p->next)
            for (uint32_t i = 0; !st && i < p->view->n_ops; i++)
                st = add_op(b, order[k], p, i, err);
        if (order[k] == VQP_STEP)
            b->last_ceiling = b->ceilings.n;
    }
    b->n_ops = all;
    return st;
}

static vqp_status describe_backends(struct vqpipe_bench *b, struct vqp_error *err)
{
    char *text = NULL;
    for (const struct vqp_backend_instance *i = b->session->assembly->backends; i; i = i->next) {
        char *more = vqp_arena_printf(&b->arena, "%s%s%s %s: %.127s; %.127s", text ? text : "", text ? " and " : "",
                                      i->name, i->precision, i->info.name, i->info.driver);
        if (!more)
            return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
        text = more;
    }
    b->info.backends = text ? text : "";
    return VQP_OK;
}

static vqp_status begin(struct vqpipe_bench *b, const struct vqp_session *s, struct vqp_error *err)
{
    b->session = s;
    b->info.batch = s->key.batch;
    b->ceilings.host = s->assembly->host;
    vqp_status st = describe_backends(b, err);
    return st ? st : list_ops(b, err);
}

/* ---- ceilings --------------------------------------------------------------------------------------------------- */

/* What is held while products run alone is not the pipeline's. */
static vqp_status measure_ceilings(struct vqpipe_bench *b, uint32_t first, uint32_t n, struct vqp_error *err)
{
    double start = vqp_now();
    uint64_t peak = vqpipe_peak_memory();
    vqp_status st = vqp_ceilings_measure(&b->ceilings, first, n, err);
    if (peak > b->info.peak_memory)
        b->info.peak_memory = peak;
    vqp_peak_memory_restart();
    b->info.measuring += vqp_now() - start;
    return st;
}

/* A round of the entries of the step, and of the others too where they are wanted. */
static vqp_status measure_round(struct vqpipe_bench *b, uint32_t n, struct vqp_error *err)
{
    vqp_status st = measure_ceilings(b, 0, n, err);
    if (st || b->n_rounds == VQP_CEILING_ROUNDS)
        return st;
    struct round *r = &b->round[b->n_rounds++];
    r->samples = b->n_samples;
    for (uint32_t i = b->first[VQP_STEP]; i < b->first[VQP_STEP + 1]; i++)
        if (b->ops[i].ceiling != UINT32_MAX) {
            const struct vqp_ceiling *c = &b->ceilings.item[b->ops[i].ceiling];
            r->seconds += c->seconds[c->rounds - 1];
        }
    return VQP_OK;
}

/* ---- the clock -------------------------------------------------------------------------------------------------- */

/* Seconds of every op of the phase in one of the `times` runs just made, into out (may be NULL: into the ops themselves). */
static void read_profile(struct vqpipe_bench *b, uint32_t phase, uint32_t times, double *out)
{
    uint32_t at = 0;
    for (const struct vqp_piece *p = b->session->piece[phase]; p; p = p->next) {
        uint32_t n_ops = p->view->n_ops, n = 0;
        memset(b->ns, 0, n_ops * sizeof *b->ns);
        if (!p->host && VQP_HAS(p->backend->v, profile) &&
            p->backend->v->profile(p->backend->self, p->exec, b->ns, n_ops, &n) != VQP_OK)
            memset(b->ns, 0, n_ops * sizeof *b->ns);
        for (uint32_t i = 0; i < n_ops; i++, at++) {
            double seconds = 1e-9 * (double)b->ns[i] / times;
            if (out)
                out[at] = seconds;
            else
                b->ops[b->first[phase] + at].pub.seconds = seconds;
        }
    }
}

static vqp_status add_sample(struct vqpipe_bench *b, double seconds, uint32_t times, struct vqp_error *err)
{
    uint32_t n_ops = b->first[VQP_STEP + 1] - b->first[VQP_STEP];
    if (b->n_samples == MOST_SAMPLES)
        return VQP_OK;
    if (b->n_samples == b->cap_samples) {
        uint32_t cap = b->cap_samples ? 2 * b->cap_samples : 16;
        double *steps = reallocarray(b->step_seconds, cap, sizeof *steps);
        b->step_seconds = steps ? steps : b->step_seconds;
        double *ops = reallocarray(b->op_seconds, cap, (n_ops + 1) * sizeof *ops);
        b->op_seconds = ops ? ops : b->op_seconds;
        if (!steps || !ops)
            return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
        b->cap_samples = cap;
    }
    b->step_seconds[b->n_samples] = seconds / times;
    read_profile(b, VQP_STEP, times, b->op_seconds + (size_t)b->n_samples * n_ops);
    b->n_samples++;
    return VQP_OK;
}

static vqp_status after_steps(struct vqpipe_bench *b, double seconds, uint32_t times, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    uint32_t n = b->session->assembly->n_evals - b->session->assembly->first_eval;
    b->evals_done += times;
    if (!b->first_done) {
        b->first_done = 1;
        b->info.first_step = seconds / times;
        read_profile(b, VQP_STEP, times, NULL);
        st = measure_round(b, b->last_ceiling, err);
        double rounds = b->info.measuring > 0 ? n * b->info.first_step / b->info.measuring : 0;
        b->wanted_rounds = rounds < LEAST_ROUNDS         ? LEAST_ROUNDS
                           : rounds > VQP_CEILING_ROUNDS ? VQP_CEILING_ROUNDS
                                                         : (uint32_t)rounds;
        return st;
    }
    st = add_sample(b, seconds, times, err);
    /* The first round was after the first step, the last one is before the picture; the others lie evenly between. */
    if (!st && b->n_rounds + 1 < b->wanted_rounds &&
        (uint64_t)(b->wanted_rounds - 1) * b->evals_done >= (uint64_t)b->n_rounds * n)
        st = measure_round(b, b->last_ceiling, err);
    return st;
}

static vqp_status run_phase(void *ctx, struct vqp_session *s, uint32_t phase, uint32_t eval, uint32_t times,
                            struct vqp_error *err)
{
    (void)eval;
    struct vqpipe_bench *b = ctx;
    vqp_status st = b->session ? VQP_OK : begin(b, s, err);
    if (st)
        return st;
    if (s != b->session || (phase == VQP_FINISH && b->info.finish > 0)) /* a later batch */
        return vqp_session_run(s, phase, times, err);
    double start = vqp_now();
    if ((st = vqp_session_run(s, phase, times, err)))
        return st;
    double seconds = vqp_now() - start;
    switch (phase) {
    case VQP_PREPARE:
        if (b->info.prepare > 0)
            return VQP_OK;
        b->info.prepare = seconds;
        read_profile(b, phase, 1, NULL);
        return VQP_OK;
    case VQP_STEP: return b->info.finish > 0 ? VQP_OK : after_steps(b, seconds, times, err);
    default:
        b->info.finish = seconds;
        read_profile(b, phase, 1, NULL);
        return measure_round(b, b->ceilings.n, err);
    }
}

/* ---- the sum ---------------------------------------------------------------------------------------------------- */

/* The step that a round is compared with, of those after it: the second one where no other round comes before that, as the first one finds
 * the round's operands in the caches and not its own. 0: none. */
static double step_after(const struct vqpipe_bench *b, uint32_t k)
{
    uint32_t first = b->round[k].samples, end = k + 1 < b->n_rounds ? b->round[k + 1].samples : b->n_samples;
    uint32_t at = first + 1 < end ? first + 1 : first;
    return at < b->n_samples ? b->step_seconds[at] : 0;
}

/* A round's share is of steps close before and after it: the machine was as fast for both. To be called before the samples are sorted. */
static void settle_shares(struct vqpipe_bench *b)
{
    double share[VQP_CEILING_ROUNDS];
    uint32_t n = b->n_rounds;
    if (!n || b->info.no_ceiling)
        return;
    for (uint32_t k = 0; k < n; k++) {
        const struct round *r = &b->round[k];
        double before = r->samples ? b->step_seconds[r->samples - 1] : 0, after = step_after(b, k);
        double step = before > 0 && after > 0 ? (before + after) / 2 : before + after;
        share[k] = r->seconds / (step > 0 ? step : b->info.first_step);
    }
    b->info.share = vqp_median(share, n);
    b->info.share_low = share[(n - 1) / 4];
    b->info.share_high = share[n - 1 - (n - 1) / 4];
}

static vqp_status settle_steps(struct vqpipe_bench *b, struct vqp_error *err)
{
    struct vqpipe_bench_info *info = &b->info;
    uint32_t n = b->n_samples, n_ops = b->first[VQP_STEP + 1] - b->first[VQP_STEP];
    info->samples = n;
    info->step = info->step_low = info->step_high = info->first_step;
    if (!n)
        return VQP_OK;
    double *column = calloc(n, sizeof *column);
    if (!column)
        return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
    for (uint32_t i = 0; i < n_ops; i++) {
        for (uint32_t k = 0; k < n; k++)
            column[k] = b->op_seconds[(size_t)k * n_ops + i];
        b->ops[b->first[VQP_STEP] + i].pub.seconds = vqp_median(column, n);
    }
    free(column);
    info->step = vqp_median(b->step_seconds, n);
    info->step_low = b->step_seconds[(n - 1) / 4];
    info->step_high = b->step_seconds[n - 1 - (n - 1) / 4];
    return VQP_OK;
}

static void settle_ceilings(struct vqpipe_bench *b)
{
    for (uint32_t i = 0; i < b->n_ops; i++) {
        struct op *o = &b->ops[i];
        double middle, low, high;
        if (o->ceiling == UINT32_MAX)
            continue;
        vqp_ceiling_spread(&b->ceilings.item[o->ceiling], &middle, &low, &high);
        o->pub.ceiling = middle;
        if (o->pub.phase != VQP_STEP)
            continue;
        b->info.ceiling += middle;
        b->info.ceiling_low += low;
        b->info.ceiling_high += high;
    }
    if (b->info.no_ceiling)
        b->info.ceiling = b->info.ceiling_low = b->info.ceiling_high = 0;
}

vqp_status vqpipe_measure(vqpipe *pipe, const struct vqpipe_run_params *params, vqpipe_bench **out,
                          vqpipe_result **result, struct vqp_error *err)
{
    struct vqpipe_bench *b = calloc(1, sizeof *b);
    vqpipe_result *r = NULL;
    if (!b)
        return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
    b->info.struct_size = sizeof b->info;
    struct vqp_run_hook hook = {b, run_phase, GROUP_SECONDS};
    vqp_status st = vqp_run(pipe, params, &hook, &r, err);
    if (!st) {
        settle_shares(b);
        st = settle_steps(b, err);
    }
    if (st) {
        vqpipe_result_destroy(r);
        vqpipe_bench_destroy(b);
        return st;
    }
    settle_ceilings(b);
    uint64_t peak = vqpipe_peak_memory();
    b->info.peak_memory = peak > b->info.peak_memory ? peak : b->info.peak_memory;
    b->info.evals = r->timings.evals;
    b->info.load = pipe->load_seconds;
    b->info.compile = r->timings.compile;
    b->info.total = r->timings.total - b->info.measuring + (r->timings.load > 0 ? 0 : pipe->load_seconds);
    *out = b;
    *result = r;
    return VQP_OK;
}

void vqpipe_bench_describe(const vqpipe_bench *b, struct vqpipe_bench_info *out)
{
    uint32_t size = out->struct_size && out->struct_size < sizeof *out ? out->struct_size : sizeof *out;
    memcpy(out, &b->info, size);
}

const struct vqpipe_bench_op *vqpipe_bench_at(const vqpipe_bench *b, uint32_t i)
{
    return i < b->n_ops ? &b->ops[i].pub : NULL;
}

void vqpipe_bench_destroy(vqpipe_bench *b)
{
    if (!b)
        return;
    vqp_ceilings_free(&b->ceilings);
    free(b->step_seconds);
    free(b->op_seconds);
    vqp_arena_free(&b->arena);
    free(b);
}
