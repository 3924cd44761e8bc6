/* Sealed programs: how components describe their work and how backends receive it.
 *
 * A component never calls a backend. It records a straight line of ops through the builder below; the host infers and checks
 * every shape as it is recorded, plans memory, seals the list and hands it to a backend once. ops.h has the ops, their
 * formulas and one inline function for each. */
#ifndef VQPIPE_PROGRAM_H
#define VQPIPE_PROGRAM_H
#include "base.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t vqp_val; /* index into a program's values; 0 is "none", and what every call returns after a failure */
typedef struct vqp_program vqp_program;

#define VQP_OP_MAX_IN  8
#define VQP_OP_MAX_OUT 2

/* One op: 112 bytes for the whole life of ABI major 1. Constants only; what varies from run to run is an input value.
 * kind and the meaning of in[], out[] and u: ops.h. */
struct vqp_op {
    uint32_t kind, flags; /* flags: 0; a backend answers "unsupported" to any bit it does not know */
    vqp_val in[VQP_OP_MAX_IN], out[VQP_OP_MAX_OUT];
    union {
        struct {
            uint32_t act;
        } linear;
        struct {
            float eps;
            uint32_t groups, act;
        } norm;
        struct {
            float scale;
            uint32_t heads, causal;
        } sdpa;
        struct {
            uint16_t stride, groups, pad_top, pad_left, pad_bottom, pad_right;
            uint32_t act, upsample;
        } conv;
        struct {
            uint32_t factor;
        } pixel_shuffle;
        struct {
            uint32_t heads, interleaved;
        } rope;
        struct {
            float floor;
        } truncate;
        struct {
            uint32_t stream;
        } sample;
        struct {
            uint32_t times, tile;
        } repeat;
        struct {
            uint32_t cmp;
        } compare;
        struct {
            uint32_t dtype;
        } cast;
        struct {
            uint32_t axis, start, count;
        } axis; /* concat, slice, reduce_*, arg_max, softmax, cumsum, gather, scatter; sort_k uses count */
        struct {
            uint8_t perm[8];
        } permute;
        uint32_t raw[16];
    } u;
};

/* Roles say who owns a value's storage. */
enum {
    VQP_VAL_TEMP = 0, /* in the program's arena, at arena_offset; undefined between runs */
    VQP_VAL_INPUT,    /* a bound buffer that is only read */
    VQP_VAL_WEIGHT, /* `data` points into a mapped file, valid while the pipeline lives; its address is its identity */
    VQP_VAL_STATE,  /* a bound buffer that STORE and ADVANCE write; keeps its value from run to run */
    VQP_VAL_OUTPUT, /* a bound buffer that the program writes */
    VQP_VAL_CONSTANT, /* `data` is valid during compile only */
};
struct vqp_val_info {
    uint32_t dtype, role;
    struct vqp_shape shape;
    uint64_t bytes, arena_offset;
    const void *data;
    const char *name; /* of an input, weight, state or output; else NULL */
    vqp_val root;     /* the value whose storage this is: itself, or the value that it is a view of (never a view) */
    uint32_t reserved0;
    uint64_t reserved[3];
};

/* Verified, planned, read-only. Lives as long as its host says: for compile(), during the call. */
struct vqp_program_view {
    uint32_t struct_size, n_vals, n_ops, reserved;
    const char *name;                /* "prepare", "step", "finish"; with several pieces "step.1" */
    const struct vqp_val_info *vals; /* index with vqp_val; vals[0] is unused */
    const struct vqp_op *ops;        /* in execution order */
    const char *const *op_scope;     /* for each op the scope it was recorded in: "denoiser/blocks.7/attn2" */
    uint64_t arena_bytes;            /* offsets are multiples of 256 */
};

