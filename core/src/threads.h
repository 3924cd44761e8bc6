/* A fixed pool of threads for parallel_for. */
#ifndef VQP_THREADS_H
#define VQP_THREADS_H
#include <stdint.h>

struct vqp_pool;
/* threads 0: one per processor this process may use (sched_getaffinity). Fewer than asked where creation fails; NULL only
 * when memory is out. */
struct vqp_pool *vqp_pool_create(uint32_t threads);
void vqp_pool_destroy(struct vqp_pool *p);
uint32_t vqp_pool_threads(const struct vqp_pool *p);
/* fn(ctx, 0..n-1), each once, dynamic; the caller works too. Calls from several threads at once take turns; a nested call runs
 * in the caller alone. */
void vqp_pool_for(struct vqp_pool *p, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx);

#endif
