#include "ops.h"
#include <math.h>

/* By op, at the precisions f32, f16 and bf16. The last two are for backends that keep weights and operands of matrix products in
 * that format; other ops compute in float32 at any precision. 0: exact. docs/ops.md has the same numbers. */
static const struct {
    uint32_t kind;
    double f32, f16, bf16;
} tolerances[] = {
    {VQP_OP_EMBEDDING, 1e-6, 2e-3, 2e-2},
    {VQP_OP_LINEAR, 1e-5, 4e-3, 3e-2},
    {VQP_OP_LAYER_NORM, 1e-5, 1e-5, 1e-5},
    {VQP_OP_RMS_NORM, 1e-5, 1e-5, 1e-5},
    {VQP_OP_SDPA, 1e-5, 4e-3, 3e-2},
    {VQP_OP_CONV2D, 1e-5, 4e-3, 3e-2},
    {VQP_OP_GROUP_NORM, 1e-5, 1e-5, 1e-5},
    {VQP_OP_L2_NORM, 2e-6, 2e-6, 2e-6},
    {VQP_OP_CODEBOOK, 0, 2e-3, 2e-2},
    {VQP_OP_ROPE, 1e-6, 1e-6, 1e-6},
    {VQP_OP_GUIDE_LOG_SOFTMAX, 1e-5, 1e-5, 1e-5},
    {VQP_OP_DIV, 1e-6, 1e-6, 1e-6},
    {VQP_OP_EXP, 5e-6, 5e-6, 5e-6},
    {VQP_OP_LOG, 5e-6, 5e-6, 5e-6},
    {VQP_OP_SQRT, 1e-6, 1e-6, 1e-6},
    {VQP_OP_RSQRT, 1e-6, 1e-6, 1e-6},
    {VQP_OP_SIGMOID, 5e-6, 5e-6, 5e-6},
    {VQP_OP_REDUCE_SUM, 5e-6, 5e-6, 5e-6},
    {VQP_OP_SOFTMAX, 5e-6, 5e-6, 5e-6},
    {VQP_OP_CUMSUM, 5e-6, 5e-6, 5e-6},
};

static double tolerance(uint32_t kind)
{
    for (size_t i = 0; i < sizeof tolerances / sizeof *tolerances; i++)
        if (tolerances[i].kind == kind) {
            const char *p = ops_target.precision;
            return !strcmp(p, "bf16") ? tolerances[i].bf16 : !strcmp(p, "f16") ? tolerances[i].f16 : tolerances[i].f32;
        }
    return 0;
}

void ops_close(uint32_t kind, const float *got, const double *want, uint64_t n)
{
    double squares = 0, allowed = tolerance(kind);
    for (uint64_t i = 0; i < n; i++)
        squares += want[i] * want[i];
    double rms = sqrt(squares / (double)n);
    for (uint64_t i = 0; i < n; i++) {
        double scale = fabs(want[i]) > rms ? fabs(want[i]) : rms;
        if (fabs((double)got[i] - want[i]) <= allowed * scale)
            continue;
        printf("\n    %s: element %llu of %llu is %.9g, expected %.9g; off by %.2g of %.3g, allowed %.2g",
               vqp_op_name(kind), (unsigned long long)i, (unsigned long long)n, (double)got[i], want[i],
               fabs((double)got[i] - want[i]) / scale, scale, allowed);
        CU_FAIL("out of tolerance");
        return;
    }
}

void ops_equal_f32(const char *what, const float *got, const double *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (got[i] == (float)want[i] || (isnan(got[i]) && isnan(want[i])))
            continue;
        printf("\n    %s: element %llu of %llu is %.9g, expected %.9g", what, (unsigned long long)i,
               (unsigned long long)n, (double)got[i], want[i]);
        CU_FAIL("not equal");
        return;
    }
}

void ops_equal_i32(const char *what, const int32_t *got, const int32_t *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (got[i] == want[i])
            continue;
        printf("\n    %s: element %llu of %llu is %d, expected %d", what, (unsigned long long)i, (unsigned long long)n,
               got[i], want[i]);
        CU_FAIL("not equal");
        return;
    }
}

int ops_is_best(const double *score, int64_t n, int64_t got, double margin)
{
    if (got < 0 || got >= n)
        return 0;
    for (int64_t k = 0; k < n; k++)
        if (score[k] > score[got] + margin)
            return 0;
    return 1;
}
