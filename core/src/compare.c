/* vqpipe_compare: a run whose programs go op by op over two backends. */
#include "builder.h"
#include "near_tie.h"
#include "one_op.h"
#include "run.h"
#include "shape.h"
#include "tolerance.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_EVALS = 2 /* compared, and the last one; those between run on the first backend alone */
};

struct comparing {
    struct vqpipe *pipe;
    const char *backend; /* the second one: NAME[:DEVICE] */
    struct vqp_backend_instance *second;
    struct vqpipe_comparison *report;
    uint32_t phase, eval;
};

/* One op of one piece. */
struct place {
    const struct vqp_piece *piece;
    const struct vqp_program_view *program;
    void **values; /* by root: the first backend's, or a weight's data */
    uint32_t op;
};

/* ---- one result ------------------------------------------------------------------------------------------------- */

static double element(const void *data, uint32_t dtype, uint64_t i)
{
    switch (dtype) {
    case VQP_F32: return (double)((const float *)data)[i];
    case VQP_I32: return ((const int32_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

static double root_mean_square(const float *v, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += isfinite(v[i]) ? (double)v[i] * (double)v[i] : 0;
    return n ? sqrt(sum / (double)n) : 0;
}

static void describe_index(const struct vqp_shape *s, uint64_t at, char *buf, size_t size)
{
    struct vqp_shape index = *s;
    for (uint32_t i = s->rank; i-- > 0;) {
        index.dim[i] = (int64_t)(at % (uint64_t)s->dim[i]);
        at /= (uint64_t)s->dim[i];
    }
    char text[VQP_SHAPE_TEXT];
    snprintf(buf, size, "%s", vqp_shape_text(&index, text));
}

/* The line of this kind; NULL where there are more than can be. */
static struct vqpipe_kind_error *kind_error(struct vqpipe_comparison *r, uint32_t kind)
{
    const char *name = vqp_op_name(kind);
    uint32_t i = 0;
    while (i < r->n_kinds && strcmp(r->kinds[i].kind, name))
        i++;
    if (i == VQPIPE_MAX_KINDS)
        return NULL;
    if (i == r->n_kinds)
        snprintf(r->kinds[r->n_kinds++].kind, sizeof r->kinds[i].kind, "%s", name);
    return &r->kinds[i];
}

static void write_place(const struct comparing *c, const struct place *at)
{
    static const char *const phases[] = {"prepare", "step", "finish"};
    struct vqpipe_comparison *r = c->report;
    snprintf(r->op, sizeof r->op, "%s", vqp_op_name(at->program->ops[at->op].kind));
    snprintf(r->phase, sizeof r->phase, "%s", phases[c->phase]);
    snprintf(r->scope, sizeof r->scope, "%s", at->program->op_scope[at->op]);
    vqp_op_shapes(at->program, at->op, r->operands, sizeof r->operands);
    r->eval = c->eval;
}

/* Whether element i of both is one answer; *share: its error as a share of what is allowed. */
static int agree(const void *one, const void *two, const struct vqp_val_info *info, uint64_t i, double relative,
                 double rms, double *share)
{
    double a = element(one, info->dtype, i), b = element(two, info->dtype, i);
    *share = 0;
    if (a == b || (isnan(a) && isnan(b)))
        return 1;
    double allowed = relative * fmax(fabs(a), rms);
    *share = allowed > 0 ? fabs(a - b) / allowed : INFINITY;
    return *share <= 1; /* not where it is NaN */
}

/* Result k of the op. Fills the report and returns 1 where the two differ. ties: elements of result 0 that were near-ties, in
 * which result 1 may follow. */
static int compare_result(struct comparing *c, const struct place *at, int k, void *const one[2], void *const two[2],
                          unsigned char *ties)
{
    struct vqpipe_comparison *r = c->report;
    const struct vqp_op *op = &at->program->ops[at->op];
    const struct vqp_val_info *info = &at->program->vals[vqp_one_op_result(op, k)];
    uint64_t n = info->bytes / vqp_dtype_bytes(info->dtype), different = 0, first = 0;
    double relative = 0, rms = 0, share, worst = 0;
    if (info->dtype == VQP_F32) {
        relative = vqp_op_tolerance(op->kind, at->piece->backend->precision) +
                   vqp_op_tolerance(op->kind, c->second->precision);
        rms = root_mean_square(one[k], n);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (agree(one[k], two[k], info, i, relative, rms, &share) || (k == 1 && ties[i])) {
            worst = share > worst && share <= 1 ? share : worst;
            continue;
        }
        struct vqp_choice choice = {
            at->program, op, at->values, i, element(one[k], info->dtype, i), element(two[k], info->dtype, i)};
        if (k == 0 && vqp_near_tie(&choice)) {
            ties[i] = 1;
            r->near_ties++;
            continue;
        }
        if (!different++)
            first = i;
    }
    struct vqpipe_kind_error *kind = kind_error(r, op->kind);
    if (kind) {
        kind->ops += k == 0;
        kind->worst = worst > kind->worst ? worst : kind->worst;
    }
    if (!different && worst <= r->worst)
        return 0;
    write_place(c, at);
    r->worst = worst;
    if (!different)
        return 0;
    r->differs = 1;
    r->output = (uint32_t)k;
    r->first = element(one[k], info->dtype, first);
    r->second = element(two[k], info->dtype, first);
    r->allowed = relative * fmax(fabs(r->first), rms);
    r->n_elements = n;
    r->n_different = different;
    describe_index(&info->shape, first, r->index, sizeof r->index);
    return 1;
}

/* ---- one op ----------------------------------------------------------------------------------------------------- */

static vqp_status no_memory(struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "compare: out of memory");
}

static vqp_status compare_op(struct comparing *c, const struct place *at, struct vqp_error *err)
{
    const struct vqp_program_view *p = at->program;
    const struct vqp_op *op = &p->ops[at->op];
    void *one[VQP_OP_MAX_OUT] = {0}, *two[VQP_OP_MAX_OUT] = {0};
    unsigned char *ties = calloc(p->vals[vqp_one_op_result(op, 0)].bytes + 1, 1);
    if (!ties)
        return no_memory(err);
    vqp_status st = VQP_OK;
    for (int k = 0; k < VQP_OP_MAX_OUT && !st; k++) {
        vqp_val v = vqp_one_op_result(op, k);
        if (v && (!(one[k] = malloc(p->vals[v].bytes + 1)) || !(two[k] = malloc(p->vals[v].bytes + 1))))
            st = no_memory(err);
    }
    if (!st)
        st = vqp_one_op_run(at->piece->backend, p, at->op, at->values, one, err);
    if (!st)
        st = vqp_one_op_run(c->second, p, at->op, at->values, two, err);
    c->report->ops += !st;
    for (int k = 0; k < VQP_OP_MAX_OUT && !st; k++)
        if (vqp_one_op_result(op, k) && compare_result(c, at, k, one, two, ties))
            st = vqp_fail(err, VQP_E_NUMERIC, "%s differs", c->report->op);
    for (int k = 0; k < VQP_OP_MAX_OUT; k++) {
        vqp_val v = vqp_one_op_result(op, k), root = v ? p->vals[v].root : 0;
        if (v && !st) {
            free(at->values[root]);
            at->values[root] = one[k];
            one[k] = NULL;
        }
        free(one[k]);
        free(two[k]);
    }
    free(ties);
    return st;
}

/* ---- one piece -------------------------------------------------------------------------------------------------- */

static int is_given(const struct vqp_val_info *info)
{
    return info->role == VQP_VAL_WEIGHT || info->role == VQP_VAL_CONSTANT;
}

static vqp_status read_bound(struct vqp_session *s, const struct place *at, struct vqp_error *err)
{
    const struct vqp_program_view *p = at->program;
    vqp_status st = VQP_OK;
    for (vqp_val v = 1; v < p->n_vals; v++)
        if (p->vals[v].root == v && is_given(&p->vals[v]))
            at->values[v] = (void *)p->vals[v].data; /* only read */
    for (uint32_t i = 0; !st && i < at->piece->n_bound; i++) {
        const struct vqp_bound *b = &at->piece->bound[i];
        if (b->role == VQP_VAL_OUTPUT)
            continue;
        if (!(at->values[b->val] = malloc(b->slot->bytes + 1)))
            return no_memory(err);
        st = vqp_session_download(s, b->slot->name, at->values[b->val], b->slot->bytes, err);
    }
    return st;
}

static vqp_status write_bound(struct vqp_session *s, const struct place *at, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    for (uint32_t i = 0; !st && i < at->piece->n_bound; i++) {
        const struct vqp_bound *b = &at->piece->bound[i];
        if (b->role != VQP_VAL_INPUT && at->values[b->val])
            st = vqp_session_upload(s, b->slot->name, at->values[b->val], b->slot->bytes, err);
    }
    return st;
}

/* Temporaries that no later op reads. last: by root value. */
static void free_past(const struct place *at, const uint32_t *last)
{
    const struct vqp_program_view *p = at->program;
    const struct vqp_op *op = &p->ops[at->op];
    for (int k = 0; k < VQP_OP_MAX_IN + VQP_OP_MAX_OUT; k++) {
        vqp_val v = k < VQP_OP_MAX_IN ? op->in[k] : op->out[k - VQP_OP_MAX_IN], root = p->vals[v].root;
        if (!v || p->vals[root].role != VQP_VAL_TEMP || last[root] > at->op)
            continue;
        free(at->values[root]);
        at->values[root] = NULL;
    }
}

static vqp_status compare_piece(struct comparing *c, struct vqp_session *s, const struct vqp_piece *piece,
                                struct vqp_error *err)
{
    const struct vqp_program_view *p = piece->view;
    struct place at = {piece, p, calloc(p->n_vals + 1u, sizeof *at.values), 0};
    uint32_t *last = calloc(p->n_vals + 1u, sizeof *last);
    if (!at.values || !last) {
        free(at.values);
        free(last);
        return no_memory(err);
    }
    snprintf(c->report->first_backend, sizeof c->report->first_backend, "%s", piece->backend->name);
    vqp_status st = read_bound(s, &at, err);
    for (uint32_t i = 0; !st && i < p->n_ops; i++)
        for (int k = 0; k < VQP_OP_MAX_IN; k++)
            last[p->vals[p->ops[i].in[k]].root] = i;
    for (; !st && at.op < p->n_ops; at.op++) {
        if (!(st = compare_op(c, &at, err)))
            free_past(&at, last);
        if (!st && atomic_load(&c->pipe->host.cancelled))
            st = vqp_fail(err, VQP_E_CANCELLED, "cancelled");
    }
    if (!st)
        st = write_bound(s, &at, err);
    for (vqp_val v = 1; v < p->n_vals; v++)
        if (!is_given(&p->vals[v]))
            free(at.values[v]);
    free(at.values);
    free(last);
    return st;
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

/* Created when the pipeline is loaded; its weights are then shared by all. */
static vqp_status get_second(struct comparing *c, struct vqp_error *err)
{
    if (c->second)
        return VQP_OK;
    vqp_status st = vqp_assembly_backend(c->pipe->assembly, c->backend, "f32", &c->second, err);
    if (!st)
        snprintf(c->report->second_backend, sizeof c->report->second_backend, "%s", c->second->name);
    return st;
}

static vqp_status compare_phase(struct comparing *c, struct vqp_session *s, uint32_t phase, uint32_t eval,
                                struct vqp_error *err)
{
    vqp_status st = get_second(c, err);
    c->phase = phase;
    c->eval = eval;
    for (struct vqp_piece *p = s->piece[phase]; !st && p; p = p->next)
        st = p->host ? vqp_session_run_piece(s, p, 1, err) : compare_piece(c, s, p, err);
    c->report->evals += !st && phase == VQP_STEP;
    return st;
}

static vqp_status on_phase(void *ctx, struct vqp_session *s, uint32_t phase, uint32_t eval, uint32_t times,
                           struct vqp_error *err)
{
    struct comparing *c = ctx;
    uint32_t n = c->pipe->assembly->n_evals, first = c->pipe->assembly->first_eval;
    vqp_status st = VQP_OK;
    c->report->evals_total = n - first;
    if (phase != VQP_STEP)
        return compare_phase(c, s, phase, 0, err);
    for (uint32_t end = eval + times; !st && eval < end;) {
        uint32_t alone = 0;
        while (eval + alone < end && eval + alone >= first + FIRST_EVALS && eval + alone + 1 < n)
            alone++;
        if (alone)
            st = vqp_session_run(s, phase, alone, err);
        else
            st = compare_phase(c, s, phase, eval, err);
        eval += alone ? alone : 1;
    }
    return st;
}

vqp_status vqpipe_compare(vqpipe *pipe, const char *backend, const struct vqpipe_run_params *params,
                          struct vqpipe_comparison *out, struct vqp_error *err)
{
    struct vqpipe_comparison report = {.struct_size = out->struct_size};
    struct comparing c = {.pipe = pipe, .backend = backend, .report = &report};
    struct vqp_run_hook hook = {&c, on_phase};
    vqpipe_result *r = NULL;
    vqp_status st = vqp_run(pipe, params, &hook, &r, err);
    vqpipe_result_destroy(r);
    if (report.differs)
        st = VQP_OK;
    if (!st)
        memcpy(out, &report, out->struct_size < sizeof report ? out->struct_size : sizeof report);
    return st;
}
