#include "onednn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vqpipe/base.h>
#include <vqpipe/ops.h>

/* The C interface declares arrays of DNNL_MAX_NDIMS. */
struct dims {
    dnnl_dims_t d;
};
static struct dims whole(int rank, const int64_t *dims)
{
    struct dims w = {{0}};
    for (int i = 0; i < rank; i++)
        w.d[i] = dims[i];
    return w;
}

/* ---- descriptions of memory: structs in 2.x, handles from 3.0 on ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t desc;
typedef const_dnnl_memory_desc_t const_desc;
#define NO_DESC NULL
static desc desc_of(const_desc d)
{
    desc copy = NULL;
    dnnl_memory_desc_clone(&copy, d);
    return copy;
}
static void desc_destroy(desc d)
{
    if (d)
        dnnl_memory_desc_destroy(d);
}
static desc desc_strided(int rank, const int64_t *dims, dnnl_data_type_t type, const int64_t *strides)
{
    desc d = NULL;
    dnnl_memory_desc_create_with_strides(&d, rank, whole(rank, dims).d, type, whole(rank, strides).d);
    return d;
}
static desc desc_any(int rank, const int64_t *dims, dnnl_data_type_t type)
{
    desc d = NULL;
    dnnl_memory_desc_create_with_tag(&d, rank, whole(rank, dims).d, type, dnnl_format_tag_any);
    return d;
}
static const_desc query(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}
#else
typedef dnnl_memory_desc_t *desc;
typedef const dnnl_memory_desc_t *const_desc;
static desc desc_of(const_desc d)
{
    desc copy = malloc(sizeof *copy);
    if (copy)
        *copy = *d;
    return copy;
}
static void desc_destroy(desc d)
{
    free(d);
}
static desc desc_strided(int rank, const int64_t *dims, dnnl_data_type_t type, const int64_t *strides)
{
    desc d = malloc(sizeof *d);
    if (d &&
        dnnl_memory_desc_init_by_strides(d, rank, whole(rank, dims).d, type, whole(rank, strides).d) != dnnl_success) {
        free(d);
        return NULL;
    }
    return d;
}
static desc desc_any(int rank, const int64_t *dims, dnnl_data_type_t type)
{
    desc d = malloc(sizeof *d);
    if (d && dnnl_memory_desc_init_by_tag(d, rank, whole(rank, dims).d, type, dnnl_format_tag_any) != dnnl_success) {
        free(d);
        return NULL;
    }
    return d;
}
static const_desc query(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}
#endif

static desc desc_dense(int rank, const int64_t *dims, dnnl_data_type_t type)
{
    int64_t strides[DNNL_MAX_NDIMS], stride = 1;
    for (int i = rank; i-- > 0; stride *= dims[i])
        strides[i] = stride;
    return desc_strided(rank, dims, type, strides);
}

static dnnl_data_type_t type_of(uint32_t dtype)
{
    return dtype == VQP_BF16 ? dnnl_bf16 : dnnl_f32;
}

struct vqp_cpu_form {
    desc packed, plain; /* what the primitive wants; the weight in float32 as in its file */
};

/* ---- attributes ---- */

static dnnl_status_t append_act(dnnl_post_ops_t ops, uint32_t act)
{
    dnnl_alg_kind_t kind = act == VQP_ACT_GELU_ERF ? dnnl_eltwise_gelu_erf : dnnl_eltwise_swish;
    float alpha = act == VQP_ACT_GELU_SIGMOID ? 1.702f : 1;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
#else
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1);
#endif
}

