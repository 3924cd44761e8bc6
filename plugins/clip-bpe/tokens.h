/* The tokens of vocab.json by text. */
#ifndef CLIP_BPE_TOKENS_H
#define CLIP_BPE_TOKENS_H
#include "source.h"

struct tokens {
    char *text; /* the file, its strings unescaped where they stand */
    uint32_t n;
    const char **token; /* by id: 0..n-1, each once */
    uint32_t *slots;    /* open addressing, BPE_NONE where free */
    size_t mask;
    uint64_t seed;
};
/* Free with vqp_tokens_free, after a failure too; start with zeros. */
vqp_status vqp_tokens_load(const struct source *src, struct tokens *t);
void vqp_tokens_free(struct tokens *t);
uint32_t vqp_tokens_find(const struct tokens *t, const char *token); /* the id, or BPE_NONE */

#endif
