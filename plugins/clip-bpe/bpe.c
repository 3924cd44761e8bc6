/* Byte-pair merging of one piece: a linked list of symbols and a heap of its pairs. */
#include "clip_bpe.h"
#include <stdlib.h>

static uint32_t find_rank(const struct bpe *b, uint32_t left, uint32_t right)
{
    if (left == BPE_NONE || right == BPE_NONE)
        return BPE_NONE;
    uint64_t pair = (uint64_t)left << 32 | right;
    uint32_t lo = b->first[left], end = b->first[left + 1], hi = end;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->merges[mid].pair < pair)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < end && b->merges[lo].pair == pair ? b->merges[lo].rank : BPE_NONE;
}

/* A merge leaves one symbol fewer and at most two pairs that are new: n pairs at first and 2n later bound the heap. */
static int reserve(struct bpe_scratch *s, size_t n)
{
    if (n <= s->cap)
        return 1;
    size_t cap = n > 2 * s->cap ? n : 2 * s->cap;
    cap = cap < 256 ? 256 : cap;
    void *block = malloc(cap * (3 * sizeof *s->heap + 6 * sizeof *s->sym));
    if (!block)
        return 0;
    free(s->block);
    s->block = block;
    s->cap = cap;
    s->heap = block;
    s->sym = (uint32_t *)(s->heap + 3 * cap);
    s->next = s->sym + cap;
    s->prev = s->next + cap;
    s->rank = s->prev + cap;
    s->fresh = s->rank + cap;
    return 1;
}

static void push(uint64_t *heap, size_t *n, uint64_t key)
{
    size_t i = (*n)++;
    for (; i && heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = key;
}

static uint64_t pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        child += child + 1 < *n && heap[child + 1] < heap[child];
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static void update(const struct bpe *b, struct bpe_scratch *s, uint32_t at)
{
    uint32_t next = s->next[at];
    s->rank[at] = next == BPE_NONE ? BPE_NONE : find_rank(b, s->sym[at], s->sym[next]);
}

/* Merges the pairs of the lowest rank in the heap. Pairs that this makes are written to s->fresh, to wait until all
 * occurrences are merged. Entries whose symbols have since changed are known by their rank and skipped. Returns how many
 * are fresh. */
static size_t merge_lowest(const struct bpe *b, struct bpe_scratch *s, size_t *n_heap)
{
    uint32_t rank = (uint32_t)(s->heap[0] >> 32);
    size_t fresh = 0;
    while (*n_heap && s->heap[0] >> 32 == rank) {
        uint32_t at = (uint32_t)pop(s->heap, n_heap);
        if (s->rank[at] != rank)
            continue;
        uint32_t gone = s->next[at], after = s->next[gone], before = s->prev[at];
        s->sym[at] = b->result[rank];
        s->rank[gone] = BPE_NONE;
        s->next[at] = after;
        update(b, s, at);
        s->fresh[fresh++] = at;
        if (after != BPE_NONE)
            s->prev[after] = at;
        if (before != BPE_NONE) {
            update(b, s, before);
            s->fresh[fresh++] = before;
        }
    }
    return fresh;
}

int vqp_bpe_piece(const struct bpe *b, struct bpe_scratch *s, const uint8_t *bytes, size_t n, size_t *n_ids)
{
    if (!reserve(s, n))
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        s->sym[i] = b->byte[i + 1 == n][bytes[i]];
        s->next[i] = i + 1 < n ? i + 1 : BPE_NONE;
        s->prev[i] = i ? i - 1 : BPE_NONE;
    }
    size_t n_heap = 0, count = 0;
    for (uint32_t i = 0; i < n; i++) {
        update(b, s, i);
        if (s->rank[i] != BPE_NONE)
            push(s->heap, &n_heap, (uint64_t)s->rank[i] << 32 | i);
    }
    while (n_heap) {
        size_t fresh = merge_lowest(b, s, &n_heap);
        for (size_t k = 0; k < fresh; k++) {
            uint32_t at = s->fresh[k];
            if (s->rank[at] != BPE_NONE)
                push(s->heap, &n_heap, (uint64_t)s->rank[at] << 32 | at);
        }
    }
    for (uint32_t i = 0; i != BPE_NONE; i = s->next[i])
        s->sym[count++] = s->sym[i] == BPE_NONE ? b->unk : s->sym[i];
    *n_ids = count;
    return 1;
}
