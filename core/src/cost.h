/* What an op costs: arithmetic and memory traffic, from its shapes alone. docs/bench.md explains the numbers. */
#ifndef VQP_COST_H
#define VQP_COST_H
#include <vqpipe/ops.h>

struct vqp_cost {
    /* A multiplication and the addition that follows it are two; so is each on its own. exp, log, erf, sqrt, a division and a
     * comparison are one each. */
    double flops;
    int products; /* the flops are those of matrix products alone: LINEAR, CONV2D, SDPA */
    /* Each operand and result once, in the dtype in which the program holds it; of a table only the rows that are taken. */
    double bytes;
};
/* Formulas, with n = elements of the output:
 *   linear        2 n I                        conv2d     2 n (I/g) kh kw, padding and upsampled pixels counted as any others
 *   sdpa          4 H d (pairs of a query and a key it sees): causal N(N+1)/2 pairs a batch row, else N M
 *                 bias, activation, residual, gate and the softmax are not counted: they are no products
 *   layer_norm    7 n, rms_norm 4 n            each with +1 n for a weight, +1 n for a bias, +3 n for a table
 *   group_norm    7 n +1 n for a weight, +1 n for a bias, +4 n for an activation     l2_norm 3 n
 *   embedding     n with pos, else 0           nearest_code  3 (elements of x) C     rope  3 n
 *   guide_log_softmax  4 an element of logits, and with guide 7 n more               truncate  3 n
 *   posterior_sample   24 an element of logp   categorical_sample  6 an element of logp
 *   select_top_k, sort_k, arg_max, reduce_*, cumsum: one an element of the input     softmax, gumbel 4 n
 *   to_rgb 3 n    other element-wise ops n     what only moves data 0
 * Random bits, sorting and indexing are not counted. */
struct vqp_cost vqp_op_cost(const struct vqp_program_view *p, uint32_t i);
/* The sum over a program's ops. */
struct vqp_cost vqp_program_cost(const struct vqp_program_view *p);

#endif
