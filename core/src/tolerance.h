/* How far a backend's result of an op may be off: for tests/ops and for --compare. */
#ifndef VQP_TOLERANCE_H
#define VQP_TOLERANCE_H
#include <stdint.h>

/* Relative to the larger of the exact element and the root mean square of the exact result; 0: exact. precision: "f32", "f16" or "bf16". */
double vqp_op_tolerance(uint32_t kind, const char *precision);

/* Two classes of a draw whose scores are closer than this, or a sum of probabilities that is as close to the truncation rate, are a
 * near-tie: which of them wins is a matter of the last bits (docs/numerics.md). */
#define VQP_NEAR_TIE 1e-4

#endif