/* The attribute of a product on [m,n], and the descriptions of the posts' values in descs[]. */
static dnnl_primitive_attr_t attributes(const struct vqp_cpu_post *posts, int n_posts, int64_t m, int64_t n,
                                        desc *descs)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    int ok = dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&ops) == dnnl_success &&
             dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success;
    for (int i = 0; ok && i < n_posts; i++) {
        const int64_t dims[] = {posts[i].kind == VQP_CPU_POST_ADD || posts[i].per_row ? m : 1, n};
        switch (posts[i].kind) {
        case VQP_CPU_POST_ACT: ok = append_act(ops, posts[i].act) == dnnl_success; break;
        case VQP_CPU_POST_SUM: ok = append_sum(ops) == dnnl_success; break;
        default:
            descs[i] = desc_dense(2, dims, dnnl_f32);
            ok = descs[i] &&
                 dnnl_post_ops_append_binary(ops, posts[i].kind == VQP_CPU_POST_MUL ? dnnl_binary_mul : dnnl_binary_add,
                                             descs[i]) == dnnl_success;
        }
    }
    ok = ok && dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    dnnl_post_ops_destroy(ops);
    if (ok)
        return attr;
    dnnl_primitive_attr_destroy(attr);
    return NULL;
}

/* ---- products ---- */

static int add_memory(struct vqp_cpu_product *p, dnnl_engine_t engine, int arg, const_desc d, const void *data)
{
    int i = p->n_args;
    if (!d || dnnl_memory_create(&p->memory[i], d, engine, data ? (void *)data : DNNL_MEMORY_NONE) != dnnl_success)
        return 0;
    p->args[i] = (dnnl_exec_arg_t){arg, p->memory[i]};
    p->base[i] = (void *)data;
    p->n_args++;
    return 1;
}

struct parts {
    dnnl_engine_t engine;
    desc x, weight, bias, out, plain, posts[4];
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
};

static void parts_free(struct parts *s)
{
    desc_destroy(s->x);
    desc_destroy(s->weight);
    desc_destroy(s->bias);
    desc_destroy(s->out);
    desc_destroy(s->plain);
    for (int i = 0; i < 4; i++)
        desc_destroy(s->posts[i]);
    if (s->attr)
        dnnl_primitive_attr_destroy(s->attr);
    if (s->pd)
        dnnl_primitive_desc_destroy(s->pd);
}

/* The product of the primitive that `s` describes: arguments 0, 1, 2 are x, weight, out. */
static int finish(struct parts *s, int64_t columns, const float *bias, const struct vqp_cpu_post *posts, int n_posts,
                  struct vqp_cpu_product *p, struct vqp_cpu_form **form)
{
    const_desc weight = query(s->pd, dnnl_query_weights_md), pad = query(s->pd, dnnl_query_scratchpad_md);
    int ok = weight && pad && add_memory(p, s->engine, DNNL_ARG_SRC, s->x, NULL) &&
             add_memory(p, s->engine, DNNL_ARG_WEIGHTS, weight, NULL) &&
             add_memory(p, s->engine, DNNL_ARG_DST, s->out, NULL);
    if (ok && bias)
        ok = add_memory(p, s->engine, DNNL_ARG_BIAS, s->bias, bias);
    for (int i = 0; ok && i < n_posts; i++)
        if (posts[i].kind == VQP_CPU_POST_MUL || posts[i].kind == VQP_CPU_POST_ADD) {
            if (posts[i].kind == VQP_CPU_POST_ADD || posts[i].per_row)
                p->per_row[p->n_args] = (uint64_t)columns * sizeof(float);
            ok = add_memory(p, s->engine, DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1, s->posts[i],
                            posts[i].values);
        }
    p->scratchpad = -1;
    if (ok && (p->scratch = dnnl_memory_desc_get_size(pad)) > 0) {
        p->scratchpad = p->n_args;
        ok = add_memory(p, s->engine, DNNL_ARG_SCRATCHPAD, pad, NULL);
    }
    ok = ok && dnnl_primitive_create(&p->primitive, s->pd) == dnnl_success;
    if (ok && !*form) {
        struct vqp_cpu_form *f = *form = calloc(1, sizeof *f);
        if (f) {
            f->packed = desc_of(weight);
            f->plain = desc_of(s->plain);
        }
        ok = f && f->packed && f->plain;
    }
    if (!ok)
        vqp_cpu_product_destroy(p);
    return ok;
}

