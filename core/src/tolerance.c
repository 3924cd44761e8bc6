#include "tolerance.h"
#include <string.h>
#include <vqpipe/ops.h>

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
    {VQP_OP_GUMBEL, 5e-6, 5e-6, 5e-6},
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

double vqp_op_tolerance(uint32_t kind, const char *precision)
{
    for (size_t i = 0; i < sizeof tolerances / sizeof *tolerances; i++)
        if (tolerances[i].kind == kind)
            return !strcmp(precision, "bf16")  ? tolerances[i].bf16
                   : !strcmp(precision, "f16") ? tolerances[i].f16
                                               : tolerances[i].f32;
    return 0;
}
