/* Checks an op against its signature and infers its outputs. The rules themselves: verify_ops.c. */
#include "shape.h"
#include "text.h"
#include "verify_ops.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    IS_F32 = 1,
    IS_I32 = 2,
    IS_U8 = 4,
    IS_HALF = 8,   /* also a weight of f16 or bf16 */
    IS_FIXED = 16, /* known at compile: only weights and constants */
    IS_SAME = 32,  /* one dtype for all operands of this kind */
    IS_Q8 = 64,    /* also a weight of q8_0 */
};
static const struct type {
    char letter;
    unsigned is;
    const char *text;
} types[] = {
    {'f', IS_F32, "f32"},
    {'i', IS_I32, "i32"},
    {'w', IS_F32 | IS_HALF | IS_FIXED, "a weight or a constant of f32"},
    {'q', IS_F32 | IS_HALF | IS_Q8 | IS_FIXED, "a weight or a constant of f32"},
    {'W', IS_F32 | IS_HALF, "f32 or a weight"},
    {'t', IS_F32 | IS_I32 | IS_SAME, "f32 or i32"},
    {'a', IS_F32 | IS_I32 | IS_HALF | IS_SAME, "f32, i32 or a weight"},
    {'s', IS_F32 | IS_I32 | IS_U8 | IS_SAME, "f32, i32 or u8"},
    {'x', IS_F32 | IS_I32 | IS_U8 | IS_HALF | IS_SAME, "f32, i32, u8 or a weight"},
};

enum {
    PATTERN_TEXT = 512,
    NAME_TEXT = 128
};

