#include "host_backend.h"
#include <math.h>

/* Operands that broadcast: at every output element, where each operand's element is. */
struct cursor {
    int64_t at[3], step[3][VQP_MAX_RANK], index[VQP_MAX_RANK];
};

static struct cursor begin(const struct vqp_hb_node *n, uint32_t operands)
{
    struct cursor c = {0};
    for (uint32_t a = 0; a < operands; a++) {
        int64_t stride = 1;
        for (uint32_t k = 0; k < n->in[a].rank; k++) {
            int64_t dim = n->in[a].dim[n->in[a].rank - 1 - k];
            c.step[a][n->out[0].rank - 1 - k] = dim == 1 ? 0 : stride;
            stride *= dim;
        }
    }
    return c;
}

static void next(struct cursor *c, const struct vqp_hb_arg *out)
{
    for (uint32_t axis = out->rank; axis-- > 0;) {
        int wraps = ++c->index[axis] == out->dim[axis];
        for (int a = 0; a < 3; a++)
            c->at[a] += wraps ? c->step[a][axis] * (1 - out->dim[axis]) : c->step[a][axis];
        if (!wraps)
            return;
        c->index[axis] = 0;
    }
}

static float binary_f32(uint32_t kind, float a, float b)
{
    switch (kind) {
    case VQP_OP_ADD: return a + b;
    case VQP_OP_SUB: return a - b;
    case VQP_OP_MUL: return a * b;
    case VQP_OP_DIV: return a / b;
    case VQP_OP_MAX: return a > b || isnan(a) ? a : b;
    default: return a < b || isnan(a) ? a : b;
    }
}

static int32_t binary_i32(uint32_t kind, int32_t a, int32_t b) /* wraps around */
{
    switch (kind) {
    case VQP_OP_ADD: return (int32_t)((uint32_t)a + (uint32_t)b);
    case VQP_OP_SUB: return (int32_t)((uint32_t)a - (uint32_t)b);
    case VQP_OP_MUL: return (int32_t)((uint32_t)a * (uint32_t)b);
    case VQP_OP_MAX: return a > b ? a : b;
    default: return a < b ? a : b;
    }
}

VQP_HB_RUN(binary)
{
    (void)x;
    uint64_t count = n->out[0].count;
    if (n->out[0].dtype == VQP_F32 && n->in[0].count == count && (n->in[1].count == count || n->in[1].count == 1)) {
        for (uint64_t k = 0, one = n->in[1].count == 1; k < count; k++) /* the common cases need no cursor */
            n->out[0].f[k] = binary_f32(n->op.kind, n->in[0].f[k], n->in[1].f[one ? 0 : k]);
        return;
    }
    struct cursor c = begin(n, 2);
    for (uint64_t k = 0; k < count; k++, next(&c, &n->out[0])) {
        if (n->out[0].dtype == VQP_F32)
            n->out[0].f[k] = binary_f32(n->op.kind, n->in[0].f[c.at[0]], n->in[1].f[c.at[1]]);
        else
            n->out[0].i[k] = binary_i32(n->op.kind, n->in[0].i[c.at[0]], n->in[1].i[c.at[1]]);
    }
}

static double unary(uint32_t kind, double v)
{
    switch (kind) {
    case VQP_OP_EXP: return exp(v);
    case VQP_OP_LOG: return log(v);
    case VQP_OP_SQRT: return sqrt(v);
    case VQP_OP_RSQRT: return 1 / sqrt(v);
    default: return 1 / (1 + exp(-v)); /* sigmoid */
    }
}

VQP_HB_RUN(unary)
{
    (void)x;
    for (uint64_t k = 0; k < n->out[0].count; k++)
        n->out[0].f[k] = (float)unary(n->op.kind, (double)n->in[0].f[k]);
}

static int compare(uint32_t cmp, double a, double b) /* a double holds every f32 and every i32 */
{
    switch (cmp) {
    case VQP_CMP_EQ: return a == b;
    case VQP_CMP_NE: return a != b;
    case VQP_CMP_LT: return a < b;
    case VQP_CMP_LE: return a <= b;
    case VQP_CMP_GT: return a > b;
    default: return a >= b;
    }
}

VQP_HB_RUN(compare)
{
    (void)x;
    const struct vqp_hb_arg *a = &n->in[0], *b = &n->in[1];
    struct cursor c = begin(n, 2);
    for (uint64_t k = 0; k < n->out[0].count; k++, next(&c, &n->out[0]))
        n->out[0].i[k] = a->dtype == VQP_F32
                             ? compare(n->op.u.compare.cmp, (double)a->f[c.at[0]], (double)b->f[c.at[1]])
                             : compare(n->op.u.compare.cmp, (double)a->i[c.at[0]], (double)b->i[c.at[1]]);
}

VQP_HB_RUN(where)
{
    (void)x;
    struct cursor c = begin(n, 3);
    for (uint64_t k = 0; k < n->out[0].count; k++, next(&c, &n->out[0]))
        n->out[0].i[k] = n->in[0].i[c.at[0]] ? n->in[1].i[c.at[1]] : n->in[2].i[c.at[2]];
}

static double load(const struct vqp_hb_arg *a, uint64_t k)
{
    return a->dtype == VQP_F32 ? (double)a->f[k] : a->dtype == VQP_I32 ? (double)a->i[k] : (double)a->u[k];
}

static double saturate(double v, double low, double high)
{
    return isnan(v) ? 0 : v < low ? low : v > high ? high : v;
}

VQP_HB_RUN(cast)
{
    (void)x;
    for (uint64_t k = 0; k < n->out[0].count; k++) {
        double v = load(&n->in[0], k);
        switch (n->out[0].dtype) {
        case VQP_F32: n->out[0].f[k] = (float)v; break;
        case VQP_I32: n->out[0].i[k] = (int32_t)saturate(v, INT32_MIN, INT32_MAX); break;
        default: n->out[0].u[k] = (uint8_t)saturate(v, 0, UINT8_MAX); break;
        }
    }
}
