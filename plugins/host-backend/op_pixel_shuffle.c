#include "host_backend.h"

VQP_HB_RUN(pixel_shuffle)
{
    (void)x;
    int64_t r = n->op.u.pixel_shuffle.factor, width = n->out[0].dim[2], channels = n->out[0].dim[3];
    int64_t rows =
        n->out[0].dim[0] * n->out[0].dim[1]; /* r divides every picture's rows, so the batch needs no index */
    float *out = n->out[0].f;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t xx = 0; xx < width; xx++) {
            const float *in = n->in[0].f + (y / r * (width / r) + xx / r) * channels * r * r;
            for (int64_t c = 0; c < channels; c++)
                *out++ = in[(c * r + y % r) * r + xx % r];
        }
}
