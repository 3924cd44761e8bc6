/* A sealed program as text, for `vqpipe program` and for tests: the same program gives the same bytes. */
#include "builder.h"
#include "shape.h"
#include "text.h"
#include <inttypes.h>
#include <string.h>

enum {
    NAME_TEXT = 200,
    SHOWN = 4 /* elements of a constant */
};

static void put_type(const struct vqp_val_info *v, FILE *f)
{
    char shape[VQP_SHAPE_TEXT];
    fprintf(f, "%s%s", vqp_dtype_name(v->dtype), vqp_shape_text(&v->shape, shape));
}

static void put_name(const char *name, FILE *f)
{
    char text[NAME_TEXT];
    fputs(vqp_quote(name, strlen(name), text, sizeof text), f);
}

static void put_constant(const struct vqp_val_info *v, FILE *f)
{
    uint64_t n = v->bytes / vqp_dtype_bytes(v->dtype);
    fputs(" =", f);
    for (uint64_t i = 0; i < n && i < SHOWN; i++) {
        const unsigned char *at = (const unsigned char *)v->data + i * vqp_dtype_bytes(v->dtype);
        float real;
        int32_t whole;
        memcpy(&real, at, v->dtype == VQP_F32 ? sizeof real : 0);
        memcpy(&whole, at, v->dtype == VQP_I32 ? sizeof whole : 0);
        if (v->dtype == VQP_F32)
            fprintf(f, " %.9g", (double)real);
        else
            fprintf(f, " %" PRId32, v->dtype == VQP_I32 ? whole : *at);
    }
    fputs(n > SHOWN ? " ...\n" : "\n", f);
}

/* All values of one role that are bound or given, one a line. */
static void put_roots(const struct vqp_program_view *p, uint32_t role, const char *what, FILE *f)
{
    for (vqp_val v = 1; v < p->n_vals; v++) {
        const struct vqp_val_info *info = &p->vals[v];
        if (info->role != role || info->root != v)
            continue;
        fprintf(f, "%s %%%u ", what, v);
        put_type(info, f);
        if (role == VQP_VAL_CONSTANT) {
            put_constant(info, f);
        } else {
            fputc(' ', f);
            put_name(info->name, f);
            fputc('\n', f);
        }
    }
}

/* %12, w:NAME, - for none; of a view the root, with the shape that it is seen in. */
static void put_operand(const struct vqp_program_view *p, vqp_val v, FILE *f)
{
    const struct vqp_val_info *root = &p->vals[p->vals[v].root];
    char shape[VQP_SHAPE_TEXT];
    if (!v) {
        fputc('-', f);
        return;
    }
    if (root->role == VQP_VAL_WEIGHT) {
        fputs("w:", f);
        put_name(root->name, f);
    } else {
        fprintf(f, "%%%u", p->vals[v].root);
    }
    if (p->vals[v].root != v)
        fputs(vqp_shape_text(&p->vals[v].shape, shape), f);
}

static void put_act(uint32_t act, FILE *f)
{
    static const char *const names[] = {"", " act=gelu_erf", " act=gelu_sigmoid", " act=silu"};
    fputs(act < sizeof names / sizeof *names ? names[act] : " act=?", f);
}

static void put_conv(const struct vqp_op *op, FILE *f)
{
    if (op->u.conv.stride != 1)
        fprintf(f, " stride=%u", op->u.conv.stride);
    if (op->u.conv.groups != 1)
        fprintf(f, " groups=%u", op->u.conv.groups);
    if (op->u.conv.pad_top || op->u.conv.pad_left || op->u.conv.pad_bottom || op->u.conv.pad_right)
        fprintf(f, " pad=%u,%u,%u,%u", op->u.conv.pad_top, op->u.conv.pad_left, op->u.conv.pad_bottom,
                op->u.conv.pad_right);
    if (op->u.conv.upsample != 1)
        fprintf(f, " upsample=%u", op->u.conv.upsample);
    put_act(op->u.conv.act, f);
}

