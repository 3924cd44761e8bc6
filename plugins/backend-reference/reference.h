/* What the files of this backend share. Every op has one function; compile() resolves its operands to plain pointers and run()
 * calls the functions in order. Core has checked every shape before a program gets here, so nothing is checked twice. */
#ifndef VQP_REFERENCE_H
#define VQP_REFERENCE_H
#include <stdatomic.h>
#include <vqpipe/backend.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>

enum {
    VQP_REF_SLOTS = 64, /* most pieces that one loop is cut into: each has its own slice of the scratch memory */
    VQP_REF_ROWS = 4,   /* the matrix kernel's tile: rows of the input by output channels */
    VQP_REF_LANES = 16,
};

/* An operand or a result: dtype is F32, I32 or U8; but for an operand that a kernel packs itself (LINEAR, CONV2D weights), which
 * keeps its storage type. */
struct vqp_ref_arg {
    union {
        void *data; /* NULL: absent */
        float *f;
        int32_t *i;
        uint8_t *u;
    };
    uint32_t dtype, rank;
    int64_t dim[VQP_MAX_RANK];
    uint64_t count;
};

struct vqp_ref_exec;
struct vqp_ref_node {
    struct vqp_op op;
    struct vqp_ref_arg in[VQP_OP_MAX_IN], out[VQP_OP_MAX_OUT];
    const float *packed; /* the weight of LINEAR or CONV2D */
    float *own;          /* the same where it came from a CONSTANT, which has no place in the cache */
    void (*run)(struct vqp_ref_exec *x, const struct vqp_ref_node *n);
};

struct vqp_ref_exec {
    const struct vqp_host *host;
    struct vqp_ref_node *nodes;
    uint32_t n_nodes;
    atomic_int cancelled;
    unsigned char *arena, *constants, *scratch;
    uint64_t *ns; /* per op, of the last run */
};

/* ---- backend.c: how an op is run ---- */

struct vqp_ref_kind {
    void (*run)(struct vqp_ref_exec *x, const struct vqp_ref_node *n);
    uint64_t (*scratch)(const struct vqp_ref_node *n); /* bytes of scratch memory that run() needs; NULL: none */
};

/* ---- loop.c ---- */

/* Calls fn(ctx, item, slot) for every item, on the host's threads; calls with one slot never overlap. Polls for cancelling before
 * every item and skips the rest: items should take far less than 50 ms. */
void vqp_ref_for(struct vqp_ref_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot),
                 void *ctx);
/* Steps through an array of any rank: the axis given, what is outside it and what is inside. */
struct vqp_ref_axis {
    int64_t outer, n, inner;
};
struct vqp_ref_axis vqp_ref_axis(const struct vqp_ref_arg *a, uint32_t axis);
static inline int64_t vqp_ref_last(const struct vqp_ref_arg *a)
{
    return a->rank ? a->dim[a->rank - 1] : 1;
}
static inline int64_t vqp_ref_clamp(int64_t v, int64_t hi)
{
    return v < 0 ? 0 : v > hi ? hi : v;
}
double vqp_ref_act(uint32_t act, double v);
/* order[0..n-1] = the positions of v in descending order of value; lower positions first among equals, NaN last. */
void vqp_ref_sort(const float *v, uint32_t *order, uint32_t n);

/* ---- tile.c: the one hot kernel ---- */

static inline uint64_t vqp_ref_blocks(int64_t outs)
{
    return ((uint64_t)outs + VQP_REF_LANES - 1) / VQP_REF_LANES;
}
/* Floats of a packed matrix of `outs` x `ins`: blocks of VQP_REF_LANES outputs, [block][ins][lane], the last one filled with zeros. */
static inline uint64_t vqp_ref_packed(int64_t outs, int64_t ins)
{
    return vqp_ref_blocks(outs) * (uint64_t)ins * VQP_REF_LANES;
}
/* dst = the matrix whose entry (o, i) is element off + o*out_stride + i*in_stride of `src` (F32, F16 or BF16, of any alignment). */
void vqp_ref_pack(float *dst, const void *src, uint32_t dtype, int64_t outs, int64_t ins, int64_t off,
                  int64_t out_stride, int64_t in_stride);