/* Work that a component does itself, in plain C on host memory: a sampler or a filter of a third party, written before anybody makes
 * an op of it.
 *
 * fn gets in[0..n_in-1], host copies of the values that call named (dtype, shape, bytes, data; 8-byte aligned; a weight as it is in its
 * file), and out[0..n_out-1], zeroed room before the first call, of which it writes every element each time. [pipeline-thread], once each
 * time the program gets there, never two at once; state of its own belongs into `self`. What it does must not depend on the number of
 * host threads. In anything longer than some 50 ms it polls host->cancelled and returns VQP_E_CANCELLED. Otherwise it returns VQP_OK, or a
 * negative status with the sentence in *err, which core shows with the component and the scope before it; the run then ends. */
typedef vqp_status (*vqp_host_fn)(void *self, const struct vqp_tensor_view *in, void *const *out,
                                  struct vqp_error *err);
struct vqp_host_call {
    uint32_t struct_size, n_in, n_out, reserved; /* n_in, n_out: at most VQP_OP_MAX_IN, VQP_OP_MAX_OUT; may be 0 */
    const char *name;                            /* what it does, for messages and `vqpipe program`; copied */
    vqp_host_fn fn;
    void *self; /* fn's first argument; lives as long as the component */
    vqp_val in[VQP_OP_MAX_IN];
    uint32_t out_dtype[VQP_OP_MAX_OUT]; /* f32, i32 or u8 */
    struct vqp_shape out_shape[VQP_OP_MAX_OUT];
};

/* How components record. [pipeline-thread], and only inside a record_* call. Shapes are inferred and checked at every
 * call. The first failure is kept, with the scope path, and turns the rest into no-ops that return 0: recording code needs
 * no `if` per line. Names are private to the component (core prefixes them), but for names that begin with "cond.". */
struct vqp_program_api {
    uint32_t struct_size, reserved;
    /* A value that the host uploads before runs. Recorded by core; a component rarely needs it. */
    vqp_val (*input)(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s);
    /* What an earlier record_* call of this component gave to output() under `name`, or a conditioning value "cond.NAME". */
    vqp_val (*link)(vqp_program *p, const char *name);
    /* Data known while recording; copied. */
    vqp_val (*constant)(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s, const void *data);
    /* A value that survives from step to step; set to `init` (copied; NULL = zeros) when a run starts. */
    vqp_val (*state)(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s, const void *init);
    /* A tensor in the files at the component's `path`; "OPTION:NAME" at the folder of its PATH option OPTION. A missing
     * one fails with the folder and the nearest name. */
    vqp_val (*weight)(vqp_program *p, const char *name);
    /* 1 if weight(name) would find it; never fails. */
    int32_t (*has_weight)(vqp_program *p, const char *name);
    /* The same bytes with another shape (equal element counts). */
    vqp_val (*view)(vqp_program *p, vqp_val v, const struct vqp_shape *s);
    /* dtype and shape of a value; never NULL: of 0, rank 0 and dtype 0. Valid until the next recording call. */
    const struct vqp_val_info *(*describe)(vqp_program *p, vqp_val v);
    /* Appends the op, fills op->out and returns out[0]. */
    vqp_val (*emit)(vqp_program *p, struct vqp_op *op);
    /* Gives `v` out under `name`, for link() in later programs. */
    void (*output)(vqp_program *p, const char *name, vqp_val v);
    /* Opens a scope for messages, dumps and profiles; NULL closes the innermost one. */
    void (*scope)(vqp_program *p, const char *name);
    /* The component's own refusal; poisons like any other. */
    void (*fail)(vqp_program *p, vqp_status code, const char *msg);
    /* Records a call of c->fn at this place, which is never dropped; writes its outputs to out[0..n_out-1] (may be NULL) and returns
     * out[0]. Core cuts the program here: what is before and after runs on the component's backend, and the values that cross are copied
     * through host memory each time, so that steps no longer run in groups. Works with every backend, which knows nothing of it. */
    vqp_val (*host_call)(vqp_program *p, const struct vqp_host_call *c, vqp_val *out);
};

#ifdef __cplusplus
}
#endif
#endif