/* A refusal of operand v. With `file` the model file may be at fault, and the tensor is named. */
__attribute__((format(printf, 4, 5))) static int operand_fail(struct vqp_infer *c, const struct vqp_val_info *v,
                                                              int file, const char *fmt, ...)
{
    char msg[sizeof c->err->msg], name[NAME_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (v->role != VQP_VAL_WEIGHT)
        return vqp_infer_fail(c, "%s", msg);
    const char *tensor = v->name ? v->name : "";
    return vqp_fail(c->err, file ? VQP_E_FORMAT : VQP_E_SHAPE, "%s: %s%s%s%s", c->rule->name, msg,
                    *tensor ? " (tensor " : "", vqp_quote(tensor, strlen(tensor), name, sizeof name),
                    *tensor ? ")" : "");
}

static int is_float(uint32_t dtype)
{
    return dtype == VQP_F32 || dtype == VQP_F16 || dtype == VQP_BF16;
}

static const char *role_text(uint32_t role)
{
    static const char *const names[] = {"computed", "input", "weight", "state", "computed", "constant"};
    return role < sizeof names / sizeof *names ? names[role] : "?";
}

static int check_type(struct vqp_infer *c, const char *name, char letter, const struct vqp_val_info *v)
{
    const struct type *t = types;
    while (t->letter != letter)
        t++;
    char shape[VQP_SHAPE_TEXT];
    vqp_shape_text(&v->shape, shape);
    if (v->role == VQP_VAL_WEIGHT && !is_float(v->dtype) && !((t->is & IS_Q8) && v->dtype == VQP_Q8_0))
        return operand_fail(c, v, 1, "%s is a weight of %s%s; only %sf32, f16 and bf16 can be computed with", name,
                            vqp_dtype_name(v->dtype), shape, t->is & IS_Q8 ? "q8_0, " : "");
    uint32_t dtype = v->dtype;
    unsigned is;
    switch (dtype) {
    case VQP_F32: is = IS_F32; break;
    case VQP_I32: is = IS_I32; break;
    case VQP_U8: is = IS_U8; break;
    case VQP_Q8_0: is = IS_Q8; break;
    default: is = IS_HALF; dtype = VQP_F32;
    }
    int fixed = v->role == VQP_VAL_WEIGHT || v->role == VQP_VAL_CONSTANT;
    if (!(t->is & is) || ((t->is & IS_FIXED) && !fixed) ||
        ((is == IS_HALF || is == IS_Q8) && v->role != VQP_VAL_WEIGHT))
        return operand_fail(c, v, 0, "%s is %s %s%s, expected %s", name, role_text(v->role), vqp_dtype_name(v->dtype),
                            shape, t->text);
    if (!(t->is & IS_SAME))
        return 0;
    if (c->dtype && c->dtype != dtype)
        return operand_fail(c, v, 0, "%s is %s%s, expected %s as the operand before it", name, vqp_dtype_name(v->dtype),
                            shape, vqp_dtype_name(c->dtype));
    c->dtype = dtype;
    return 0;
}

/* Items of the pattern at s, "[B,*,12]", without "*". */
static uint32_t pattern_items(const char *s)
{
    uint32_t n = 0;
    for (; *s && *s != ']'; s++)
        n += isalnum((unsigned char)*s) && !isalnum((unsigned char)s[1]);
    return n;
}

/* The value of the item at *s, 0 for a letter that stands for nothing yet; *letter where it is one. Steps past it. */
static int64_t item(const struct vqp_infer *c, const char **s, char *letter)
{
    *letter = 0;
    if (isdigit((unsigned char)**s))
        return strtoll(*s, (char **)s, 10);
    *letter = *(*s)++;
    return c->dim[(unsigned char)*letter];
}

/* Nonzero if shape fits the pattern; letters seen for the first time are then set in c. */
static int match(struct vqp_infer *c, const char *pattern, const struct vqp_shape *shape)
{
    struct vqp_infer trial = *c;
    uint32_t items = pattern_items(pattern), at = 0;
    if (shape->rank < items || (!strchr(pattern, '*') && shape->rank != items))
        return 0;
    for (const char *s = pattern + 1; *s != ']';) {
        if (*s == ',') {
            s++;
        } else if (*s == '*') {
            struct vqp_shape lead = {.rank = shape->rank - items};
            memcpy(lead.dim, shape->dim + at, lead.rank * sizeof *lead.dim);
            if (c->lead_known && !vqp_shape_equal(&lead, &c->lead))
                return 0;
            trial.lead = lead;
            trial.lead_known = 1;
            at += lead.rank;
            s++;
        } else {
            char letter;
            int64_t want = item(&trial, &s, &letter), have = shape->dim[at++];
            if (want && want != have)
                return 0;
            if (!want)
                trial.dim[(unsigned char)letter] = have;
        }
    }
    *c = trial;
    return 1;
}

/* The pattern with all that is known put in; letters that are not known as in `have` where its rank fits, else as they are. */
static void pattern_text(const struct vqp_infer *c, const char *pattern, const struct vqp_shape *have, char *buf,
                         size_t size)
{
    const char *star = memchr(pattern, '*', (size_t)(strchr(pattern, ']') - pattern));
    uint32_t at = 0, fits = !star && have->rank == pattern_items(pattern);
    size_t used = (size_t)snprintf(buf, size, "[");
    for (const char *s = pattern + 1; *s != ']';) {
        char letter, text[VQP_SHAPE_TEXT];
        if (*s == ',') {
            s++;
            continue;
        }
        const char *show = text;
        if (*s == '*') {
            s++;
            if (c->lead_known && !c->lead.rank)
                continue;
            vqp_shape_text(&c->lead, text);
            text[strlen(text) - 1] = 0;
            show = c->lead_known ? text + 1 : "...";
        } else {
            int64_t want = item(c, &s, &letter);
            if (!want && fits)
                want = have->dim[at];
            if (want)
                snprintf(text, sizeof text, "%" PRId64, want);
            else
                snprintf(text, sizeof text, "%c", letter);
            at++;
        }
        used += (size_t)snprintf(buf + used, size - used, "%s%s", used > 1 ? "," : "", show);
    }
    snprintf(buf + used, size - used, "]");
}

static int check_shape(struct vqp_infer *c, const char *name, const char *patterns, const struct vqp_val_info *v)
{
    for (const char *s = patterns; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL)
        if (match(c, s, &v->shape))
            return 0;
    char have[VQP_SHAPE_TEXT], want[PATTERN_TEXT];
    size_t used = 0;
    for (const char *s = patterns; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL) {
        used += (size_t)snprintf(want + used, sizeof want - used, "%s", used ? " or " : "");
        pattern_text(c, s, &v->shape, want + used, sizeof want - used);
        used += strlen(want + used);
    }
    return operand_fail(c, v, 1, "%s is %s, expected %s", name, vqp_shape_text(&v->shape, have), want);
}

/* One operand's signature, "gate?:f[O]|[*,O]". */
static int check_operand(struct vqp_infer *c, uint32_t i, char *text)
{
    char *type = strchr(text, ':'), *shapes = strchr(text, '[');
    int optional = type[-1] == '?';
    type[-optional] = 0;
    if (!c->in[i])
        return optional ? 0 : vqp_infer_fail(c, "%s is missing", text);
    int failed = check_type(c, text, type[1], c->in[i]);
    return failed || !shapes ? failed : check_shape(c, text, shapes, c->in[i]);
}

static int run_check(struct vqp_infer *c)
{
    int failed = c->rule->check ? c->rule->check(c) : 0;
    c->stage++;
    return failed;
}

static int check_operands(struct vqp_infer *c)
{
    char text[160], *save = NULL;
    uint32_t i = 0;
    snprintf(text, sizeof text, "%s", c->rule->in);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        int failed = *word == ';' ? run_check(c) : check_operand(c, i++, word);
        if (failed)
            return failed;
    }
    for (; i < VQP_OP_MAX_IN; i++)
        if (c->in[i])
            return vqp_infer_fail(c, "operand %u is set, but it takes no more than %u", i + 1, i);
    return c->stage ? 0 : run_check(c);
}