/* acc[r][o] += sum over i of x[r][i] * block[i][o], in float over 64 terms at most, the partial sums in double. */
void vqp_ref_tile(const float *const x[VQP_REF_ROWS], const float *block, int64_t ins,
                  double acc[VQP_REF_ROWS][VQP_REF_LANES]);

/* The packed form of a weight [outs, ins, taps...], split into `groups` along outs: [group][tap][block][ins][lane]. */
struct vqp_ref_matrix {
    int64_t groups, outs, ins, taps; /* outs: of one group */
};
static inline uint64_t vqp_ref_matrix_floats(const struct vqp_ref_matrix *m)
{
    return (uint64_t)m->groups * (uint64_t)m->taps * vqp_ref_packed(m->outs, m->ins);
}
void vqp_ref_matrix_pack(float *dst, const void *src, uint32_t dtype, const struct vqp_ref_matrix *m);
struct vqp_ref_matrix vqp_ref_linear_matrix(const struct vqp_ref_node *n);
struct vqp_ref_matrix vqp_ref_conv2d_matrix(const struct vqp_ref_node *n);

/* ---- load.c ---- */

float vqp_ref_load(const void *data, uint32_t dtype, uint64_t i); /* element i as float32; any alignment */

/* ---- weights.c: float32 and packed copies of weights, found again by the address of their data ---- */

struct vqp_ref_weights;
struct vqp_ref_weights *vqp_ref_weights_create(void);
void vqp_ref_weights_destroy(struct vqp_ref_weights *w); /* accepts NULL */
void vqp_ref_weights_forget(struct vqp_ref_weights *w, const void *data);
/* NULL when memory is out. */
const float *vqp_ref_weights_f32(struct vqp_ref_weights *w, const void *data, uint32_t dtype, uint64_t count);
const float *vqp_ref_weights_packed(struct vqp_ref_weights *w, const void *data, uint32_t dtype,
                                    const struct vqp_ref_matrix *m);

/* ---- one function an op: op_*.c ---- */

#define VQP_REF_RUN(name)     void vqp_ref_##name(struct vqp_ref_exec *x, const struct vqp_ref_node *n)
#define VQP_REF_SCRATCH(name) uint64_t vqp_ref_##name##_scratch(const struct vqp_ref_node *n)
VQP_REF_RUN(embedding);
VQP_REF_RUN(linear);
VQP_REF_RUN(layer_norm); /* and rms_norm */
VQP_REF_RUN(sdpa);
VQP_REF_SCRATCH(sdpa);
VQP_REF_RUN(conv2d);
VQP_REF_SCRATCH(conv2d);
VQP_REF_RUN(group_norm);
VQP_REF_RUN(l2_norm);
VQP_REF_RUN(codebook);
VQP_REF_RUN(nearest_code);
VQP_REF_RUN(pixel_shuffle);
VQP_REF_RUN(rope);
VQP_REF_RUN(guide_log_softmax);
VQP_REF_RUN(truncate);
VQP_REF_SCRATCH(truncate);
VQP_REF_RUN(posterior_sample);
VQP_REF_SCRATCH(posterior_sample);
VQP_REF_RUN(categorical_sample);
VQP_REF_RUN(select_top_k);
VQP_REF_SCRATCH(select_top_k);
VQP_REF_RUN(to_rgb);
VQP_REF_RUN(repeat);
VQP_REF_RUN(take);
VQP_REF_RUN(store);
VQP_REF_RUN(advance);
VQP_REF_RUN(binary);
VQP_REF_RUN(unary);
VQP_REF_RUN(compare);
VQP_REF_RUN(where);
VQP_REF_RUN(cast);
VQP_REF_RUN(concat);
VQP_REF_RUN(slice);
VQP_REF_RUN(permute);
VQP_REF_RUN(reduce); /* reduce_sum, reduce_max, arg_max */
VQP_REF_RUN(softmax);
VQP_REF_RUN(cumsum);
VQP_REF_RUN(sort_k);
VQP_REF_SCRATCH(sort_k);
VQP_REF_RUN(gather);
VQP_REF_RUN(scatter);

#endif
