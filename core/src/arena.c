#include "arena.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 16 * 1024
};

struct vqp_arena_block {
    struct vqp_arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *vqp_arena_alloc(struct vqp_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    struct vqp_arena_block *b = a->blocks;
    if (!b || b->size - b->used < bytes) {
        size_t room = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        b = calloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        if (room == bytes && a->blocks) { /* a large one goes behind the block that still has room */
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    void *p = b->data + b->used;
    b->used += bytes;
    return p;
}

char *vqp_arena_memdup(struct vqp_arena *a, const void *p, size_t n)
{
    char *s = n < SIZE_MAX ? vqp_arena_alloc(a, n + 1, 1) : NULL;
    if (s && n)
        memcpy(s, p, n);
    return s;
}

char *vqp_arena_strdup(struct vqp_arena *a, const char *s)
{
    return vqp_arena_memdup(a, s, strlen(s));
}

char *vqp_arena_printf(struct vqp_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : vqp_arena_alloc(a, (size_t)n + 1, 1);
    if (s) {
        va_start(ap, fmt);
        vsnprintf(s, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return s;
}

void vqp_arena_free(struct vqp_arena *a)
{
    for (struct vqp_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->blocks = NULL;
}
