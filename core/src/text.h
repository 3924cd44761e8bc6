/* Small text helpers: strict UTF-8, the nearest known name, quoting for messages. */
#ifndef VQP_TEXT_H
#define VQP_TEXT_H
#include <stddef.h>

/* Strict UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF, no NUL). Returns n where all is well, else the
 * offset of the first bad byte. */
size_t vqp_utf8_check(const char *s, size_t n);

/* The candidate nearest to `word` by edit distance, or NULL where none is near enough to be meant. */
struct vqp_nearest {
    const char *word, *best;
    size_t distance;
};
void vqp_nearest_offer(struct vqp_nearest *n, const char *candidate);

/* A copy of s fit for a one-line message: control characters and broken UTF-8 as \xNN, cut with "..." at `max` bytes. Returns
 * buf. */
char *vqp_quote(const char *s, size_t n, char *buf, size_t max);

#endif
