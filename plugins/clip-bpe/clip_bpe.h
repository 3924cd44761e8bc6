/* CLIP's tokenizer: text rules (normalize.c), files (source.c, tokens.c, vocab.c), byte-pair merging (bpe.c) and the component (plugin.c). */
#ifndef CLIP_BPE_H
#define CLIP_BPE_H
#include <vqpipe/base.h>

#define BPE_NONE UINT32_MAX /* no id, no rank, no position */

/* ---- vocab.c ---------------------------------------------------------------------------------------------------- */

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank;
};
/* A loaded vocabulary; read-only once loaded, so one may serve many threads. */
struct bpe {
    uint32_t n_vocab, n_merges;
    uint32_t bos, eos, unk, pad;
    uint32_t byte[2][256]; /* id of each byte's symbol; [1]: with </w>, as the last of a piece; BPE_NONE if missing */
    struct bpe_merge *merges; /* sorted by pair: looked up without a hash that a file could be made to defeat */
    uint32_t *first;          /* n_vocab + 1: where the merges of each left id begin */
    uint32_t *result;         /* id that the merge of each rank gives */
};
/* Reads vocab.json, merges.txt and special_tokens_map.json in `folder`. VQP_E_IO or VQP_E_FORMAT naming file and line or key. */
vqp_status vqp_bpe_load(const char *folder, struct bpe **out, struct vqp_error *err);
void vqp_bpe_free(struct bpe *b); /* accepts NULL and half-built */

/* ---- bpe.c ------------------------------------------------------------------------------------------------------ */

/* Memory that grows with the longest piece; start with zeros, free(block) at the end. */
struct bpe_scratch {
    void *block;
    size_t cap;
    uint64_t *heap;
    uint32_t *sym, *next, *prev, *rank, *fresh;
};
/* Merges the n > 0 bytes of one piece, lowest rank first and all its occurrences from left to right, in O(n log n). The ids
 * are in s->sym, *n_ids of them. False: out of memory. */
int vqp_bpe_piece(const struct bpe *b, struct bpe_scratch *s, const uint8_t *bytes, size_t n, size_t *n_ids);

/* ---- normalize.c ------------------------------------------------------------------------------------------------ */

enum {
    NORMALIZER_GOLDEN,
    NORMALIZER_ORIGINAL
};
#define CLIP_MAX_TEXT ((size_t)64 << 20) /* keeps every size below in range; ten thousand times any prompt */

/* The normalised text as malloc'ed UTF-8 without white space but single inner spaces. Bytes that are not UTF-8 become U+FFFD.
 * NULL: out of memory. */
uint8_t *vqp_clip_normalize(int normalizer, const char *text, size_t n, size_t *out_n);

/* The end of the piece that begins at i < n (not at a space) by CLIP's pattern. *special: 0 none, 1 start of text, 2 end of
 * text, which the original rule alone recognises. */
size_t vqp_clip_piece_end(int normalizer, const uint8_t *text, size_t n, size_t i, int *special);

#endif
