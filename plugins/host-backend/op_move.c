#include "host_backend.h"
#include <string.h>

/* repeat, take, store, advance. All elements are of four bytes, but for what STORE may be given. */

VQP_HB_RUN(repeat)
{
    (void)x;
    uint64_t rows = (uint64_t)n->in[0].dim[0], times = n->op.u.repeat.times;
    uint64_t bytes = n->in[0].count / rows * 4;
    for (uint64_t k = 0; k < rows * times; k++)
        memcpy(n->out[0].u + k * bytes, n->in[0].u + (n->op.u.repeat.tile ? k % rows : k / times) * bytes, bytes);
}

VQP_HB_RUN(take)
{
    (void)x;
    int64_t rows = n->in[0].dim[0];
    memcpy(n->out[0].f, n->in[0].f + vqp_hb_clamp(n->in[1].i[0], rows - 1) * (int64_t)n->out[0].count,
           n->out[0].count * 4);
}

VQP_HB_RUN(store)
{
    (void)x;
    /* v may be a view of the very state */
    memmove(n->in[0].data, n->in[1].data, n->in[1].count * (n->in[1].dtype == VQP_U8 ? 1 : 4));
}

VQP_HB_RUN(advance)
{
    (void)x;
    n->in[0].i[0] = (int32_t)((uint32_t)n->in[0].i[0] + 1);
}