int vqp_cpu_matmul_create(dnnl_engine_t engine, const struct vqp_cpu_matmul *m, struct vqp_cpu_product *p,
                          struct vqp_cpu_form **form)
{
    int many = m->batch > 1, skip = many ? 0 : 1, rank = many ? 3 : 2;
    const int64_t x[] = {m->batch, m->m, m->k}, w[] = {m->batch, m->k, m->n}, out[] = {m->batch, m->m, m->n};
    const int64_t bias[] = {1, m->n}, file[] = {m->n * m->k, 1, m->k};
    struct parts s = {.engine = engine};
    *p = (struct vqp_cpu_product){0};
    s.x = desc_dense(rank, x + skip, type_of(m->x_dtype));
    s.weight = *form             ? desc_of((*form)->packed)
               : !many           ? desc_any(2, w + 1, type_of(m->weight_dtype))
               : m->weight_plain ? desc_dense(3, w, type_of(m->weight_dtype))
                                 : desc_strided(3, w, type_of(m->weight_dtype), file);
    s.out = desc_dense(rank, out + skip, type_of(m->out_dtype));
    s.bias = m->bias ? desc_dense(2, bias, dnnl_f32) : NULL;
    s.plain = desc_strided(rank, w + skip, dnnl_f32, file + skip);
    s.attr = attributes(m->posts, m->n_posts, m->m, m->n, s.posts);
    int ok = s.x && s.weight && s.out && s.plain && s.attr && (s.bias || !m->bias);
#if DNNL_VERSION_MAJOR >= 3
    ok = ok && dnnl_matmul_primitive_desc_create(&s.pd, engine, s.x, s.weight, s.bias, s.out, s.attr) == dnnl_success;
#else
    dnnl_matmul_desc_t d;
    ok = ok && dnnl_matmul_desc_init(&d, s.x, s.weight, s.bias, s.out) == dnnl_success &&
         dnnl_primitive_desc_create(&s.pd, &d, s.attr, engine, NULL) == dnnl_success;
#endif
    p->per_row[0] = (uint64_t)m->k * (m->x_dtype == VQP_BF16 ? 2 : 4);
    p->per_row[2] = (uint64_t)m->n * (m->out_dtype == VQP_BF16 ? 2 : 4);
    ok = ok && finish(&s, m->n, m->bias, m->posts, m->n_posts, p, form);
    parts_free(&s);
    return ok;
}

int vqp_cpu_conv_create(dnnl_engine_t engine, const struct vqp_cpu_conv *c, struct vqp_cpu_product *p,
                        struct vqp_cpu_form **form)
{
    int64_t in = c->groups * c->i, outs = c->groups * c->o;
    const int64_t x[] = {c->b, in, c->h, c->w}, x_strides[] = {c->h * c->w * in, 1, c->w * in, in};
    const int64_t out[] = {c->b, outs, c->oh, c->ow}, out_strides[] = {c->oh * c->ow * outs, 1, c->ow * outs, outs};
    const int64_t w[] = {c->groups, c->o, c->i, c->kh, c->kw}, bias[] = {outs};
    const dnnl_dims_t strides = {c->stride, c->stride}, dilates = {0, 0};
    const dnnl_dims_t before = {c->top, c->left}, after = {c->bottom, c->right};
    int one = c->groups == 1;
    struct parts s = {.engine = engine};
    *p = (struct vqp_cpu_product){0};
    s.x = desc_strided(4, x, type_of(c->x_dtype), x_strides);
    s.out = desc_strided(4, out, type_of(c->out_dtype), out_strides);
    s.weight = desc_any(one ? 4 : 5, w + one, type_of(c->weight_dtype));
    s.plain = desc_dense(one ? 4 : 5, w + one, dnnl_f32);
    s.bias = c->bias ? desc_dense(1, bias, dnnl_f32) : NULL;
    s.attr = attributes(c->posts, c->n_posts, 0, 0, s.posts);
    int ok = s.x && s.weight && s.out && s.plain && s.attr && (s.bias || !c->bias);
#if DNNL_VERSION_MAJOR >= 3
    ok = ok && dnnl_convolution_forward_primitive_desc_create(&s.pd, engine, dnnl_forward_inference,
                                                              dnnl_convolution_direct, s.x, s.weight, s.bias, s.out,
                                                              strides, dilates, before, after, s.attr) == dnnl_success;
#else
    dnnl_convolution_desc_t d;
    ok = ok &&
         dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_inference, dnnl_convolution_direct, s.x, s.weight,
                                                    s.bias, s.out, strides, dilates, before, after) == dnnl_success &&
         dnnl_primitive_desc_create(&s.pd, &d, s.attr, engine, NULL) == dnnl_success;
