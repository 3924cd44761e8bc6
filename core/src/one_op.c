#include "one_op.h"
#include "builder.h"
#include "shape.h"

enum {
    MOST = VQP_OP_MAX_IN + VQP_OP_MAX_OUT
};

struct one_op {
    struct vqp_val_info vals[MOST + 1];
    vqp_val was[MOST + 1]; /* in the program it comes from */
    struct vqp_op op;
    struct vqp_program_view view;
    struct vqp_binding bind[MOST];
    uint32_t n_bind;
};

static int writes_state(const struct vqp_op *op)
{
    return op->kind == VQP_OP_STORE || op->kind == VQP_OP_ADVANCE;
}

vqp_val vqp_one_op_result(const struct vqp_op *op, int k)
{
    return writes_state(op) ? (k ? 0 : op->in[0]) : op->out[k];
}

/* A view's storage is its root's, whole: alone, it can be a root itself. */
static vqp_val take(struct one_op *one, const struct vqp_program_view *p, vqp_val v, uint32_t role)
{
    static const char *const names[MOST + 1] = {NULL, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    if (!v)
        return 0;
    for (vqp_val have = 1; have < one->view.n_vals; have++)
        if (one->was[have] == v)
            return have;
    const struct vqp_val_info *root = &p->vals[p->vals[v].root];
    vqp_val n = one->view.n_vals++;
    one->was[n] = v;
    one->vals[n] = p->vals[v];
    one->vals[n].root = n;
    one->vals[n].arena_offset = 0;
    one->vals[n].data = NULL;
    one->vals[n].name = names[n];
    one->vals[n].role = role;
    if (root->role == VQP_VAL_WEIGHT || root->role == VQP_VAL_CONSTANT) {
        one->vals[n].role = root->role;
        one->vals[n].data = root->data;
        one->vals[n].name = root->name;
    }
    return n;
}

static void make(struct one_op *one, const struct vqp_program_view *p, uint32_t i)
{
    *one = (struct one_op){.op = p->ops[i]};
    one->view = (struct vqp_program_view){.struct_size = sizeof one->view,
                                          .n_vals = 1,
                                          .n_ops = 1,
                                          .name = p->name,
                                          .vals = one->vals,
                                          .ops = &one->op,
                                          .op_scope = &p->op_scope[i]};
    for (int k = 0; k < VQP_OP_MAX_IN; k++)
        one->op.in[k] = take(one, p, one->op.in[k], !k && writes_state(&one->op) ? VQP_VAL_STATE : VQP_VAL_INPUT);
    for (int k = 0; k < VQP_OP_MAX_OUT; k++)
        one->op.out[k] = take(one, p, one->op.out[k], VQP_VAL_OUTPUT);
}

static vqp_status fill_buffers(const struct vqp_backend_instance *b, struct one_op *one,
                               const struct vqp_program_view *p, void *const *values, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    for (vqp_val v = 1; !st && v < one->view.n_vals; v++) {
        const struct vqp_val_info *info = &one->vals[v];
        vqp_buffer *buffer;
        if (info->role == VQP_VAL_WEIGHT || info->role == VQP_VAL_CONSTANT)
            continue;
        if ((st = b->v->buffer_create(b->self, info->bytes, &buffer, err)))
            break;
        one->bind[one->n_bind++] = (struct vqp_binding){.val = v, .buffer = buffer};
        if (info->role != VQP_VAL_OUTPUT)
            st = b->v->upload(b->self, buffer, 0, values[p->vals[one->was[v]].root], info->bytes, err);
    }
    return st;
}

static vqp_status read_results(const struct vqp_backend_instance *b, const struct one_op *one, void *const *results,
                               struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    for (int k = 0; k < VQP_OP_MAX_OUT; k++) {
        vqp_val v = vqp_one_op_result(&one->op, k);
        for (uint32_t i = 0; v && !st && i < one->n_bind; i++)
            if (one->bind[i].val == v)
                st = b->v->download(b->self, one->bind[i].buffer, 0, results[k], one->vals[v].bytes, err);
    }
    return st;
}

vqp_status vqp_one_op_run(const struct vqp_backend_instance *b, const struct vqp_program_view *p, uint32_t i,
                          void *const *values, void *const results[VQP_OP_MAX_OUT], struct vqp_error *err)
{
    struct one_op one;
    struct vqp_error e = {0};
    vqp_exec *exec = NULL;
    make(&one, p, i);
    const char *op = vqp_op_name(one.op.kind);
    if (!b->v->supports(b->self, &one.view, 0)) {
        char text[VQP_SHAPE_TEXT];
        const struct vqp_val_info *x = &one.vals[one.op.in[0]];
        return vqp_fail(err, VQP_E_UNSUPPORTED, "backend (%s) cannot run %s on %s%s in %s; use another backend",
                        b->name, op, vqp_dtype_name(x->dtype), vqp_shape_text(&x->shape, text), p->op_scope[i]);
    }
    vqp_status st = fill_buffers(b, &one, p, values, &e);
    if (!st)
        st = b->v->compile(b->self, &one.view, one.bind, one.n_bind, &exec, &e);
    if (!st)
        st = b->v->run(b->self, exec, 1, &e);
    if (!st)
        st = read_results(b, &one, results, &e);
    if (exec)
        b->v->exec_destroy(b->self, exec);
    for (uint32_t k = 0; k < one.n_bind; k++)
        b->v->buffer_destroy(b->self, one.bind[k].buffer);
    if (st == VQP_E_CANCELLED)
        return vqp_fail(err, st, "cancelled");
    return st ? vqp_fail(err, st, "backend (%s): %s in %s: %s", b->name, op, p->op_scope[i], e.msg) : VQP_OK;
}
