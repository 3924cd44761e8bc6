/* The rules of all ops, held by verify_ops.c and read by verify.c. */
#ifndef VQP_VERIFY_OPS_H
#define VQP_VERIFY_OPS_H
#include "builder.h"

/* One op under examination. */
struct vqp_infer {
    const struct vqp_op *op;
    const struct vqp_op_rule *rule;
    const struct vqp_val_info *in[VQP_OP_MAX_IN]; /* NULL where an operand is absent */
    int64_t dim[128];                             /* what each letter of the signature stands for; 0: nothing yet */
    struct vqp_shape lead;                        /* what "*" stands for */
    int lead_known, stage;                        /* stage: how often `check` ran before */
    uint32_t dtype;                               /* the one dtype of t, a, s and x operands */
    struct vqp_shape out;                         /* shape of outputs whose signature gives none; set by `check` */
    struct vqp_error *err;
};

/* The rule of an op, as a signature and a function for what a signature cannot say.
 *
 *   in    "x:f[*,I] weight:w[O,I] gate?:f[O]|[*,O]": operands in order, "?" where optional, each with a type and, in
 *         brackets, its shapes. A letter stands for one dimension, equal wherever it appears; "*" for any number of
 *         them; no brackets: any shape. ";" runs `check` at that place, so that it can set letters for what follows.
 *   out   the same without names. No brackets: the shape that `check` has left in `out`.
 *
 *   f f32    i i32    u u8    w weight or f32 constant    W f32 or weight
 *   t f32 or i32    a f32, i32 or weight (counts as f32)    s f32, i32 or u8    x f32, i32, u8 or weight
 *   Operands marked t, a, s or x share one dtype, and a t among the outputs is that dtype. */
struct vqp_op_rule {
    const char *name, *in, *out;
    int (*check)(
        struct vqp_infer *c); /* 0, or what vqp_infer_fail returned; without a ";" it runs after all operands */
};
const struct vqp_op_rule *vqp_op_rule(uint32_t kind); /* NULL where unknown */

/* Writes "NAME: ..." and returns VQP_E_SHAPE. */
__attribute__((format(printf, 2, 3))) int vqp_infer_fail(struct vqp_infer *c, const char *fmt, ...);

#endif
