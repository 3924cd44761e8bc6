/* Loops over the host's threads, and the small things several ops need. */
#include "reference.h"
#include <math.h>

struct loop {
    struct vqp_ref_exec *x;
    uint64_t items;
    uint32_t slots;
    void (*fn)(void *ctx, uint64_t item, uint32_t slot);
    void *ctx;
};

static void loop_slot(void *ctx, uint32_t slot)
{
    struct loop *l = ctx;
    uint64_t each = l->items / l->slots, more = l->items % l->slots;
    uint64_t item = slot * each + (slot < more ? slot : more), end = item + each + (slot < more);
    for (; item < end && !atomic_load_explicit(&l->x->cancelled, memory_order_relaxed); item++) {
        if (l->x->host->cancelled(l->x->host))
            atomic_store_explicit(&l->x->cancelled, 1, memory_order_relaxed);
        else
            l->fn(l->ctx, item, slot);
    }
}

void vqp_ref_for(struct vqp_ref_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx)
{
    struct loop l = {x, items, items < VQP_REF_SLOTS ? (uint32_t)items : VQP_REF_SLOTS, fn, ctx};
    if (l.slots == 1)
        loop_slot(&l, 0);
    else if (l.slots)
        x->host->parallel_for(x->host, l.slots, loop_slot, &l);
}

struct vqp_ref_axis vqp_ref_axis(const struct vqp_ref_arg *a, uint32_t axis)
{
    struct vqp_ref_axis s = {1, a->rank ? a->dim[axis] : 1, 1};
    for (uint32_t i = 0; i < a->rank; i++)
        *(i < axis ? &s.outer : &s.inner) *= i == axis ? 1 : a->dim[i];
    return s;
}

double vqp_ref_act(uint32_t act, double v)
{
    switch (act) {
    case VQP_ACT_GELU_ERF: return v * (1 + erf(v * 0.70710678118654752440)) / 2;
    case VQP_ACT_GELU_SIGMOID: return v / (1 + exp(-1.702 * v));
    case VQP_ACT_SILU: return v / (1 + exp(-v));
    default: return v;
    }
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

void vqp_ref_sort(const float *v, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint64_t i = n / 2; i-- > 0;)
        sift(v, order, i, n);
    for (uint64_t end = n; end-- > 1;) {
        uint32_t last = order[0];
        order[0] = order[end];
        order[end] = last;
        sift(v, order, 0, end);
    }
}
