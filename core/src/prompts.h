/* Prompts to token ids, and what there is to say about their words. */
#ifndef VQP_PROMPTS_H
#define VQP_PROMPTS_H
#include "assembly.h"

/* Token ids of n texts: ids [n,L], end [n]. `what` they are, for messages. Warns once a text about cut words and about words the tokenizer had to spell. */
vqp_status vqp_prompts_encode(const struct vqp_assembly *a, const char *what, const char *const *texts, uint32_t n,
                              int32_t *ids, int32_t *end, struct vqp_error *err);

#endif
