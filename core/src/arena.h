/* Memory with one lifetime: allocate freely, free all at once. */
#ifndef VQP_ARENA_H
#define VQP_ARENA_H
#include <stdarg.h>
#include <stddef.h>

struct vqp_arena_block;
struct vqp_arena {
    struct vqp_arena_block *blocks;
};

/* Zeroed, aligned to 16 bytes; NULL when memory is out or n*size overflows. */
void *vqp_arena_alloc(struct vqp_arena *a, size_t n, size_t size);
char *vqp_arena_strdup(struct vqp_arena *a, const char *s);
char *vqp_arena_memdup(struct vqp_arena *a, const void *p, size_t n); /* NUL-terminated copy */
__attribute__((format(printf, 2, 3))) char *vqp_arena_printf(struct vqp_arena *a, const char *fmt, ...);
void vqp_arena_free(struct vqp_arena *a); /* and leaves it empty, ready for use */

#endif
