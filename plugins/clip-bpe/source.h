/* Files of the tokenizer's folder, and what messages say of them. */
#ifndef CLIP_BPE_SOURCE_H
#define CLIP_BPE_SOURCE_H
#include "clip_bpe.h"

#define VOCAB_MAX   ((size_t)16 << 20)
#define MERGES_MAX  ((size_t)8 << 20)
#define SPECIAL_MAX ((size_t)1 << 20)

/* A file of the folder as messages name it. */
struct source {
    const char *folder, *name;
    struct vqp_error *err;
};
/* Every refusal begins with the file; a line of 0 is left out. A long folder is cut so as not to hide the reason. */
__attribute__((format(printf, 4, 5))) vqp_status vqp_source_fail(const struct source *src, vqp_status status,
                                                                 size_t line, const char *fmt, ...);
#ifdef __clang_analyzer__ /* as with vqp_fail */
#define vqp_source_fail(src, status, ...) ((void)(vqp_source_fail)((src), (status), __VA_ARGS__), (status))
#endif
vqp_status vqp_source_no_memory(const struct source *src);
/* The whole of a regular file into malloc'ed memory, with a NUL added. Never waits for the other end of a FIFO. */
vqp_status vqp_source_read(const struct source *src, size_t max, char **data, size_t *n);

/* A token fit for a message: short, whole characters, no control characters. */
struct quoted {
    char s[48];
};
struct quoted vqp_quoted(const char *token);

#endif