static void put_params(const struct vqp_program_view *p, const struct vqp_op *op, FILE *f)
{
    static const char *const cmps[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    switch (op->kind) {
    case VQP_OP_LINEAR: put_act(op->u.linear.act, f); break;
    case VQP_OP_LAYER_NORM:
    case VQP_OP_RMS_NORM: fprintf(f, " eps=%g", (double)op->u.norm.eps); break;
    case VQP_OP_GROUP_NORM:
        fprintf(f, " groups=%u eps=%g", op->u.norm.groups, (double)op->u.norm.eps);
        put_act(op->u.norm.act, f);
        break;
    case VQP_OP_SDPA:
        fprintf(f, " heads=%u scale=%.9g%s", op->u.sdpa.heads, (double)op->u.sdpa.scale,
                op->u.sdpa.causal ? " causal" : "");
        break;
    case VQP_OP_CONV2D: put_conv(op, f); break;
    case VQP_OP_PIXEL_SHUFFLE: fprintf(f, " factor=%u", op->u.pixel_shuffle.factor); break;
    case VQP_OP_ROPE: fprintf(f, " heads=%u%s", op->u.rope.heads, op->u.rope.interleaved ? " interleaved" : ""); break;
    case VQP_OP_TRUNCATE: fprintf(f, " floor=%g", (double)op->u.truncate.floor); break;
    case VQP_OP_POSTERIOR_SAMPLE:
    case VQP_OP_CATEGORICAL_SAMPLE:
    case VQP_OP_GUMBEL: fprintf(f, " stream=%u", op->u.sample.stream); break;
    case VQP_OP_REPEAT: fprintf(f, " times=%u%s", op->u.repeat.times, op->u.repeat.tile ? " tile" : ""); break;
    case VQP_OP_COMPARE: fprintf(f, " %s", op->u.compare.cmp <= VQP_CMP_GE ? cmps[op->u.compare.cmp] : "?"); break;
    case VQP_OP_CAST: fprintf(f, " dtype=%s", vqp_dtype_name(op->u.cast.dtype)); break;
    case VQP_OP_PERMUTE:
        for (uint32_t i = 0; i < p->vals[op->in[0]].shape.rank; i++)
            fprintf(f, "%s%u", i ? "," : " perm=", op->u.permute.perm[i]);
        break;
    case VQP_OP_SLICE:
        fprintf(f, " axis=%u start=%u count=%u", op->u.axis.axis, op->u.axis.start, op->u.axis.count);
        break;
    case VQP_OP_SORT_K: fprintf(f, " k=%u", op->u.axis.count); break;
    case VQP_OP_CONCAT:
    case VQP_OP_REDUCE_SUM:
    case VQP_OP_REDUCE_MAX:
    case VQP_OP_ARG_MAX:
    case VQP_OP_SOFTMAX:
    case VQP_OP_CUMSUM:
    case VQP_OP_GATHER:
    case VQP_OP_SCATTER: fprintf(f, " axis=%u", op->u.axis.axis); break;
    default: break;
    }
}

static void put_op(const struct vqp_program_view *p, uint32_t i, FILE *f)
{
    const struct vqp_op *op = &p->ops[i];
    uint32_t n_in = VQP_OP_MAX_IN;
    while (n_in && !op->in[n_in - 1])
        n_in--;
    for (uint32_t k = 0; k < VQP_OP_MAX_OUT && op->out[k]; k++) {
        fprintf(f, "%s%%%u ", k ? ", " : "", op->out[k]);
        put_type(&p->vals[op->out[k]], f);
    }
    fprintf(f, "%s%s", op->out[0] ? " = " : "", vqp_op_name(op->kind));
    for (uint32_t k = 0; k < n_in; k++) {
        fputs(k ? ", " : " ", f);
        put_operand(p, op->in[k], f);
    }
    put_params(p, op, f);
    if (p->op_scope[i] && *p->op_scope[i]) {
        fputs("   @ ", f);
        put_name(p->op_scope[i], f);
    }
    fputc('\n', f);
}

void vqp_program_dump(const struct vqp_program_view *v, FILE *f)
{
    fprintf(f, "program %s: %u ops, %u values, arena %" PRIu64 " bytes\n", v->name, v->n_ops, v->n_vals - 1,
            v->arena_bytes);
    put_roots(v, VQP_VAL_INPUT, "input", f);
    put_roots(v, VQP_VAL_STATE, "state", f);
    put_roots(v, VQP_VAL_CONSTANT, "constant", f);
    put_roots(v, VQP_VAL_OUTPUT, "output", f);
    for (uint32_t i = 0; i < v->n_ops; i++)
        put_op(v, i, f);
}

char *vqp_op_shapes(const struct vqp_program_view *p, uint32_t i, char *buf, size_t n)
{
    const struct vqp_op *op = &p->ops[i];
    size_t used = 0;
    buf[0] = 0;
    for (int k = 0; k < VQP_OP_MAX_IN + VQP_OP_MAX_OUT && used < n; k++) {
        vqp_val v = k < VQP_OP_MAX_IN ? op->in[k] : op->out[k - VQP_OP_MAX_IN];
        char shape[VQP_SHAPE_TEXT];
        const char *before = k == VQP_OP_MAX_IN ? " -> " : used ? ", " : "";
        if (v)
            used += (size_t)snprintf(buf + used, n - used, "%s%s%s", before, vqp_dtype_name(p->vals[v].dtype),
                                     vqp_shape_text(&p->vals[v].shape, shape));
    }
    return buf;
}
