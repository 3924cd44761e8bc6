/* The program builder: what stands behind struct vqp_program_api, and what core does with a recorded program.
 *
 *   host_call  is kept among the ops under a kind of its own until cut.c takes the program apart; no backend sees it
 *   builder.c  values, names, scopes, the first error      verify.c  what every op requires and gives: the only copy of these rules
 *   plan.c     dead ops, liveness, arena offsets           dump.c    a sealed program as text */
#ifndef VQP_BUILDER_H
#define VQP_BUILDER_H
#include <vqpipe/ops.h>

enum {
    VQP_OP_HOST_CALL = 0xffff /* u.raw[0]: which of the program's calls */
};

/* What the builder asks of the pipeline. Failures are written to err without the scope, which the builder adds. */
struct vqp_builder_env {
    void *ctx;
    /* The tensor of that name at the recording component (see vqp_program_set_owner). */
    vqp_status (*weight)(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                         struct vqp_error *err);
    int32_t (*has_weight)(void *ctx, const char *owner, const char *name);
    /* dtype and shape of an output of an earlier program, `name` already prefixed. Nonzero *found: it becomes an input. */
    int32_t (*find)(void *ctx, const char *name, uint32_t *dtype, struct vqp_shape *shape);
};

/* `name`: the phase, first part of every scope. NULL only when memory is out. */
vqp_program *vqp_program_create(const char *name, const struct vqp_builder_env *env);
void vqp_program_destroy(vqp_program *p);

/* Whose recording follows: "denoiser"; prefix of names ("denoiser.kv") and second part of scopes. NULL: core's own, no prefix.
 * link(): first an output of this very program, then env.find. Names that begin with "cond." are never prefixed. */
void vqp_program_set_owner(vqp_program *p, const char *owner);
/* Values under a full (prefixed) name in this program: its output() values. 0 where there is none. */
vqp_val vqp_program_find_output(const vqp_program *p, const char *full_name);
/* Takes an output back: the value stays, the name is free again. Core does so with the text encoder's rows before it gives out "cond." */
vqp_val vqp_program_take_output(vqp_program *p, const char *full_name);

/* A status other than VQP_OK once anything failed; the sentence: "step/denoiser/blocks.7: linear: weight is [..], expected [..]". */
vqp_status vqp_program_error(const vqp_program *p, struct vqp_error *err);
/* Closes the program: drops ops nothing needs (no OUTPUT, STORE or ADVANCE depends on them), gives OUTPUT roles, plans the arena. An
 * output that is an input, weight, constant, state, or a view gets a copy. Recording into a sealed program is an error. */
vqp_status vqp_program_seal(vqp_program *p, struct vqp_error *err);
/* After seal; lives as long as p. */
const struct vqp_program_view *vqp_program_view(const vqp_program *p);
/* After seal, initial data of STATE value v (bytes of it), or NULL: zeros. */
const void *vqp_program_state_init(const vqp_program *p, vqp_val v);

/* Call i of the program, its name and outputs' shapes checked; in[] as recorded. Lives as long as p. */
const struct vqp_host_call *vqp_program_host_call(const vqp_program *p, uint32_t i);

extern const struct vqp_program_api vqp_program_api_table; /* what struct vqp_host hands out */

/* ---- verify.c --------------------------------------------------------------------------------------------------- */

const char *vqp_op_name(uint32_t kind); /* "layer_norm"; "op 99" never: "?" where unknown */
/* Checks op against vals[] (n_vals entries) and writes dtype and shape of its outputs. Returns the number of outputs, or a negative
 * status with err: "linear: weight is [1408,512], expected [1408,1024]". VQP_E_FORMAT where a weight's shape is at fault, VQP_E_SHAPE otherwise. */
int vqp_op_infer(const struct vqp_op *op, const struct vqp_val_info *vals, uint32_t n_vals,
                 uint32_t out_dtype[VQP_OP_MAX_OUT], struct vqp_shape out_shape[VQP_OP_MAX_OUT], struct vqp_error *err);

/* ---- plan.c ----------------------------------------------------------------------------------------------------- */

/* Removes dead ops in place and returns how many are left; UINT32_MAX when memory is out. */
uint32_t vqp_plan_drop_dead(struct vqp_op *ops, uint32_t n_ops, const struct vqp_val_info *vals, uint32_t n_vals);
/* Gives every TEMP root a 256-aligned arena_offset so that no two live at once overlap; views follow their root. */
vqp_status vqp_plan_arena(const struct vqp_op *ops, uint32_t n_ops, struct vqp_val_info *vals, uint32_t n_vals,
                          uint64_t *arena_bytes, struct vqp_error *err);

/* ---- dump.c ----------------------------------------------------------------------------------------------------- */

/* One line an op: "%12 f32[2,256,192] = linear %10, w:blocks.0.attn1.to_q.weight, ... act=silu   @ denoiser/blocks.0". */
void vqp_program_dump(const struct vqp_program_view *v, FILE *f);
/* "f32[2,256,192], f32[192,192] -> f32[2,256,192]": the operands and results of op i, cut at n - 1 bytes. Returns buf. */
char *vqp_op_shapes(const struct vqp_program_view *v, uint32_t i, char *buf, size_t n);

#endif