#endif
    ok = ok && finish(&s, outs, c->bias, c->posts, c->n_posts, p, form);
    parts_free(&s);
    return ok;
}

void vqp_cpu_product_bind(struct vqp_cpu_product *p, const void *x, const void *weight, void *out)
{
    p->base[0] = (void *)x;
    p->base[1] = (void *)weight;
    p->base[2] = out;
}

void vqp_cpu_product_bind_x(struct vqp_cpu_product *p, const void *x)
{
    p->base[0] = (void *)x;
}

void vqp_cpu_product_run(struct vqp_cpu_product *p, dnnl_stream_t stream, void *scratch, int64_t row)
{
    for (int i = 0; i < p->n_args; i++)
        dnnl_memory_set_data_handle(
            p->memory[i], i == p->scratchpad ? scratch : (unsigned char *)p->base[i] + (uint64_t)row * p->per_row[i]);
    dnnl_primitive_execute(p->primitive, stream, p->n_args, p->args);
}

void vqp_cpu_product_destroy(struct vqp_cpu_product *p)
{
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    for (int i = 0; i < p->n_args; i++)
        dnnl_memory_destroy(p->memory[i]);
    *p = (struct vqp_cpu_product){0};
}

/* ---- forms ---- */

uint64_t vqp_cpu_form_bytes(const struct vqp_cpu_form *f)
{
    return dnnl_memory_desc_get_size(f->packed);
}

int vqp_cpu_form_equal(const struct vqp_cpu_form *a, const struct vqp_cpu_form *b)
{
    return dnnl_memory_desc_equal(a->packed, b->packed) && dnnl_memory_desc_equal(a->plain, b->plain);
}

struct vqp_cpu_form *vqp_cpu_form_clone(const struct vqp_cpu_form *f)
{
    struct vqp_cpu_form *copy = calloc(1, sizeof *copy);
    if (copy && (copy->packed = desc_of(f->packed)) && (copy->plain = desc_of(f->plain)))
        return copy;
    vqp_cpu_form_destroy(copy);
    return NULL;
}

void vqp_cpu_form_destroy(struct vqp_cpu_form *f)
{
    if (!f)
        return;
    desc_destroy(f->packed);
    desc_destroy(f->plain);
    free(f);
}

int vqp_cpu_form_fill(dnnl_engine_t engine, const struct vqp_cpu_form *f, const float *src, void *dst)
{
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    int ok = dnnl_memory_create(&from, f->plain, engine, (void *)src) == dnnl_success &&
             dnnl_memory_create(&to, f->packed, engine, dst) == dnnl_success &&
             dnnl_reorder_primitive_desc_create(&pd, f->plain, engine, f->packed, engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&reorder, pd) == dnnl_success &&
             dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
    if (ok) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        ok = dnnl_primitive_execute(reorder, stream, 2, args) == dnnl_success &&
             dnnl_stream_wait(stream) == dnnl_success;
    }
    if (stream)
        dnnl_stream_destroy(stream);
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (to)
        dnnl_memory_destroy(to);
    if (from)
        dnnl_memory_destroy(from);
    return ok;
}

/* ---- the library ---- */

dnnl_engine_t vqp_cpu_engine_create(void)
{
    dnnl_engine_t engine = NULL;
    dnnl_engine_create(&engine, dnnl_cpu, 0);
    return engine;
}

void vqp_cpu_engine_destroy(dnnl_engine_t engine)
{
    if (engine)
        dnnl_engine_destroy(engine);
}

const char *vqp_cpu_onednn_version(char *out, size_t cap)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, cap, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return out;
}
