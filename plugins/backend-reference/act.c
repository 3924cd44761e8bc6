#include "reference.h"
#include <math.h>

double vqp_ref_act(uint32_t act, double v)
{
    switch (act) {
    case VQP_ACT_GELU_ERF: return v * (1 + erf(v * 0.70710678118654752440)) / 2;
    case VQP_ACT_GELU_SIGMOID: return v / (1 + exp(-1.702 * v));
    case VQP_ACT_SILU: return v / (1 + exp(-v));
    default: return v;
    }
}
