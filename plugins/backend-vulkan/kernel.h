/* What an op of the Vulkan backend sees: kernels, dispatches, and the plan that it adds them to. No Vulkan here.
 *
 * op_NAME.c turns one op of a program into dispatches of kernels from shaders/NAME.comp:
 *     struct vk_dispatch d = {.kernel = &vk_kernel_add};
 *     vk_bind(&d, vk_value(plan, op->in[0]));                 binding 0, 1, ...: storage buffers in set 0, in this order
 *     vk_bind_result(&d, vk_value(plan, op->out[0]));
 *     vk_constant(&d, ...); vk_push(&d, &shape, sizeof shape); d.groups[0] = ...;
 *     return vk_emit(plan, &d);
 * Kernels NAME_texel read through texel buffers, four elements a fetch, and bind all but their one result, the last, by vk_bind_texels().
 * Shaders mark what they only read "readonly": the rest counts as written. The plan sorts out the rest: descriptor sets, pipelines,
 * barriers, submissions. A program is recorded once and replayed, so that nothing here may depend on the contents of a buffer. */
#ifndef VQP_VULKAN_KERNEL_H
#define VQP_VULKAN_KERNEL_H
#include <string.h>
#include <vqpipe/ops.h>

#define VK_MAX_BINDINGS 12
#define VK_MAX_SPEC     24
#define VK_MAX_PUSH     128 /* bytes: what every device has */
/* llvmpipe ends all loops of an invocation, without a word, once they have turned so often in all (its LP_MAX_TGSI_LOOP_ITERATIONS): the
 * results would be wrong. It counts the look at the condition that ends a loop too, and not what it unrolls: up to 32 turns. */
#define VK_CPU_TURNS 65535

/* One SPIR-V module, entry point "main". The build makes one for each shader and variant, and kernels.h, which declares them all:
 * vk_kernel_NAME or vk_kernel_NAME_VARIANT. */
struct vk_kernel {
    const char *name;
    const uint32_t *words;
    uint32_t bytes;
};
extern const struct vk_kernel *const vk_kernels[]; /* every one, NULL at the end */

/* What this device can do, after VQPIPE_VK_DISABLE. A shader uses nothing that is 0 here. */
struct vk_coopmat {
    uint32_t m, n, k; /* f16 x f16 + f32 -> f32 in subgroup scope */
};
struct vk_caps {
    uint32_t is_cpu;        /* a driver that runs on the processor: no shared memory, few barriers */
    uint32_t subgroup_size; /* what pipelines get; 0: do without subgroup operations */
    uint32_t subgroup_arithmetic, subgroup_shuffle;
    uint32_t texels;                        /* in a texel buffer, 0: kernels NAME_texel are not worth it here */
    uint32_t full_subgroups;                /* local_size_x a multiple of subgroup_size fills each subgroup */
    uint32_t f16_storage, f16_math;         /* float16_t in buffers; arithmetic on it */
    uint32_t f16_pairs;                     /* float16 kept in pairs in uints: every device, where it is not disabled */
    uint32_t shared_bytes;                  /* shared memory of a work group */
    uint32_t max_invocations, max_local[3]; /* of a work group */
    uint32_t max_groups[3];                 /* of a dispatch */
    uint32_t cores;                         /* compute units where the driver tells, else 0 */
    uint32_t n_coopmat;
    struct vk_coopmat coopmat[16];
    uint32_t coopmat_khr; /* 1: VK_KHR_cooperative_matrix, 0: VK_NV_cooperative_matrix */
};

struct vk_plan;

/* What a binding is. Storage of any operand begins at a multiple of 256 bytes, and may be read and written up to the next
 * multiple of 16 bytes beyond its end (what is there means nothing). */
enum {
    VK_NONE = 0, /* an absent optional operand: some bytes that the shader must not depend on */
    VK_VALUE,    /* index: a value of the program, not a weight */
    VK_WEIGHT,   /* index: what vk_weight() gave */
    VK_SCRATCH,  /* index: what vk_scratch() gave */
};
struct vk_operand {
    uint32_t kind, index;
};

struct vk_dispatch {
    const struct vk_kernel *kernel;
    uint32_t n, writes; /* bindings; bit i: binding i is written (reading it too is allowed) */
    struct vk_operand operands[VK_MAX_BINDINGS];
    uint32_t texels, texel_dtype[VK_MAX_BINDINGS]; /* texels: all but the last binding are texel buffers, of these */
    uint32_t n_spec, spec[VK_MAX_SPEC];            /* specialization constants 0, 1, ...; floats by their bits */
    uint32_t push_bytes;                           /* a multiple of 4 */
    uint32_t push[VK_MAX_PUSH / 4];
    uint32_t groups[3]; /* 0 in y or z means 1; within caps->max_groups: vk_spread() */
    uint32_t
        subgroup_size; /* 0: the device's own; else required of the pipeline (caps->full_subgroups), with full subgroups */
    uint64_t work;     /* rough count of multiply-adds, for bounding submissions; 0: from the bytes that are bound */
    uint64_t turns;    /* what the loops of one invocation turn at most, all together (VK_CPU_TURNS); 0: few */
};

