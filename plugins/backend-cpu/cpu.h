/* The CPU backend: oneDNN for LINEAR and CONV2D, own vectorised loops for the rest of the fused ops (simd/, built once for each instruction
 * set), the host backends' shared plain ops. All threads are OpenMP's, oneDNN's own among them. */
#ifndef VQP_CPU_H
#define VQP_CPU_H
#include "../host-backend/host_backend.h"
#include "onednn.h"

struct vqp_cpu {
    struct vqp_hb hb;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    uint32_t threads;
    int bf16; /* operands of matrix products are bfloat16, their sums float32 */
};
static inline struct vqp_cpu *vqp_cpu_of(struct vqp_hb *hb)
{
    return (struct vqp_cpu *)hb;
}

/* ---- loop.c ---- */

void vqp_cpu_loop(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot),
                  void *ctx);
/* The same on the calling thread's OpenMP threads, without an instance: for compile. */
void vqp_cpu_parallel(uint64_t items, void (*fn)(void *ctx, uint64_t item), void *ctx);

/* ---- backend.c ---- */

/* In precision bf16 a temporary that only matrix products read is stored so. */
void vqp_cpu_storage(struct vqp_hb *self, const struct vqp_program_view *p, uint32_t *dtype);

/* ---- product.c: what LINEAR and CONV2D share ---- */

struct vqp_cpu_own {
    struct vqp_cpu_product product, last; /* `last`: of the rows that are left over, where there are such */
    int64_t rows, piece; /* of a matmul: all, and of one run of `product`, between which cancelling is noticed */
    const void *weight;  /* packed: in the cache of weights, or */
    void *mine;          /* of a CONSTANT, which has no place there */
    uint64_t x_bytes;    /* of a copy of x made before the product (other dtype, upsampled); 0: none */
};
/* Packs operand 1 in the form wanted (which it frees) and binds the products. */
vqp_status vqp_cpu_own_finish(struct vqp_hb_prepare *c, struct vqp_hb_node *n, struct vqp_cpu_form *form);
vqp_status vqp_cpu_refused(struct vqp_hb_prepare *c, const char *what);
uint64_t vqp_cpu_own_scratch(const struct vqp_hb_node *n);
void vqp_cpu_own_run(struct vqp_hb_exec *x, const struct vqp_hb_node *n, const void *src);
void vqp_cpu_own_release(void *own);
/* The memory for the copy of x, at the start of the scratch memory. */
static inline void *vqp_cpu_own_copy(struct vqp_hb_exec *x)
{
    return x->scratch;
}
/* dst[i] = src[i] as bfloat16, rounded to nearest even; on all threads. */
void vqp_cpu_to_bf16(struct vqp_hb_exec *x, const float *src, uint16_t *dst, uint64_t n);

static inline uint16_t vqp_cpu_bf16(float f)
{
    union {
        float f;
        uint32_t u;
    } b = {f};
    if ((b.u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(b.u >> 16 | 64u); /* a NaN stays one */
    return (uint16_t)((b.u + 0x7fffu + (b.u >> 16 & 1u)) >> 16);
}
static inline float vqp_cpu_from_bf16(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } b = {(uint32_t)h << 16};
    return b.f;
}

/* ---- one function an op ---- */

vqp_status vqp_cpu_linear_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n);
void vqp_cpu_linear(struct vqp_hb_exec *x, const struct vqp_hb_node *n);
/* The shape of a CONV2D on x, w, out of these dimensions; its dtypes, bias and posts are to be filled in. */
struct vqp_cpu_conv vqp_cpu_conv_of(const struct vqp_op *op, const int64_t *x, const int64_t *w, const int64_t *out);
vqp_status vqp_cpu_conv2d_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n);
void vqp_cpu_conv2d(struct vqp_hb_exec *x, const struct vqp_hb_node *n);

/* simd/isa.c, once for each instruction set */
extern const struct vqp_hb_class vqp_cpu_class_generic;
#ifdef VQP_CPU_X86
extern const struct vqp_hb_class vqp_cpu_class_avx2, vqp_cpu_class_avx512, vqp_cpu_class_avx512_bf16;
#endif

/* ceiling.c */
vqp_status vqp_cpu_ceiling(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns,
                           struct vqp_error *err);

#endif
