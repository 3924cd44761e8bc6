/* Where two backends may give different integers, or cut different classes: the last bits of a score decide there. */
#ifndef VQP_NEAR_TIE_H
#define VQP_NEAR_TIE_H
#include <vqpipe/ops.h>

struct vqp_choice {
    const struct vqp_program_view *program;
    const struct vqp_op *op;
    void *const *values; /* by root value, as in one_op.h; of weights and constants the data */
    uint64_t at;         /* the element of result 0 that differs */
    double first, second;
};
/* 1 where both answers are as good, by the op's own formula in double:
 *   posterior_sample, categorical_sample: the scores of the two classes are closer than 1e-4
 *   truncate: one of them cut the class, and the likelier classes sum to the rate within 1e-4
 *   nearest_code: the two squared distances are equal to 1e-5 of |x|^2 + |c|^2
 *   to_rgb: neighbouring levels, and 255 x within 1e-3 of the half between them
 * and never for another op. */
int vqp_near_tie(const struct vqp_choice *c);

#endif