static void append_dim(struct vqp_shape *s, int64_t dim)
{
    if (s->rank < VQP_MAX_RANK)
        s->dim[s->rank] = dim;
    s->rank++;
}

/* One output's signature, "f[*,O]" or "f". */
static int infer_output(struct vqp_infer *c, const char *text, uint32_t *dtype, struct vqp_shape *out)
{
    *dtype = *text == 'f' ? VQP_F32 : *text == 'i' ? VQP_I32 : *text == 'u' ? VQP_U8 : c->dtype;
    *out = c->out;
    if (text[1] == '[') {
        memset(out, 0, sizeof *out);
        for (const char *s = text + 1; *s != ']';) {
            char letter;
            if (isalnum((unsigned char)*s)) {
                append_dim(out, item(c, &s, &letter));
                continue;
            }
            for (uint32_t i = 0; *s == '*' && i < c->lead.rank; i++)
                append_dim(out, c->lead.dim[i]);
            s++;
        }
    }
    uint64_t bytes;
    char buf[VQP_SHAPE_TEXT];
    if (out->rank > VQP_MAX_RANK)
        return vqp_infer_fail(c, "the output would have rank %u, more than %d", out->rank, VQP_MAX_RANK);
    if (vqp_shape_bytes(out, *dtype, &bytes))
        return vqp_infer_fail(c, "the output would be %s, larger than memory can be", vqp_shape_text(out, buf));
    return 0;
}

int vqp_op_infer(const struct vqp_op *op, const struct vqp_val_info *vals, uint32_t n_vals,
                 uint32_t out_dtype[VQP_OP_MAX_OUT], struct vqp_shape out_shape[VQP_OP_MAX_OUT], struct vqp_error *err)
{
    struct vqp_infer c = {.op = op, .rule = vqp_op_rule(op->kind), .err = err};
    if (!c.rule)
        return vqp_fail(err, VQP_E_SHAPE, "there is no op %u", op->kind);
    if (op->flags)
        return vqp_infer_fail(&c, "flags are 0x%x, expected 0", op->flags);
    for (uint32_t i = 0; i < VQP_OP_MAX_IN; i++) {
        if (op->in[i] >= n_vals && op->in[i])
            return vqp_infer_fail(&c, "operand %u is value %u, and the program has none above %u", i + 1, op->in[i],
                                  n_vals - 1);
        c.in[i] = op->in[i] ? &vals[op->in[i]] : NULL;
    }
    int failed = check_operands(&c), n = 0;
    for (const char *s = c.rule->out; !failed && *s; s += strcspn(s, " "), s += *s == ' ', n++)
        failed = infer_output(&c, s, &out_dtype[n], &out_shape[n]);
    return failed ? failed : n;
}

const char *vqp_op_name(uint32_t kind)
{
    const struct vqp_op_rule *rule = vqp_op_rule(kind);
    if (kind == VQP_OP_HOST_CALL)
        return "host_call";
    return rule ? rule->name : "?";
}
