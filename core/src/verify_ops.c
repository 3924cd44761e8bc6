/* What each op of ops.h requires and gives. */
#include "verify_ops.h"
#include "shape.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

int vqp_infer_fail(struct vqp_infer *c, const char *fmt, ...)
{
    char msg[sizeof c->err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return vqp_fail(c->err, VQP_E_SHAPE, "%s: %s", c->rule->name, msg);
}

#define FAIL(...) return vqp_infer_fail(c, __VA_ARGS__)

/* ---- parameters that several ops share --------------------------------------------------------------------------- */

static int check_act(struct vqp_infer *c, uint32_t act)
{
    if (act > VQP_ACT_SILU)
        FAIL("there is no activation %u", act);
    return 0;
}

static int check_bool(struct vqp_infer *c, const char *name, uint32_t value)
{
    if (value > 1)
        FAIL("%s is %u, expected 0 or 1", name, value);
    return 0;
}

static int check_eps(struct vqp_infer *c)
{
    float eps = c->op->u.norm.eps;
    if (!isfinite(eps) || eps < 0)
        FAIL("eps is %g, expected a finite number from 0", (double)eps);
    return 0;
}

/* "heads is 5, expected a divisor of the width 64" */
static int check_divides(struct vqp_infer *c, const char *name, uint32_t part, const char *of, int64_t whole)
{
    if (!part || whole % part)
        FAIL("%s is %u, expected a divisor of the %s %" PRId64, name, part, of, whole);
    return 0;
}

/* Indices along an axis are given out as i32. */
static int check_index(struct vqp_infer *c, int64_t length)
{
    if (length > INT32_MAX)
        FAIL("%" PRId64 " entries are more than an i32 can number", length);
    return 0;
}

/* 0 where a*b is past any size. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t n;
    return __builtin_mul_overflow(a, b, &n) ? 0 : n;
}

/* ---- fused ops --------------------------------------------------------------------------------------------------- */

static int embedding(struct vqp_infer *c)
{
    if (c->in[2] && c->dim['M'] < c->dim['N'])
        FAIL("pos has %" PRId64 " rows, expected %" PRId64 " or more", c->dim['M'], c->dim['N']);
    return 0;
}

static int linear(struct vqp_infer *c)
{
    const struct vqp_val_info *weight = c->in[1], *scale = c->in[5];
    if ((weight->dtype == VQP_Q8_0) != (scale != NULL))
        FAIL("%s",
             scale ? "scale is given, and the weight is not q8_0" : "the weight is q8_0, and its scale is missing");
    if (scale && (c->dim['I'] % 32 || c->dim['S'] != c->dim['I'] / 32 || scale->dtype != VQP_F16))
        FAIL("a q8_0 weight [%" PRId64 ",%" PRId64 "] has a scale of %s [%" PRId64 ",%" PRId64
             "], expected f16 for every 32 of a row",
             c->dim['O'], c->dim['I'], vqp_dtype_name(scale->dtype), c->dim['O'], c->dim['S']);
    return check_act(c, c->op->u.linear.act);
}

static int layer_norm(struct vqp_infer *c)
{
    const struct vqp_shape *x = &c->in[0]->shape;
    const struct vqp_val_info *table = c->in[3], *row = c->in[4];
    if (row && !table)
        FAIL("row is given without a table");
    if (table && x->rank < 2)
        FAIL("a table needs an x of rank 2 or more");
    c->dim['B'] = x->dim[0];
    c->dim['T'] = times(c->dim['D'], 2);
    if (table && !row) /* one row for all, or one each */
        c->dim['R'] = table->shape.rank == 2 && table->shape.dim[0] == 1 ? 1 : c->dim['B'];
    return check_eps(c);
}

static int sdpa(struct vqp_infer *c)
{
    if (check_divides(c, "heads", c->op->u.sdpa.heads, "width", c->dim['E']) ||
        check_bool(c, "causal", c->op->u.sdpa.causal))
        return VQP_E_SHAPE;
    if (c->op->u.sdpa.causal && c->dim['N'] != c->dim['M'])
        FAIL("causal with %" PRId64 " queries and %" PRId64 " keys, expected as many of both", c->dim['N'],
             c->dim['M']);
    if (!isfinite(c->op->u.sdpa.scale))
        FAIL("scale is %g, expected a finite number", (double)c->op->u.sdpa.scale);
    return 0;
}

/* Positions of a kernel of `size` along an axis of `in` entries; 0 after a refusal. */
static int64_t conv_positions(struct vqp_infer *c, int64_t in, uint32_t before, uint32_t after, int64_t size)
{
    uint32_t stride = c->op->u.conv.stride ? c->op->u.conv.stride : 1;
    uint32_t upsample = c->op->u.conv.upsample ? c->op->u.conv.upsample : 1;
    int64_t n;
    if (__builtin_mul_overflow(in, (int64_t)upsample, &n) || __builtin_add_overflow(n, (int64_t)before + after, &n)) {
        vqp_infer_fail(c, "%" PRId64 " entries upsampled by %u are larger than memory can be", in, upsample);
        return 0;
    }
    if (n < size) {
        vqp_infer_fail(c, "a kernel of %" PRId64 " does not fit into %" PRId64 " padded entries", size, n);
        return 0;
    }
    return (n - size) / stride + 1;
}

static int conv2d(struct vqp_infer *c)
{
    uint32_t groups = c->op->u.conv.groups ? c->op->u.conv.groups : 1;
    if (c->stage == 0) {
        if (check_divides(c, "groups", groups, "input channels", c->dim['I']))
            return VQP_E_SHAPE;
        c->dim['J'] = c->dim['I'] / groups;
        return check_act(c, c->op->u.conv.act);
    }
    if (check_divides(c, "groups", groups, "output channels", c->dim['O']))
        return VQP_E_SHAPE;
    c->dim['P'] = conv_positions(c, c->dim['H'], c->op->u.conv.pad_top, c->op->u.conv.pad_bottom, c->dim['K']);
    if (!c->dim['P'])
        return VQP_E_SHAPE;
    c->dim['Q'] = conv_positions(c, c->dim['W'], c->op->u.conv.pad_left, c->op->u.conv.pad_right, c->dim['L']);
    return c->dim['Q'] ? 0 : VQP_E_SHAPE;
}

static int group_norm(struct vqp_infer *c)
{
    if (check_divides(c, "groups", c->op->u.norm.groups, "channels", c->dim['C']) || check_eps(c))
        return VQP_E_SHAPE;
    return check_act(c, c->op->u.norm.act);
}

static int nearest_code(struct vqp_infer *c)
{
    return check_index(c, c->dim['C']);
}

static int pixel_shuffle(struct vqp_infer *c)
{
    uint32_t r = c->op->u.pixel_shuffle.factor;
    int64_t area = times(r, r);
    if (!area || c->dim['K'] % area)
        FAIL("factor is %u, whose square does not divide the channels %" PRId64, r, c->dim['K']);
    c->dim['P'] = times(c->dim['H'], r);
    c->dim['Q'] = times(c->dim['W'], r);
    c->dim['C'] = c->dim['K'] / area;
    if (!c->dim['P'] || !c->dim['Q'])
        FAIL("the output would be larger than memory can be");
    return 0;
}

static int rope(struct vqp_infer *c)
{
    uint32_t heads = c->op->u.rope.heads;
    if (check_divides(c, "heads", heads, "width", c->dim['E']) ||
        check_bool(c, "interleaved", c->op->u.rope.interleaved))
        return VQP_E_SHAPE;
    int64_t size = c->dim['E'] / heads;
    if (size % 2)
        FAIL("the head size is %" PRId64 ", expected an even one", size);
    c->dim['P'] = size / 2;
    return 0;
}

static int guide_log_softmax(struct vqp_infer *c)
{
    int64_t rows = c->dim['R'];
    if (c->in[1] && rows % 2)
        FAIL("logits have %" PRId64 " rows, expected an even number with guide", rows);
    c->dim['B'] = c->in[1] ? rows / 2 : rows;
    return 0;
}

static int truncate_(struct vqp_infer *c)
{
    if (isnan(c->op->u.truncate.floor))
        FAIL("floor is NaN, expected a number");
    return 0;
}

static int sample(struct vqp_infer *c)
{
    int64_t classes = c->dim['C'] + (c->op->kind == VQP_OP_POSTERIOR_SAMPLE);
    c->dim['S'] = times(times(c->dim['B'], c->dim['N']), classes);
    if (!c->dim['S'])
        FAIL("there are more numbers to draw than memory can hold");
    return check_index(c, classes);
}

static int gumbel(struct vqp_infer *c)
{
    c->dim['S'] = times(c->dim['B'], c->dim['N']);
    if (!c->dim['S'])
        FAIL("there are more numbers to draw than memory can hold");
    return 0;
}

static int repeat(struct vqp_infer *c)
{
    if (check_bool(c, "tile", c->op->u.repeat.tile))
        return VQP_E_SHAPE;
    c->dim['P'] = times(c->dim['R'], c->op->u.repeat.times);
    if (!c->dim['P'])
        FAIL("%" PRId64 " rows cannot be repeated %u times", c->dim['R'], c->op->u.repeat.times);
    return 0;
}

static int take(struct vqp_infer *c)
{
    if (!c->lead.rank)
        c->lead = vqp_shape1(1);
    return 0;
}

static int store(struct vqp_infer *c)
{
    char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
    if (c->in[0]->role != VQP_VAL_STATE)
        FAIL("only a state can be stored to");
    if (!vqp_shape_equal(&c->in[0]->shape, &c->in[1]->shape))
        FAIL("v is %s, expected %s", vqp_shape_text(&c->in[1]->shape, have), vqp_shape_text(&c->in[0]->shape, want));
    return 0;
}

static int advance(struct vqp_infer *c)
{
    if (c->in[0]->role != VQP_VAL_STATE)
        FAIL("only a state can be advanced");
    return 0;
}

static const struct vqp_op_rule fused[] = {
    [VQP_OP_EMBEDDING] = {"embedding", "ids:i[*,N] table:w[V,D] pos?:W[M,D]", "f[*,N,D]", embedding},
    [VQP_OP_LINEAR] = {"linear", "x:f[*,I] weight:q[O,I] bias?:w[O] residual?:f[*,O] gate?:f[O]|[*,O] scale?:w[O,S]",
                       "f[*,O]", linear},
    [VQP_OP_LAYER_NORM] = {"layer_norm", "x:f[*,D] weight?:w[D] bias?:w[D] ; table?:f[R,T] row?:i[1]|[B]", "f[*,D]",
                           layer_norm},
    [VQP_OP_RMS_NORM] = {"rms_norm", "x:f[*,D] weight?:w[D] bias?:w[D] ; table?:f[R,T] row?:i[1]|[B]", "f[*,D]",
                         layer_norm},
    [VQP_OP_SDPA] = {"sdpa", "q:f[B,N,E] k:f[B,M,E] v:f[B,M,E]", "f[B,N,E]", sdpa},
    [VQP_OP_CONV2D] = {"conv2d", "x:f[B,H,W,I] ; weight:w[O,J,K,L] bias?:w[O] ; residual?:f[B,P,Q,O]", "f[B,P,Q,O]",
                       conv2d},
    [VQP_OP_GROUP_NORM] = {"group_norm", "x:f[B,*,C] weight?:w[C] bias?:w[C]", "f[B,*,C]", group_norm},
    [VQP_OP_L2_NORM] = {"l2_norm", "x:f[*,D]", "f[*,D]", NULL},
    [VQP_OP_CODEBOOK] = {"codebook", "ids:i[*] table:w[C,E]", "f[*,E]", NULL},
    [VQP_OP_NEAREST_CODE] = {"nearest_code", "x:f[*,E] table:w[C,E]", "i[*]", nearest_code},
    [VQP_OP_PIXEL_SHUFFLE] = {"pixel_shuffle", "x:f[B,H,W,K]", "f[B,P,Q,C]", pixel_shuffle},
    [VQP_OP_ROPE] = {"rope", "x:f[B,N,E] ; cos:f[N,P] sin:f[N,P]", "f[B,N,E]", rope},
    [VQP_OP_GUIDE_LOG_SOFTMAX] = {"guide_log_softmax", "logits:f[R,N,C] guide?:f[1]", "f[B,N,C]", guide_log_softmax},
    [VQP_OP_TRUNCATE] = {"truncate", "logp:f[*,C] rate:f[1]", "f[*,C]", truncate_},
    [VQP_OP_POSTERIOR_SAMPLE] = {"posterior_sample",
                                 "logp:f[B,N,C] tokens:i[B,N] par:f[12] seed:i[B,2] eval:i[1] ; noise?:f[S]", "i[B,N]",
                                 sample},
    [VQP_OP_CATEGORICAL_SAMPLE] = {"categorical_sample", "logp:f[B,N,C] seed:i[B,2] eval:i[1] ; noise?:f[S]",
                                   "i[B,N] f[B,N]", sample},
    [VQP_OP_SELECT_TOP_K] = {"select_top_k", "score:f[B,N] k:i[1]", "i[B,N]", NULL},
    [VQP_OP_TO_RGB] = {"to_rgb", "x:f[*]", "u[*]", NULL},
    [VQP_OP_REPEAT] = {"repeat", "x:t[R,*]", "t[P,*]", repeat},
    [VQP_OP_TAKE] = {"take", "table:t[S,*] index:i[1]", "t[*]", take},
    [VQP_OP_STORE] = {"store", "state:s v:s", "", store},
    [VQP_OP_ADVANCE] = {"advance", "counter:i[1]", "", advance},
    [VQP_OP_GUMBEL] = {"gumbel", "seed:i[B,2] eval:i[1] like:t[B,N] ; noise?:f[S]", "f[B,N]", gumbel},
};
_Static_assert(sizeof fused / sizeof *fused == VQP_OP_FUSED_END, "every fused op has a rule");

/* ---- plain ops --------------------------------------------------------------------------------------------------- */

/* The common shape of all operands, aligned at the last axis. */
static int broadcast(struct vqp_infer *c)
{
    struct vqp_shape out = c->in[0]->shape;
    for (uint32_t i = 1; i < VQP_OP_MAX_IN && c->in[i]; i++) {
        const struct vqp_shape *s = &c->in[i]->shape;
        struct vqp_shape joined = {.rank = s->rank > out.rank ? s->rank : out.rank};
        for (uint32_t k = 1; k <= joined.rank; k++) {
            int64_t a = k <= out.rank ? out.dim[out.rank - k] : 1, b = k <= s->rank ? s->dim[s->rank - k] : 1;
            char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
            if (a != b && a != 1 && b != 1)
                FAIL("%s does not broadcast to %s", vqp_shape_text(s, have), vqp_shape_text(&out, want));
            joined.dim[joined.rank - k] = a == 1 ? b : a;
        }
        out = joined;
    }
    c->out = out;
    return 0;
}

static int compare(struct vqp_infer *c)
{
    if (c->op->u.compare.cmp > VQP_CMP_GE)
        FAIL("there is no comparison %u", c->op->u.compare.cmp);
    return broadcast(c);
}

static int cast(struct vqp_infer *c)
{
    uint32_t to = c->op->u.cast.dtype;
    if (to != VQP_F32 && to != VQP_I32 && to != VQP_U8)
        FAIL("dtype is %u (%s), expected f32, i32 or u8", to, vqp_dtype_name(to));
    c->dtype = to;
    return 0;
}

static int check_axis(struct vqp_infer *c)
{
    if (c->op->u.axis.axis >= c->in[0]->shape.rank)
        FAIL("axis is %u, and the rank is %u", c->op->u.axis.axis, c->in[0]->shape.rank);
    c->out = c->in[0]->shape;
    return 0;
}

static int concat(struct vqp_infer *c)
{
    uint32_t axis = c->op->u.axis.axis, n = c->op->u.axis.count;
    if (n < 1 || n > VQP_OP_MAX_IN)
        FAIL("%u values to join, expected 1 to %d", n, VQP_OP_MAX_IN);
    if (check_axis(c))
        return VQP_E_SHAPE;
    for (uint32_t i = 1; i < VQP_OP_MAX_IN; i++) {
        if (!c->in[i] != (i >= n))
            FAIL("in%u is %s, and there are %u values to join", i, c->in[i] ? "set" : "missing", n);
        if (!c->in[i])
            continue;
        struct vqp_shape s = c->in[i]->shape, want = c->out;
        char have_text[VQP_SHAPE_TEXT], want_text[VQP_SHAPE_TEXT];
        if (s.rank > axis)
            want.dim[axis] = s.dim[axis];
        if (!vqp_shape_equal(&s, &want))
            FAIL("in%u is %s, expected %s", i, vqp_shape_text(&s, have_text), vqp_shape_text(&want, want_text));
        if (__builtin_add_overflow(c->out.dim[axis], s.dim[axis], &c->out.dim[axis]))
            FAIL("the output would be larger than memory can be");
    }
    return 0;
}

static int slice(struct vqp_infer *c)
{
    uint32_t axis = c->op->u.axis.axis, start = c->op->u.axis.start, count = c->op->u.axis.count;
    if (check_axis(c))
        return VQP_E_SHAPE;
    if (!count || (int64_t)start + count > c->out.dim[axis])
        FAIL("%u entries from %u on, of %" PRId64 " along axis %u", count, start, c->out.dim[axis], axis);
    c->out.dim[axis] = count;
    return 0;
}

static int permute(struct vqp_infer *c)
{
    const struct vqp_shape *x = &c->in[0]->shape;
    uint32_t seen = 0;
    c->out.rank = x->rank;
    for (uint32_t i = 0; i < x->rank; i++) {
        uint32_t from = c->op->u.permute.perm[i];
        if (from >= x->rank || (seen & 1u << from))
            FAIL("perm[%u] is %u: not a permutation of %u axes", i, from, x->rank);
        seen |= 1u << from;
        c->out.dim[i] = x->dim[from];
    }
    return 0;
}

static int reduce(struct vqp_infer *c)
{
    if (check_axis(c) || (c->op->kind == VQP_OP_ARG_MAX && check_index(c, c->out.dim[c->op->u.axis.axis])))
        return VQP_E_SHAPE;
    c->out.dim[c->op->u.axis.axis] = 1;
    return 0;
}

static int sort_k(struct vqp_infer *c)
{
    uint32_t k = c->op->u.axis.count;
    if (!k || k > c->dim['D'])
        FAIL("k is %u, expected 1 to %" PRId64, k, c->dim['D']);
    c->dim['K'] = k;
    return check_index(c, c->dim['D']);
}

/* GATHER and SCATTER: the index reaches no further than in[0] but along the axis. */
static int check_reach(struct vqp_infer *c)
{
    if (check_axis(c))
        return VQP_E_SHAPE;
    const struct vqp_shape *index = &c->in[1]->shape;
    char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
    int fits = index->rank == c->out.rank;
    for (uint32_t i = 0; fits && i < index->rank; i++)
        fits = i == c->op->u.axis.axis || index->dim[i] <= c->out.dim[i];
    if (!fits)
        FAIL("index is %s, expected within %s but along axis %u", vqp_shape_text(index, have),
             vqp_shape_text(&c->out, want), c->op->u.axis.axis);
    return 0;
}

static int gather(struct vqp_infer *c)
{
    if (check_reach(c))
        return VQP_E_SHAPE;
    c->out = c->in[1]->shape;
    return 0;
}

static int scatter(struct vqp_infer *c)
{
    char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
    if (check_reach(c))
        return VQP_E_SHAPE;
    if (!vqp_shape_equal(&c->in[1]->shape, &c->in[2]->shape))
        FAIL("src is %s, expected %s as index", vqp_shape_text(&c->in[2]->shape, have),
             vqp_shape_text(&c->in[1]->shape, want));
    return 0;
}

#define PLAIN(kind) [VQP_OP_##kind - VQP_OP_ADD]
static const struct vqp_op_rule plain[] = {
    PLAIN(ADD) = {"add", "a:a b:a", "t", broadcast},
    PLAIN(SUB) = {"sub", "a:a b:a", "t", broadcast},
    PLAIN(MUL) = {"mul", "a:a b:a", "t", broadcast},
    PLAIN(DIV) = {"div", "a:W b:W", "f", broadcast},
    PLAIN(MAX) = {"max", "a:a b:a", "t", broadcast},
    PLAIN(MIN) = {"min", "a:a b:a", "t", broadcast},
    PLAIN(EXP) = {"exp", "x:W[*]", "f[*]", NULL},
    PLAIN(LOG) = {"log", "x:W[*]", "f[*]", NULL},
    PLAIN(SQRT) = {"sqrt", "x:W[*]", "f[*]", NULL},
    PLAIN(RSQRT) = {"rsqrt", "x:W[*]", "f[*]", NULL},
    PLAIN(SIGMOID) = {"sigmoid", "x:W[*]", "f[*]", NULL},
    PLAIN(COMPARE) = {"compare", "a:t b:t", "i", compare},
    PLAIN(WHERE) = {"where", "cond:i a:t b:t", "t", broadcast},
    PLAIN(CAST) = {"cast", "x:x[*]", "t[*]", cast},
    PLAIN(CONCAT) = {"concat", "in0:t in1?:t in2?:t in3?:t in4?:t in5?:t in6?:t in7?:t", "t", concat},
    PLAIN(SLICE) = {"slice", "x:t", "t", slice},
    PLAIN(PERMUTE) = {"permute", "x:t", "t", permute},
    PLAIN(REDUCE_SUM) = {"reduce_sum", "x:f", "f", reduce},
    PLAIN(REDUCE_MAX) = {"reduce_max", "x:f", "f", reduce},
    PLAIN(ARG_MAX) = {"arg_max", "x:f", "i", reduce},
    PLAIN(SOFTMAX) = {"softmax", "x:f", "f", check_axis},
    PLAIN(CUMSUM) = {"cumsum", "x:f", "f", check_axis},
    PLAIN(SORT_K) = {"sort_k", "x:f[*,D]", "f[*,K] i[*,K]", sort_k},
    PLAIN(GATHER) = {"gather", "x:t index:i", "t", gather},
    PLAIN(SCATTER) = {"scatter", "base:t index:i src:t", "t", scatter},
};
_Static_assert(sizeof plain / sizeof *plain == VQP_OP_PLAIN_END - VQP_OP_ADD, "every plain op has a rule");

const struct vqp_op_rule *vqp_op_rule(uint32_t kind)
{
    if (kind > 0 && kind < VQP_OP_FUSED_END)
        return &fused[kind];
    return kind >= VQP_OP_ADD && kind < VQP_OP_PLAIN_END ? &plain[kind - VQP_OP_ADD] : NULL;
}
