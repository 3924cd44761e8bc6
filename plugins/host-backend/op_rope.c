#include "host_backend.h"

VQP_HB_RUN(rope)
{
    (void)x;
    int64_t positions = n->in[0].dim[1], width = n->in[0].dim[2], heads = n->op.u.rope.heads, half = width / heads / 2;
    /* pair i of a head: its two elements, step*i and step*i + apart */
    int64_t step = n->op.u.rope.interleaved ? 2 : 1, apart = n->op.u.rope.interleaved ? 1 : half;
    for (int64_t row = 0; row < n->in[0].dim[0] * positions; row++) {
        const float *cosine = n->in[1].f + row % positions * half, *sine = n->in[2].f + row % positions * half;
        for (int64_t head = 0; head < heads; head++) {
            const float *in = n->in[0].f + row * width + head * 2 * half;
            float *out = n->out[0].f + row * width + head * 2 * half;
            for (int64_t i = 0; i < half; i++) {
                double u = (double)in[step * i], v = (double)in[step * i + apart];
                double c = (double)cosine[i], s = (double)sine[i];
                out[step * i] = (float)(u * c - v * s);
                out[step * i + apart] = (float)(v * c + u * s);
            }
        }
    }
}
