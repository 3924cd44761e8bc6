#include "ops.h"
#include <math.h>

double formula_binary(uint32_t kind, double a, double b)
{
    switch (kind) {
    case VQP_OP_ADD: return a + b;
    case VQP_OP_SUB: return a - b;
    case VQP_OP_MUL: return a * b;
    case VQP_OP_DIV: return a / b;
    case VQP_OP_MAX: return isnan(a) || isnan(b) ? NAN : fmax(a, b);
    default: return isnan(a) || isnan(b) ? NAN : fmin(a, b);
    }
}

double formula_unary(uint32_t kind, double v)
{
    switch (kind) {
    case VQP_OP_EXP: return exp(v);
    case VQP_OP_LOG: return log(v);
    case VQP_OP_SQRT: return sqrt(v);
    case VQP_OP_RSQRT: return pow(v, -0.5);
    default: return 1 / (1 + exp(-v));
    }
}

int32_t formula_compare(uint32_t cmp, double a, double b)
{
    int32_t results[] = {a == b, a != b, a<b, a <= b, a> b, a >= b};
    return results[cmp];
}

double formula_broadcast(const struct tensor *t, uint32_t rank, const int64_t *at)
{
    int64_t own[VQP_MAX_RANK] = {0};
    for (uint32_t i = 0; i < t->shape.rank; i++)
        own[i] = t->shape.dim[i] == 1 ? 0 : at[rank - t->shape.rank + i];
    return ops_at(t, formula_flat(&t->shape, own));
}

uint64_t formula_line(const struct tensor *x, uint32_t axis, uint64_t line, double *v, uint64_t *step)
{
    uint64_t n = (uint64_t)x->shape.dim[axis], inner = 1;
    for (uint32_t i = axis + 1; i < x->shape.rank; i++)
        inner *= (uint64_t)x->shape.dim[i];
    uint64_t first = line / inner * inner * n + line % inner;
    for (uint64_t j = 0; j < n; j++)
        v[j] = ops_at(x, first + j * inner);
    *step = inner;
    return first;
}

void formula_place(const struct vqp_shape *s, uint64_t k, int64_t at[VQP_MAX_RANK])
{
    for (uint32_t i = s->rank; i-- > 0;) {
        at[i] = (int64_t)(k % (uint64_t)s->dim[i]);
        k /= (uint64_t)s->dim[i];
    }
}

uint64_t formula_flat(const struct vqp_shape *s, const int64_t at[VQP_MAX_RANK])
{
    uint64_t k = 0;
    for (uint32_t i = 0; i < s->rank; i++)
        k = k * (uint64_t)s->dim[i] + (uint64_t)at[i];
    return k;
}
