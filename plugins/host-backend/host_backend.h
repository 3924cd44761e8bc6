/* What the backends that run on the host processor share: buffers, placing of values, the plain ops, and the walk over a program.
 * A static library, not a plugin. A backend gives its class: a table with one function an op, its own or one from here, and the loop that
 * spreads work over its threads. Core has checked every shape before a program gets here, so nothing is checked twice. */
#ifndef VQP_HOST_BACKEND_H
#define VQP_HOST_BACKEND_H
#include <stdatomic.h>
#include <vqpipe/backend.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

/* An operand or a result. dtype is F32, I32 or U8; and F16 or BF16 for a weight whose op packs it itself (vqp_hb_kind.packs), and
 * for a temporary that the backend's storage() has made so. */
struct vqp_hb_arg {
    union {
        void *data; /* NULL: absent */
        float *f;
        int32_t *i;
        uint8_t *u;
        uint16_t *h;
    };
    uint32_t dtype, rank;
    int64_t dim[VQP_MAX_RANK];
    uint64_t count;
};

struct vqp_hb_exec;
struct vqp_hb_node {
    struct vqp_op op;
    struct vqp_hb_arg in[VQP_OP_MAX_IN], out[VQP_OP_MAX_OUT];
    void *own; /* what prepare() made for run(), given back by release() */
    void (*run)(struct vqp_hb_exec *x,
                const struct vqp_hb_node *n); /* this and release: the kind's, unless prepare() sets others */
    void (*release)(void *own);
};

/* ---- backend.c ---- */

/* The instance; a backend that needs more begins its own struct with this one. */
struct vqp_hb {
    const struct vqp_hb_class *cls;
    const struct vqp_host *host;
    struct vqp_hb_weights *weights;
};

struct vqp_hb_exec {
    struct vqp_hb *self;
    const struct vqp_host *host;
    struct vqp_hb_node *nodes;
    uint32_t n_nodes;
    atomic_int cancelled;
    unsigned char *arena, *constants, *scratch;
    uint64_t *ns; /* per op, of the last run */
};

struct vqp_hb_prepare {
    struct vqp_hb *self;
    const struct vqp_program_view *p;
    struct vqp_error *err;
    int weight_1; /* operand 1 is a WEIGHT, whose address is its identity */
};

/* How an op is run. */
struct vqp_hb_kind {
    void (*run)(struct vqp_hb_exec *x, const struct vqp_hb_node *n);
    uint64_t (*scratch)(
        const struct vqp_hb_node *n); /* bytes of scratch memory that run() needs, asked after prepare(); NULL: none */
    int packs; /* operand 1 is a weight that prepare() packs: it comes as stored, and must be known at compile */
    vqp_status (*prepare)(struct vqp_hb_prepare *c, struct vqp_hb_node *n); /* may be NULL */
    void (*release)(void *own);
    int takes_q8_0; /* LINEAR: operand 1 may be Q8_0, with operand 5 its scales as float32 */
};

struct vqp_hb_class {
    const char *name, *driver;
    struct vqp_hb_kind kinds[VQP_OP_PLAIN_END];
    /* Calls fn(ctx, item, slot) for every item, in any order; calls with one slot never overlap, and slot < slots(self). Skips
     * the rest once x is cancelled. */
    void (*loop)(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx);
    /* Optional: the dtype in which each root value is stored; comes filled in with the values' own. A TEMP of F32 alone may be changed. */
    void (*storage)(struct vqp_hb *self, const struct vqp_program_view *p, uint32_t *dtype);
};

/* The functions of a backend's vtbl; instances begin with struct vqp_hb. */
void vqp_hb_describe(const struct vqp_hb_class *cls, struct vqp_device_info *out);
void vqp_hb_info(void *self, struct vqp_device_info *out);
int32_t vqp_hb_supports(void *self, const struct vqp_program_view *p, uint32_t i);
vqp_status vqp_hb_buffer_create(void *self, uint64_t bytes, vqp_buffer **out, struct vqp_error *err);
void vqp_hb_buffer_destroy(void *self, vqp_buffer *b);
vqp_status vqp_hb_upload(void *self, vqp_buffer *b, uint64_t off, const void *src, uint64_t n, struct vqp_error *err);
vqp_status vqp_hb_download(void *self, vqp_buffer *b, uint64_t off, void *dst, uint64_t n, struct vqp_error *err);
vqp_status vqp_hb_compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                          vqp_exec **out, struct vqp_error *err);
vqp_status vqp_hb_run(void *self, vqp_exec *x, uint32_t times, struct vqp_error *err);
void vqp_hb_exec_destroy(void *self, vqp_exec *x);
vqp_status vqp_hb_profile(void *self, vqp_exec *x, uint64_t *ns, uint32_t cap, uint32_t *n);
void vqp_hb_forget(void *self, const void *data);
#define VQP_HB_VTBL                                                                                                    \
    .info = vqp_hb_info, .supports = vqp_hb_supports, .buffer_create = vqp_hb_buffer_create,                           \
    .buffer_destroy = vqp_hb_buffer_destroy, .upload = vqp_hb_upload, .download = vqp_hb_download,                     \
    .compile = vqp_hb_compile, .run = vqp_hb_run, .exec_destroy = vqp_hb_exec_destroy, .profile = vqp_hb_profile,      \
    .forget = vqp_hb_forget
