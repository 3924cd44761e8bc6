/* The text chunks of a PNG file that nobody vouches for. No pixel is decoded and no library asked. */
#ifndef VQP_PNG_READ_H
#define VQP_PNG_READ_H
#include "arena.h"
#include <vqpipe/base.h>

struct vqp_png_entry { /* UTF-8; what png_write.h escaped is itself again */
    struct vqp_png_entry *next;
    const char *key, *value;
};
struct vqp_png_texts {
    uint32_t width, height, n;
    struct vqp_png_entry *first; /* in the order of the file, each key once: the first counts */
};
/* Reads tEXt and uncompressed iTXt chunks into `a`; others are passed over. At most 64 texts of 256 KB each. VQP_E_IO: the file cannot
 * be read, or is no regular file; VQP_E_FORMAT: it is no PNG, or is damaged; VQP_E_NOMEM. */
vqp_status vqp_png_read_texts(struct vqp_arena *a, const char *path, struct vqp_png_texts *out, struct vqp_error *err);

#endif
