/* oneDNN 2.6 and 3.x behind one face: what changed between them is the C functions that describe memory and primitives. */
#ifndef VQP_CPU_ONEDNN_H
#define VQP_CPU_ONEDNN_H
#include <dnnl.h>
#include <stdint.h>

/* One product, ready to run: its primitive, the memory objects it reads and writes, and how much scratch memory it needs. */
enum {
    VQP_CPU_ARGS = 8
};
struct vqp_cpu_product {
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[VQP_CPU_ARGS];
    dnnl_exec_arg_t args[VQP_CPU_ARGS];
    void *base[VQP_CPU_ARGS];       /* the arguments' data, */
    uint64_t per_row[VQP_CPU_ARGS]; /* and how many bytes one row of it has; 0: the same for all rows */
    int n_args, scratchpad;         /* the argument that is the scratchpad; -1: none */
    uint64_t scratch;               /* bytes */
};

/* One step after the product: out = act(out), out * values, out + values, or out + what the destination held. */
struct vqp_cpu_post {
    enum {
        VQP_CPU_POST_NONE = 0,
        VQP_CPU_POST_ACT,
        VQP_CPU_POST_MUL,
        VQP_CPU_POST_ADD,
        VQP_CPU_POST_SUM
    } kind;
    uint32_t act;
    float *values;
    int per_row; /* MUL: `values` has an element for every element of the result, not one for every column */
};

/* out [m,n] = x [m,k] weight^T, then bias [n] (f32, may be NULL), then the posts. dtypes: VQP_F32 or VQP_BF16; batch 0 or 1: one matrix.
 * With batch > 1 x is [batch,m,k], the weight [batch,n,k] (or [batch,k,n] with weight_plain), and there is no bias and no post. */
struct vqp_cpu_matmul {
    int64_t batch, m, n, k;
    uint32_t x_dtype, weight_dtype, out_dtype;
    int weight_plain;
    const float *bias;
    const struct vqp_cpu_post *posts;
    int n_posts;
};
/* Channels last: x [b,h,w,groups*i], weight [groups*o,i,kh,kw], out [b,oh,ow,groups*o]. */
struct vqp_cpu_conv {
    int64_t b, h, w, i, o, oh, ow, kh, kw, groups, stride, top, left, bottom, right;
    uint32_t x_dtype, weight_dtype, out_dtype;
    const float *bias;
    const struct vqp_cpu_post *posts;
    int n_posts;
};

struct vqp_cpu_form; /* how a product wants its weight to be laid out */

dnnl_engine_t vqp_cpu_engine_create(void); /* NULL: failed */
void vqp_cpu_engine_destroy(dnnl_engine_t engine);
/* The product, and its weight's form in *form, to be freed by vqp_cpu_form_destroy; where *form is not NULL before, it is the form to take. x,
 * weight and out are set by vqp_cpu_product_bind. 0: failed. */
int vqp_cpu_matmul_create(dnnl_engine_t engine, const struct vqp_cpu_matmul *m, struct vqp_cpu_product *p,
                          struct vqp_cpu_form **form);
int vqp_cpu_conv_create(dnnl_engine_t engine, const struct vqp_cpu_conv *c, struct vqp_cpu_product *p,
                        struct vqp_cpu_form **form);
void vqp_cpu_product_bind(struct vqp_cpu_product *p, const void *x, const void *weight, void *out);
void vqp_cpu_product_bind_x(struct vqp_cpu_product *p, const void *x);
/* On the rows from `row` on (of a matmul; 0 for a convolution). */
void vqp_cpu_product_run(struct vqp_cpu_product *p, dnnl_stream_t stream, void *scratch, int64_t row);
void vqp_cpu_product_destroy(struct vqp_cpu_product *p);

uint64_t vqp_cpu_form_bytes(const struct vqp_cpu_form *f);
int vqp_cpu_form_equal(const struct vqp_cpu_form *a, const struct vqp_cpu_form *b);
struct vqp_cpu_form *vqp_cpu_form_clone(const struct vqp_cpu_form *f);
void vqp_cpu_form_destroy(struct vqp_cpu_form *f); /* accepts NULL */
/* dst (vqp_cpu_form_bytes, 64-byte aligned) = the weight, given in float32 as in the file. 0: failed. */
int vqp_cpu_form_fill(dnnl_engine_t engine, const struct vqp_cpu_form *f, const float *src, void *dst);

const char *vqp_cpu_onednn_version(char *out, size_t cap); /* "oneDNN 2.6.3" */

#endif