/* Makes an instance of `bytes` (at least sizeof(struct vqp_hb)), the rest zeros; refuses a device but "0". NULL with *err set. */
struct vqp_hb *vqp_hb_create(const struct vqp_hb_class *cls, size_t bytes, const struct vqp_create_args *args,
                             struct vqp_error *err);
void vqp_hb_destroy(void *self);

void *vqp_hb_zeroed(uint64_t bytes); /* zero-filled, 64-byte aligned, never of size 0; free() it. NULL: no memory */
/* The same, with what it holds undefined; large blocks lie on large pages where the system has them. */
void *vqp_hb_memory(uint64_t bytes);
vqp_status vqp_hb_no_memory(const struct vqp_hb_prepare *c);
uint64_t vqp_hb_now(void); /* nanoseconds */

/* ---- loop.c ---- */

/* fn for every item, through the class's loop. Items should take far less than 50 ms: between them cancelling is noticed. */
void vqp_hb_for(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx);
/* 1 once the run is to stop; polls the host. */
int vqp_hb_cancelled(struct vqp_hb_exec *x);
/* Steps through an array of any rank: the axis given, what is outside it and what is inside. */
struct vqp_hb_axis {
    int64_t outer, n, inner;
};
struct vqp_hb_axis vqp_hb_axis(const struct vqp_hb_arg *a, uint32_t axis);
static inline int64_t vqp_hb_last(const struct vqp_hb_arg *a)
{
    return a->rank ? a->dim[a->rank - 1] : 1;
}
static inline uint64_t vqp_hb_rows(const struct vqp_hb_arg *a)
{
    return a->count / (uint64_t)vqp_hb_last(a);
}
static inline int64_t vqp_hb_clamp(int64_t v, int64_t hi)
{
    return v < 0 ? 0 : v > hi ? hi : v;
}
/* order[0..n-1] = the positions of v in descending order of value; lower positions first among equals, NaN last. */
void vqp_hb_sort(const float *v, uint32_t *order, uint32_t n);
/* The same for the positions that `order` holds already. */
void vqp_hb_sort_some(const float *v, uint32_t *order, uint32_t n);

/* ---- load.c ---- */

float vqp_hb_load(const void *data, uint32_t dtype, uint64_t i); /* element i as float32; any alignment */
/* out[i] = entry from+i of a Q8_0 weight with a scale for every VQP_HB_Q8_BLOCK entries; from and n are multiples of that. */
enum {
    VQP_HB_Q8_BLOCK = 32
};
void vqp_hb_dequantise(const int8_t *entries, const float *scale, uint64_t from, uint64_t n, float *out);

/* ---- weights.c: copies of weights in a form that kernels want, found again by the address of their data ---- */

struct vqp_hb_weights;
struct vqp_hb_weights *vqp_hb_weights_create(const struct vqp_host *host);
void vqp_hb_weights_destroy(struct vqp_hb_weights *w); /* accepts NULL */
void vqp_hb_weights_forget(struct vqp_hb_weights *w, const void *data);
struct vqp_hb_form {
    int (*same)(const void *copy, const void *key); /* is this copy the one that `key` describes? */
    void *(*make)(const void *data, const void *key);
    void (*destroy)(void *copy);
};
/* The copy of `data` that `key` describes, made where it is not there yet; NULL when memory is out. */
const void *vqp_hb_weights_obtain(struct vqp_hb_weights *w, const void *data, const struct vqp_hb_form *form,
                                  const void *key);
/* As float32; `data` itself where it is that already and aligned. NULL when memory is out. */
const float *vqp_hb_weights_f32(struct vqp_hb_weights *w, const void *data, uint32_t dtype, uint64_t count);

