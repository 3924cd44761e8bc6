/* The small things several ops need. */
#include "host_backend.h"
#include <math.h>

int vqp_hb_cancelled(struct vqp_hb_exec *x)
{
    if (atomic_load_explicit(&x->cancelled, memory_order_relaxed))
        return 1;
    if (!x->host->cancelled(x->host))
        return 0;
    atomic_store_explicit(&x->cancelled, 1, memory_order_relaxed);
    return 1;
}

void vqp_hb_for(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx)
{
    x->self->cls->loop(x, items, fn, ctx);
}

struct vqp_hb_axis vqp_hb_axis(const struct vqp_hb_arg *a, uint32_t axis)
{
    struct vqp_hb_axis s = {1, a->rank ? a->dim[axis] : 1, 1};
    for (uint32_t i = 0; i < a->rank; i++)
        *(i < axis ? &s.outer : &s.inner) *= i == axis ? 1 : a->dim[i];
    return s;
}

/* Whether position a comes before b. A total order, so that any sorting method gives the one result. */
static int before(const float *v, uint32_t a, uint32_t b)
{
    if (v[a] > v[b] || (isnan(v[b]) && !isnan(v[a])))
        return 1;
    if (v[a] < v[b] || (isnan(v[a]) && !isnan(v[b])))
        return 0;
    return a < b;
}

static void sift(const float *v, uint32_t *heap, uint64_t root, uint64_t n)
{
    uint32_t moved = heap[root];
    for (uint64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(v, heap[child], heap[child + 1]))
            child++;
        if (!before(v, moved, heap[child]))
            break;
        heap[root] = heap[child];
    }
    heap[root] = moved;
}

void vqp_hb_sort(const float *v, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    vqp_hb_sort_some(v, order, n);
}

void vqp_hb_sort_some(const float *v, uint32_t *order, uint32_t n)
{
    for (uint64_t i = n / 2; i-- > 0;)
        sift(v, order, i, n);
    for (uint64_t end = n; end-- > 1;) {
        uint32_t last = order[0];
        order[0] = order[end];
        order[end] = last;
        sift(v, order, 0, end);
    }
}
