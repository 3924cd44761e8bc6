/* What LINEAR and CONV2D share: a weight packed as the product wants it, kept from compile to compile by its address. */
#include "cpu.h"
#include <stdlib.h>
#include <string.h>

struct packed {
    struct vqp_cpu_form *form;
    void *bytes;
};
struct key {
    const struct vqp_cpu_form *form;
    dnnl_engine_t engine;
    uint32_t dtype; /* of the file */
    uint64_t count;
};

static int same(const void *copy, const void *key)
{
    return vqp_cpu_form_equal(((const struct packed *)copy)->form, ((const struct key *)key)->form);
}

static void destroy(void *copy)
{
    struct packed *p = copy;
    if (!p)
        return;
    vqp_cpu_form_destroy(p->form);
    free(p->bytes);
    free(p);
}

/* The weight in float32: the file's own bytes where they are that and aligned, else a copy in *temporary. */
static const float *as_floats(const void *data, const struct key *k, float **temporary)
{
    if (k->dtype == VQP_F32 && (uintptr_t)data % sizeof(float) == 0)
        return data;
    if (k->count > SIZE_MAX / sizeof(float) || !(*temporary = malloc(k->count * sizeof(float))))
        return NULL;
    for (uint64_t i = 0; i < k->count; i++)
        (*temporary)[i] = vqp_hb_load(data, k->dtype, i);
    return *temporary;
}

static void *make(const void *data, const void *key)
{
    const struct key *k = key;
    struct packed *p = calloc(1, sizeof *p);
    float *temporary = NULL;
    const float *plain = as_floats(data, k, &temporary);
    int ok = p && plain && (p->form = vqp_cpu_form_clone(k->form)) &&
             (p->bytes = vqp_hb_zeroed(vqp_cpu_form_bytes(k->form))) &&
             vqp_cpu_form_fill(k->engine, k->form, plain, p->bytes);
    free(temporary);
    if (ok)
        return p;
    destroy(p);
    return NULL;
}

vqp_status vqp_cpu_own_finish(struct vqp_hb_prepare *c, struct vqp_hb_node *n, struct vqp_cpu_form *form)
{
    static const struct vqp_hb_form packing = {same, make, destroy};
    struct vqp_cpu_own *own = n->own;
    const struct key key = {form, vqp_cpu_of(c->self)->engine, n->in[1].dtype, n->in[1].count};
    const struct packed *p = NULL;
    if (c->weight_1)
        p = vqp_hb_weights_obtain(c->self->weights, n->in[1].data, &packing, &key);
    else
        p = own->mine = make(n->in[1].data, &key);
    vqp_cpu_form_destroy(form);
    if (!p)
        return vqp_hb_no_memory(c);
    own->weight = p->bytes;
    vqp_cpu_product_bind(&own->product, n->in[0].data, own->weight, n->out[0].data);
    vqp_cpu_product_bind(&own->last, n->in[0].data, own->weight, n->out[0].data);
    return VQP_OK;
}

vqp_status vqp_cpu_refused(struct vqp_hb_prepare *c, const char *what)
{
    char version[32];
    return vqp_fail(c->err, VQP_E_DEVICE, "cpu: %s: %s cannot make a %s of this shape here; use backend reference",
                    c->p->name, vqp_cpu_onednn_version(version, sizeof version), what);
}

uint64_t vqp_cpu_own_scratch(const struct vqp_hb_node *n)
{
    const struct vqp_cpu_own *own = n->own;
    uint64_t pad = own->product.scratch > own->last.scratch ? own->product.scratch : own->last.scratch;
    return (own->x_bytes + 63) / 64 * 64 + pad;
}

void vqp_cpu_own_run(struct vqp_hb_exec *x, const struct vqp_hb_node *n, const void *src)
{
    struct vqp_cpu_own *own = n->own;
    dnnl_stream_t stream = vqp_cpu_of(x->self)->stream;
    void *pad = x->scratch + (own->x_bytes + 63) / 64 * 64;
    int64_t row = 0;
    if (own->x_bytes) {
        vqp_cpu_product_bind_x(&own->product, src);
        vqp_cpu_product_bind_x(&own->last, src);
    }
    for (; row + own->piece <= own->rows && !(row && vqp_hb_cancelled(x)); row += own->piece)
        vqp_cpu_product_run(&own->product, stream, pad, row);
    if (row < own->rows && !vqp_hb_cancelled(x))
        vqp_cpu_product_run(&own->last, stream, pad, row);
}

void vqp_cpu_own_release(void *own)
{
    struct vqp_cpu_own *o = own;
    vqp_cpu_product_destroy(&o->product);
    vqp_cpu_product_destroy(&o->last);
    destroy(o->mine);
    free(o);
}

struct conversion {
    const float *src;
    uint16_t *dst;
    uint64_t n;
};
enum {
    CONVERT = 4096
};

static void convert(void *ctx, uint64_t item, uint32_t slot)
{
    (void)slot;
    const struct conversion *c = ctx;
    uint64_t i = item * CONVERT, end = c->n - i < CONVERT ? c->n : i + CONVERT;
    for (; i < end; i++)
        c->dst[i] = vqp_cpu_bf16(c->src[i]);
}

void vqp_cpu_to_bf16(struct vqp_hb_exec *x, const float *src, uint16_t *dst, uint64_t n)
{
    struct conversion c = {src, dst, n};
    vqp_hb_for(x, (n + CONVERT - 1) / CONVERT, convert, &c);
}
