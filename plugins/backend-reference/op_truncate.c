#include "reference.h"
#include <math.h>

struct truncation {
    const struct vqp_hb_node *n;
    uint32_t *order; /* per slot */
};

VQP_REF_SCRATCH(truncate)
{
    return VQP_REF_SLOTS * (uint64_t)vqp_hb_last(&n->in[0]) * sizeof(uint32_t);
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    const struct truncation *t = ctx;
    uint32_t classes = (uint32_t)vqp_hb_last(&t->n->in[0]), *order = t->order + (uint64_t)slot * classes;
    const float *in = t->n->in[0].f + i * classes;
    float *out = t->n->out[0].f + i * classes, rate = t->n->in[1].f[0], low = t->n->op.u.truncate.floor;
    double sum = 0;
    vqp_hb_sort(in, order, classes);
    for (uint32_t k = 0; k < classes; k++) {
        float v = in[order[k]];
        int kept = k == 0 || (float)sum < rate;
        out[order[k]] = !kept || v < low ? low : v; /* a NaN that is kept stays one */
        sum += exp((double)v);
    }
}

VQP_REF_RUN(truncate)
{
    struct truncation t = {n, (uint32_t *)x->scratch};
    vqp_hb_for(x, n->in[0].count / (uint64_t)vqp_hb_last(&n->in[0]), item, &t);
}
