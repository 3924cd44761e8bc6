/* Which ops are needed, and where in the arena each temporary lies. */
#include "builder.h"
#include <stdlib.h>

enum {
    ALIGN = 256
};

/* The value that holds v's bytes; 0 for none. */
static vqp_val root_of(const struct vqp_val_info *vals, uint32_t n_vals, vqp_val v)
{
    return v < n_vals && vals[v].root < n_vals ? vals[v].root : 0;
}

/* Backwards: an op is needed where it writes what outlives the run, or what a needed op reads. Every STORE is: the state may be
 * read by any op after it, or by the next run. So is every HOST_CALL: what it does besides is its own affair. */
uint32_t vqp_plan_drop_dead(struct vqp_op *ops, uint32_t n_ops, const struct vqp_val_info *vals, uint32_t n_vals)
{
    unsigned char *needed = calloc((size_t)n_vals + 1, 1);
    uint32_t first = n_ops;
    if (!needed)
        return UINT32_MAX;
    for (uint32_t i = n_ops; i-- > 0;) {
        int live = ops[i].kind == VQP_OP_STORE || ops[i].kind == VQP_OP_ADVANCE || ops[i].kind == VQP_OP_HOST_CALL;
        for (int k = 0; k < VQP_OP_MAX_OUT; k++) {
            vqp_val out = root_of(vals, n_vals, ops[i].out[k]);
            live |= out && (needed[out] || vals[out].role == VQP_VAL_OUTPUT);
        }
        if (!live)
            continue;
        for (int k = 0; k < VQP_OP_MAX_IN; k++)
            needed[root_of(vals, n_vals, ops[i].in[k])] = 1;
        ops[--first] = ops[i];
    }
    for (uint32_t i = first; i < n_ops; i++)
        ops[i - first] = ops[i];
    free(needed);
    return n_ops - first;
}

/* A temporary: alive from op `first` to op `last`, both included, so that an op never writes over what it reads. */
struct span {
    vqp_val val;
    uint32_t first, last;
    uint64_t bytes, offset;
};

static int larger_first(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->val < y->val ? -1 : 1;
}

/* Fills spans and returns how many there are, UINT32_MAX after a failure. index: scratch, n_vals zeros. */
static uint32_t find_spans(const struct vqp_op *ops, uint32_t n_ops, const struct vqp_val_info *vals, uint32_t n_vals,
                           struct span *spans, uint32_t *index, struct vqp_error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_ops; i++) {
        for (int k = 0; k < VQP_OP_MAX_IN; k++) {
            vqp_val v = root_of(vals, n_vals, ops[i].in[k]);
            if (!v || vals[v].role != VQP_VAL_TEMP)
                continue;
            if (!index[v]) {
                vqp_fail(err, VQP_E_INTERNAL, "op %u (%s) reads value %u, which no op before it writes", i,
                         vqp_op_name(ops[i].kind), v);
                return UINT32_MAX;
            }
            spans[index[v] - 1].last = i;
        }
        for (int k = 0; k < VQP_OP_MAX_OUT; k++) {
            vqp_val v = root_of(vals, n_vals, ops[i].out[k]);
            if (!v || vals[v].role != VQP_VAL_TEMP || index[v])
                continue;
            /* bytes is at most INT64_MAX, so that rounding up cannot overflow */
            spans[n] = (struct span){v, i, i, (vals[v].bytes + ALIGN - 1) / ALIGN * ALIGN, 0};
            index[v] = ++n;
        }
    }
    return n;
}

/* Gives spans[i] the tightest gap between those of placed[] (by offset, n of them) that are alive with it, and adds it there. */
static int place(struct span *spans, uint32_t i, uint32_t *placed, uint32_t n, uint64_t *arena_bytes)
{
    struct span *s = &spans[i];
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (uint32_t k = 0; k < n; k++) {
        const struct span *other = &spans[placed[k]];
        if (other->last < s->first || other->first > s->last)
            continue;
        if (other->offset > end && other->offset - end >= s->bytes && other->offset - end < best_gap) {
            best = end;
            best_gap = other->offset - end;
        }
        if (other->offset + other->bytes > end)
            end = other->offset + other->bytes;
    }
    s->offset = best != UINT64_MAX ? best : end;
    if (__builtin_add_overflow(s->offset, s->bytes, &end) || end > INT64_MAX)
        return -1;
    if (end > *arena_bytes)
        *arena_bytes = end;
    uint32_t at = n;
    for (; at > 0 && spans[placed[at - 1]].offset > s->offset; at--)
        placed[at] = placed[at - 1];
    placed[at] = i;
    return 0;
}

vqp_status vqp_plan_arena(const struct vqp_op *ops, uint32_t n_ops, struct vqp_val_info *vals, uint32_t n_vals,
                          uint64_t *arena_bytes, struct vqp_error *err)
{
    vqp_status status = VQP_OK;
    struct span *spans = calloc((size_t)n_vals + 1, sizeof *spans);
    uint32_t *index = calloc((size_t)n_vals + 1, sizeof *index);
    uint32_t n = 0;
    *arena_bytes = 0;
    if (!spans || !index)
        status = vqp_fail(err, VQP_E_NOMEM, "out of memory");
    else if ((n = find_spans(ops, n_ops, vals, n_vals, spans, index, err)) == UINT32_MAX)
        status = VQP_E_INTERNAL;
    if (!status)
        qsort(spans, n, sizeof *spans, larger_first);
    for (uint32_t i = 0; i < n && !status; i++) {
        if (place(spans, i, index, i, arena_bytes))
            status = vqp_fail(err, VQP_E_NOMEM, "the values need more memory than there can be; use a smaller batch");
        else
            vals[spans[i].val].arena_offset = spans[i].offset;
    }
    for (vqp_val v = 1; v < n_vals && !status; v++)
        vals[v].arena_offset = vals[root_of(vals, n_vals, v)].arena_offset;
    free(spans);
    free(index);
    return status;
}
