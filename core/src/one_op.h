/* One op of a program, alone on a backend: its operands are bound buffers, whatever they were in the program. */
#ifndef VQP_ONE_OP_H
#define VQP_ONE_OP_H
#include "assembly.h"

/* The value that result k of an op is: out[k], and for STORE and ADVANCE the state that they write. 0: none. */
vqp_val vqp_one_op_result(const struct vqp_op *op, int k);
/* Runs op i of p on b. values[root] holds the bytes of every operand that is neither weight nor constant; results[k] has room for
 * result k. VQP_E_UNSUPPORTED where b lacks the op. */
vqp_status vqp_one_op_run(const struct vqp_backend_instance *b, const struct vqp_program_view *p, uint32_t i,
                          void *const *values, void *const results[VQP_OP_MAX_OUT], struct vqp_error *err);

#endif