/* ---- building a dispatch ---- */

static inline void vk_bind(struct vk_dispatch *d, struct vk_operand o)
{
    d->operands[d->n++] = o;
}
/* dtype: as it is stored there, VQP_F32, VQP_F16, VQP_I32 or VQP_Q8_0; the shader sees a samplerBuffer, or for the last two an
 * isamplerBuffer. */
static inline void vk_bind_texels(struct vk_dispatch *d, struct vk_operand o, uint32_t dtype)
{
    d->texels = 1;
    d->texel_dtype[d->n] = dtype;
    vk_bind(d, o);
}
static inline void vk_bind_result(struct vk_dispatch *d, struct vk_operand o)
{
    d->writes |= 1u << d->n;
    vk_bind(d, o);
}
static inline void vk_constant(struct vk_dispatch *d, uint32_t value)
{
    d->spec[d->n_spec++] = value;
}
static inline void vk_push(struct vk_dispatch *d, const void *data, uint32_t bytes)
{
    memcpy((char *)d->push + d->push_bytes, data, bytes);
    d->push_bytes += bytes;
}
/* Spreads n work groups over x and y; the shader finds its own as gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x and
 * returns where that is n or more. */
static inline void vk_spread(struct vk_dispatch *d, uint64_t n)
{
    uint64_t rows = (n + 32767) / 32768;
    d->groups[0] = (uint32_t)((n + (rows ? rows : 1) - 1) / (rows ? rows : 1));
    d->groups[1] = (uint32_t)(rows ? rows : 1);
}

/* ---- the plan ---- */

const struct vk_caps *vk_caps(const struct vk_plan *plan);
/* The program's precision: 1 for f16. */
uint32_t vk_f16(const struct vk_plan *plan);
/* How a value is stored: VQP_F32, VQP_I32, VQP_U8; VQP_F16 for a temporary whose every reader and writer said so in its struct vk_op,
 * and whose last axis is a multiple of 4 in every view of it; for a weight or constant its own dtype. */
uint32_t vk_stored(const struct vk_plan *plan, vqp_val v);
/* 1 where a WEIGHT or CONSTANT in float16 has no infinity that it does not have as stored: else it stays float32. */
uint32_t vk_fits_f16(struct vk_plan *plan, vqp_val v);
/* 1 where this device and driver compute what they should with this kernel (selftest.c): asked before it is chosen. */
int32_t vk_usable(struct vk_plan *plan, const struct vk_kernel *kernel);
/* 1 in such a test. */
int32_t vk_on_trial(const struct vk_plan *plan);
/* A value (0: VK_NONE). Weights and constants come in the form of vk_weight(): as f32. */
struct vk_operand vk_value(struct vk_plan *plan, vqp_val v);
/* The dtype of what vk_value() gives: weights in 16 bits come as float32. */
uint32_t vk_value_dtype(const struct vk_plan *plan, vqp_val v);
/* A WEIGHT or CONSTANT on the device in another form; 0: VK_NONE. Uploaded once for each address and form, whatever the number
 * of programs. */
struct vk_form {
    uint32_t dtype;   /* VQP_F32, VQP_F16; 0: as stored (bf16 and q8_0 too) */
    uint32_t permute; /* 1: axes in the order of perm, as numpy.transpose */
    uint8_t perm[4];
};
struct vk_operand vk_weight(struct vk_plan *plan, vqp_val v, const struct vk_form *form);
/* Memory of this op alone, undefined at its start; several calls give disjoint pieces. */
struct vk_operand vk_scratch(struct vk_plan *plan, uint64_t bytes);
/* Appends; dispatches run in order wherever one reads or writes what another writes, at once where not. The first failure of any
 * of these calls is kept and comes out here or at the end of the op. */
vqp_status vk_emit(struct vk_plan *plan, const struct vk_dispatch *d);

/* A way to do an op, the fastest first; the last one does it everywhere. Adds its dispatches and returns 1, or returns 0 where it is not
 * for this op or device. */
typedef int32_t (*vk_tier)(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i);
/* Offers the op to `tiers` (NULL at the end) until one takes it. */
vqp_status vk_offer(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const vk_tier *tiers,
                    struct vqp_error *err);

/* ---- the ops: ops.c ---- */

typedef vqp_status (*vk_op_fn)(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i,
                               struct vqp_error *err);
struct vk_op {
    vk_op_fn emit; /* vk_op_NAME of op_NAME.c; NULL: this backend lacks it */
    int32_t (*supports)(const struct vk_caps *caps, const struct vqp_program_view *p, uint32_t i); /* NULL: always */
    uint32_t f16_in, f16_out;    /* bit k: with precision f16, in[k] or out[k] may be stored as f16 */
    const struct vk_kernel *f16; /* the kernel that every device can read and write these with */
    int32_t (*f16_fits)(const struct vqp_program_view *p, uint32_t i); /* NULL: always */
};
extern const struct vk_op vk_ops[VQP_OP_PLAIN_END];

#endif
