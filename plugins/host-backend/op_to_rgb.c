#include "host_backend.h"
#include <math.h>

VQP_HB_RUN(to_rgb)
{
    (void)x;
    for (uint64_t i = 0; i < n->in[0].count; i++) {
        double v = (double)n->in[0].f[i];
        n->out[0].u[i] = v > 0 ? (uint8_t)rint(255 * (v < 1 ? v : 1)) : 0;
    }
}