/* ---- the ops that every host backend runs alike: op_*.c ---- */

#define VQP_HB_RUN(name)     void vqp_hb_##name(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
#define VQP_HB_SCRATCH(name) uint64_t vqp_hb_##name##_scratch(const struct vqp_hb_node *n)
VQP_HB_RUN(embedding);
VQP_HB_RUN(l2_norm);
VQP_HB_RUN(codebook);
VQP_HB_RUN(nearest_code);
VQP_HB_RUN(pixel_shuffle);
VQP_HB_RUN(rope);
VQP_HB_RUN(select_top_k);
VQP_HB_SCRATCH(select_top_k);
VQP_HB_RUN(to_rgb);
VQP_HB_RUN(repeat);
VQP_HB_RUN(take);
VQP_HB_RUN(store);
VQP_HB_RUN(advance);
VQP_HB_RUN(gumbel);
VQP_HB_RUN(binary);
VQP_HB_RUN(unary);
VQP_HB_RUN(compare);
VQP_HB_RUN(where);
VQP_HB_RUN(cast);
VQP_HB_RUN(concat);
VQP_HB_RUN(slice);
VQP_HB_RUN(permute);
VQP_HB_RUN(reduce); /* reduce_sum, reduce_max, arg_max */
VQP_HB_RUN(softmax);
VQP_HB_RUN(cumsum);
VQP_HB_RUN(sort_k);
VQP_HB_SCRATCH(sort_k);
VQP_HB_RUN(gather);
VQP_HB_RUN(scatter);

/* The part of a class's table that is the same in each. */
#define VQP_HB_SHARED_KINDS                                                                                            \
    [VQP_OP_EMBEDDING] = {vqp_hb_embedding}, [VQP_OP_L2_NORM] = {vqp_hb_l2_norm},                                      \
    [VQP_OP_CODEBOOK] = {vqp_hb_codebook}, [VQP_OP_NEAREST_CODE] = {vqp_hb_nearest_code},                              \
    [VQP_OP_PIXEL_SHUFFLE] = {vqp_hb_pixel_shuffle}, [VQP_OP_ROPE] = {vqp_hb_rope},                                    \
    [VQP_OP_SELECT_TOP_K] = {vqp_hb_select_top_k, vqp_hb_select_top_k_scratch}, [VQP_OP_TO_RGB] = {vqp_hb_to_rgb},     \
    [VQP_OP_REPEAT] = {vqp_hb_repeat}, [VQP_OP_TAKE] = {vqp_hb_take}, [VQP_OP_STORE] = {vqp_hb_store},                 \
    [VQP_OP_ADVANCE] = {vqp_hb_advance}, [VQP_OP_GUMBEL] = {vqp_hb_gumbel}, [VQP_OP_ADD] = {vqp_hb_binary},            \
    [VQP_OP_SUB] = {vqp_hb_binary}, [VQP_OP_MUL] = {vqp_hb_binary}, [VQP_OP_DIV] = {vqp_hb_binary},                    \
    [VQP_OP_MAX] = {vqp_hb_binary}, [VQP_OP_MIN] = {vqp_hb_binary}, [VQP_OP_EXP] = {vqp_hb_unary},                     \
    [VQP_OP_LOG] = {vqp_hb_unary}, [VQP_OP_SQRT] = {vqp_hb_unary}, [VQP_OP_RSQRT] = {vqp_hb_unary},                    \
    [VQP_OP_SIGMOID] = {vqp_hb_unary}, [VQP_OP_COMPARE] = {vqp_hb_compare}, [VQP_OP_WHERE] = {vqp_hb_where},           \
    [VQP_OP_CAST] = {vqp_hb_cast}, [VQP_OP_CONCAT] = {vqp_hb_concat}, [VQP_OP_SLICE] = {vqp_hb_slice},                 \
    [VQP_OP_PERMUTE] = {vqp_hb_permute}, [VQP_OP_REDUCE_SUM] = {vqp_hb_reduce}, [VQP_OP_REDUCE_MAX] = {vqp_hb_reduce}, \
    [VQP_OP_ARG_MAX] = {vqp_hb_reduce}, [VQP_OP_SOFTMAX] = {vqp_hb_softmax}, [VQP_OP_CUMSUM] = {vqp_hb_cumsum},        \
    [VQP_OP_SORT_K] = {vqp_hb_sort_k, vqp_hb_sort_k_scratch}, [VQP_OP_GATHER] = {vqp_hb_gather},                       \
    [VQP_OP_SCATTER] = {vqp_hb_scatter}

#endif
