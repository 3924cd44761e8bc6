/* Work shared out among OpenMP's threads. */
#include "cpu.h"
#include <omp.h>

/* Each thread takes one contiguous run of the items: what an op wrote is near the thread that reads it in the next. */
void vqp_cpu_loop(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx)
{
    uint32_t threads = vqp_cpu_of(x->self)->threads;
#pragma omp parallel num_threads((int)threads) if (items > 1 && threads > 1)
    {
        uint64_t n = (uint64_t)omp_get_num_threads(), me = (uint64_t)omp_get_thread_num();
        uint64_t each = items / n, more = items % n, item = me * each + (me < more ? me : more);
        for (uint64_t end = item + each + (me < more); item < end && !vqp_hb_cancelled(x); item++)
            fn(ctx, item, (uint32_t)me);
    }
}

void vqp_cpu_parallel(uint64_t items, void (*fn)(void *ctx, uint64_t item), void *ctx)
{
#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < items; i++)
        fn(ctx, i);
}
