/* Weights of LINEAR and CONV2D as the matrix kernel wants them: kept by the address of their data where they are WEIGHTs. */
#include "reference.h"
#include <stdlib.h>

struct packed {
    uint32_t dtype;
    const float *scale; /* of Q8_0, else NULL */
    struct vqp_ref_matrix matrix;
    float values[];
};
struct own {
    const struct packed *shared; /* in the cache, or */
    struct packed *mine;         /* of a CONSTANT, which has no place there */
};

static int same(const void *copy, const void *key)
{
    const struct packed *a = copy, *b = key;
    return a->dtype == b->dtype && a->scale == b->scale && a->matrix.groups == b->matrix.groups &&
           a->matrix.outs == b->matrix.outs && a->matrix.ins == b->matrix.ins && a->matrix.taps == b->matrix.taps;
}

static void *make(const void *data, const void *key)
{
    const struct packed *k = key;
    uint64_t floats = vqp_ref_matrix_floats(&k->matrix);
    struct packed *p =
        floats <= (SIZE_MAX - sizeof *p) / sizeof(float) ? malloc(sizeof *p + floats * sizeof(float)) : NULL;
    if (!p)
        return NULL;
    *p = *k;
    if (k->dtype != VQP_Q8_0) {
        vqp_ref_matrix_pack(p->values, data, k->dtype, &k->matrix);
        return p;
    }
    uint64_t n = (uint64_t)k->matrix.outs * (uint64_t)k->matrix.ins;
    float *plain = malloc(n * sizeof *plain);
    if (!plain) {
        free(p);
        return NULL;
    }
    vqp_hb_dequantise(data, k->scale, 0, n, plain);
    vqp_ref_matrix_pack(p->values, plain, VQP_F32, &k->matrix);
    free(plain);
    return p;
}

vqp_status vqp_ref_prepare(struct vqp_hb_prepare *c, struct vqp_hb_node *n, const struct vqp_ref_matrix *m)
{
    static const struct vqp_hb_form form = {same, make, free};
    const struct packed key = {
        .dtype = n->in[1].dtype, .scale = n->in[1].dtype == VQP_Q8_0 ? n->in[5].f : NULL, .matrix = *m};
    struct own *own = n->own = calloc(1, sizeof *own);
    if (own && c->weight_1)
        own->shared = vqp_hb_weights_obtain(c->self->weights, n->in[1].data, &form, &key);
    else if (own)
        own->shared = own->mine = make(n->in[1].data, &key);
    return own && own->shared ? VQP_OK : vqp_hb_no_memory(c);
}

const float *vqp_ref_packed_weight(const struct vqp_hb_node *n)
{
    return ((const struct own *)n->own)->shared->values;
}

void vqp_ref_release(void *own)
{
    free(((struct own *)own)->mine);
    free(own);
}
