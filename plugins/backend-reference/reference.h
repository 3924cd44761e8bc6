/* The definition of the fused ops in plain C: one op_*.c an op or family, over the host backends' shared ground. */
#ifndef VQP_REFERENCE_H
#define VQP_REFERENCE_H
#include "../host-backend/host_backend.h"

enum {
    VQP_REF_SLOTS = 64, /* most pieces that one loop is cut into: each has its own slice of the scratch memory */
    VQP_REF_ROWS = 4,   /* the matrix kernel's tile: rows of the input by output channels */
    VQP_REF_LANES = 16,
};

double vqp_ref_act(uint32_t act, double v); /* act.c */

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

/* Packs operand 1 as the matrix that it is; vqp_hb_node.own, which vqp_ref_packed_weight reads and vqp_ref_release frees. */
vqp_status vqp_ref_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n, const struct vqp_ref_matrix *m);
const float *vqp_ref_packed_weight(const struct vqp_hb_node *n);
void vqp_ref_release(void *own);

/* ---- one function an op: op_*.c ---- */

#define VQP_REF_RUN(name)     void vqp_ref_##name(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
#define VQP_REF_SCRATCH(name) uint64_t vqp_ref_##name##_scratch(const struct vqp_hb_node *n)
#define VQP_REF_PREPARE(name) vqp_status vqp_ref_##name##_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
VQP_REF_RUN(linear);
VQP_REF_PREPARE(linear);
VQP_REF_RUN(layer_norm); /* and rms_norm */
VQP_REF_RUN(sdpa);
VQP_REF_SCRATCH(sdpa);
VQP_REF_RUN(conv2d);
VQP_REF_SCRATCH(conv2d);
VQP_REF_PREPARE(conv2d);
VQP_REF_RUN(group_norm);
VQP_REF_RUN(guide_log_softmax);
VQP_REF_RUN(truncate);
VQP_REF_SCRATCH(truncate);
VQP_REF_RUN(posterior_sample);
VQP_REF_SCRATCH(posterior_sample);
VQP_REF_RUN(categorical_sample);

#endif
