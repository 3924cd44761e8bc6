#include "cut.h"
#include <stdlib.h>
#include <string.h>

enum {
    READ_HERE = 1,
    WRITTEN_HERE = 2,
    READ_ELSEWHERE = 4
};

int vqp_cut_next(const struct vqp_program_view *whole, uint32_t from, struct vqp_range *r)
{
    if (from >= whole->n_ops)
        return 0;
    r->first = from;
    r->end = from + 1;
    while (whole->ops[from].kind != VQP_OP_HOST_CALL && r->end < whole->n_ops &&
           whole->ops[r->end].kind != VQP_OP_HOST_CALL)
        r->end++;
    return 1;
}

/* What the ops of the range, and all others, do with every root value. */
static void look(const struct vqp_program_view *whole, struct vqp_range r, unsigned char *use)
{
    for (uint32_t i = 0; i < whole->n_ops; i++) {
        int here = i >= r.first && i < r.end;
        for (int k = 0; k < VQP_OP_MAX_IN; k++)
            use[whole->vals[whole->ops[i].in[k]].root] |= here ? READ_HERE : READ_ELSEWHERE;
        for (int k = 0; here && k < VQP_OP_MAX_OUT; k++)
            use[whole->vals[whole->ops[i].out[k]].root] |= WRITTEN_HERE;
    }
}

static vqp_status set_role(const struct vqp_program_view *whole, struct vqp_val_info *v, vqp_val number, unsigned use,
                           int is_call, struct vqp_arena *a, struct vqp_error *err)
{
    int crosses = (use & WRITTEN_HERE) ? (use & READ_ELSEWHERE) || is_call : (use & READ_HERE) != 0;
    if (!(use & (READ_HERE | WRITTEN_HERE))) {
        v->role = VQP_VAL_TEMP;
        v->name = NULL;
        v->data = NULL;
    } else if (v->role == VQP_VAL_OUTPUT) {
        v->role = use & WRITTEN_HERE ? VQP_VAL_OUTPUT : VQP_VAL_INPUT;
    } else if (v->role == VQP_VAL_TEMP && crosses) {
        v->role = use & WRITTEN_HERE ? VQP_VAL_OUTPUT : VQP_VAL_INPUT;
        if (!(v->name = vqp_arena_printf(a, "%s/%u", whole->name, number)))
            return vqp_fail(err, VQP_E_NOMEM, "recording: out of memory");
    }
    return VQP_OK;
}

vqp_status vqp_cut_part(const struct vqp_program_view *whole, struct vqp_range r, const char *name, struct vqp_arena *a,
                        struct vqp_program_view *out, struct vqp_error *err)
{
    int is_call = whole->ops[r.first].kind == VQP_OP_HOST_CALL;
    struct vqp_val_info *vals = vqp_arena_alloc(a, whole->n_vals, sizeof *vals);
    unsigned char *use = calloc(whole->n_vals, 1);
    vqp_status st = VQP_OK;
    *out = *whole;
    out->name = vqp_arena_strdup(a, name);
    if (!vals || !use || !out->name) {
        free(use);
        return vqp_fail(err, VQP_E_NOMEM, "recording: out of memory");
    }
    memcpy(vals, whole->vals, whole->n_vals * sizeof *vals);
    look(whole, r, use);
    for (vqp_val v = 1; !st && v < whole->n_vals; v++)
        if (vals[v].root == v)
            st = set_role(whole, &vals[v], v, use[v], is_call, a, err);
    for (vqp_val v = 1; !st && v < whole->n_vals; v++) {
        vals[v].role = vals[vals[v].root].role;
        vals[v].data = vals[vals[v].root].data;
    }
    free(use);
    out->vals = vals;
    out->ops = whole->ops + r.first;
    out->op_scope = whole->op_scope + r.first;
    out->n_ops = is_call ? 0 : r.end - r.first;
    return st ? st : vqp_plan_arena(out->ops, out->n_ops, vals, out->n_vals, &out->arena_bytes, err);
}
