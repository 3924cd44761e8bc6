#include "reference.h"
#include <math.h>

struct column {
    const float *u, *c; /* c NULL: no guidance */
    double scale, lse_u, lse_c;
};

static double lse(const float *v, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = (double)v[k] > max ? (double)v[k] : max;
    for (int64_t k = 0; k < n; k++)
        sum += exp((double)v[k] - max);
    return max + log(sum);
}

static double guided(const struct column *col, int64_t k)
{
    double u = (double)col->u[k] - col->lse_u;
    return col->c ? u + col->scale * ((double)col->c[k] - col->lse_c - u) : u;
}

static void item(void *ctx, uint64_t i, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    int64_t classes = vqp_hb_last(&n->out[0]), at = (int64_t)i * classes;
    struct column col = {.u = n->in[0].f + at};
    double max = -INFINITY, sum = 0, norm = 0;
    col.lse_u = lse(col.u, classes);
    if (n->in[1].data) {
        col.c = col.u + n->out[0].count;
        col.scale = (double)n->in[1].f[0];
        col.lse_c = lse(col.c, classes);
        for (int64_t k = 0; k < classes; k++)
            max = guided(&col, k) > max ? guided(&col, k) : max;
        for (int64_t k = 0; k < classes; k++)
            sum += exp(guided(&col, k) - max);
        norm = max + log(sum);
    }
    for (int64_t k = 0; k < classes; k++)
        n->out[0].f[at + k] = (float)(guided(&col, k) - norm);
}

VQP_REF_RUN(guide_log_softmax)
{
    vqp_hb_for(x, n->out[0].count / (uint64_t)vqp_hb_last(&n->out[0]), item, (void *)n);
}
