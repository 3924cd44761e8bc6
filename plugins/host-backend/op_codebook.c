#include "host_backend.h"
#include <string.h>

VQP_HB_RUN(codebook)
{
    (void)x;
    const struct vqp_hb_arg *ids = &n->in[0], *table = &n->in[1];
    size_t row = (size_t)table->dim[1];
    for (uint64_t k = 0; k < ids->count; k++) {
        int32_t id = ids->i[k];
        if (id >= 0 && id < table->dim[0])
            memcpy(n->out[0].f + k * row, table->f + (size_t)id * row, row * sizeof(float));
        else
            memset(n->out[0].f + k * row, 0, row * sizeof(float));
    }
}

static void nearest(void *ctx, uint64_t k, uint32_t slot)
{
    (void)slot;
    const struct vqp_hb_node *n = ctx;
    int64_t codes = n->in[1].dim[0], width = n->in[1].dim[1], best = 0;
    const float *v = n->in[0].f + (int64_t)k * width;
    double least = 0;
    for (int64_t c = 0; c < codes; c++) {
        const float *code = n->in[1].f + c * width;
        double sum = 0;
        for (int64_t e = 0; e < width; e++) {
            double d = (double)v[e] - (double)code[e];
            sum += d * d;
        }
        if (c == 0 || sum < least) {
            least = sum;
            best = c;
        }
    }
    n->out[0].i[k] = (int32_t)best;
}

VQP_HB_RUN(nearest_code)
{
    vqp_hb_for(x, n->out[0].count, nearest, (void *)n);
}
