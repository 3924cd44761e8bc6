/* Zip archives and pickles, put together byte by byte: as torch.save writes them, and then spoilt. */
#ifndef VQP_TESTS_TORCH_FILE_H
#define VQP_TESTS_TORCH_FILE_H
#include "crc32.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char at[1 << 16];
    size_t n;
};

static inline void put(struct bytes *b, const void *data, size_t n)
{
    if (n > sizeof b->at - b->n)
        abort();
    if (n)
        memcpy(b->at + b->n, data, n);
    b->n += n;
}

static inline void put_number(struct bytes *b, uint64_t x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(b, &(unsigned char){(unsigned char)(i < 8 ? x >> 8 * i & 255 : 0)}, 1);
}

/* ---- zip -------------------------------------------------------------------------------------------------------- */

enum {
    ZIP_ENTRIES = 32
};
struct zip_place { /* where the parts of an entry are */
    char name[64];
    size_t local, data, size, descriptor, central;
    uint32_t crc;
};
struct zip {
    struct bytes b;
    struct zip_place entry[ZIP_ENTRIES];
    size_t count, directory, end;
    int plain, wide; /* plain: sizes in local headers, no descriptors; wide: ZIP64 throughout */
};

static inline void zip_add(struct zip *z, const char *name, const void *data, size_t n)
{
    struct zip_place *e = &z->entry[z->count++];
    struct bytes *b = &z->b;
    *e = (struct zip_place){.local = b->n, .size = n, .crc = vqp_crc32(0, data, n)};
    snprintf(e->name, sizeof e->name, "%s", name);
    int plain = z->plain || !n; /* torch describes no empty entry */
    put_number(b, 0x04034B50, 4);
    put_number(b, 0, 2);
    put_number(b, plain ? 0x800 : 0x808, 2);
    put_number(b, 0, 6);
    put_number(b, plain ? e->crc : 0, 4);
    put_number(b, plain ? n : 0, 4);
    put_number(b, plain ? n : 0, 4);
    put_number(b, strlen(name), 2);
    size_t pad = (64 - (b->n + 2 + strlen(name) + 4) % 64) % 64; /* the data lies at a multiple of 64 */
    put_number(b, 4 + pad, 2);
    put(b, name, strlen(name));
    put(b, "FB", 2);
    put_number(b, pad, 2);
    for (size_t i = 0; i < pad; i++)
        put(b, "Z", 1);
    e->data = b->n;
    put(b, data, n);
    e->descriptor = b->n;
    if (plain)
        return;
    put_number(b, 0x08074B50, 4);
    put_number(b, e->crc, 4);
    put_number(b, n, z->wide ? 8 : 4);
    put_number(b, n, z->wide ? 8 : 4);
}

static inline void zip_finish(struct zip *z)
{
    struct bytes *b = &z->b;
    z->directory = b->n;
    for (size_t i = 0; i < z->count; i++) {
        struct zip_place *e = &z->entry[i];
        e->central = b->n;
        put_number(b, 0x02014B50, 4);
        put_number(b, 0, 4);
        put_number(b, z->plain || !e->size ? 0x800 : 0x808, 2);
        put_number(b, 0, 6);
        put_number(b, e->crc, 4);
        put_number(b, z->wide ? 0xFFFFFFFF : e->size, 4);
        put_number(b, z->wide ? 0xFFFFFFFF : e->size, 4);
        put_number(b, strlen(e->name), 2);
        put_number(b, z->wide ? 28 : 0, 2);
        put_number(b, 0, 10);
        put_number(b, z->wide ? 0xFFFFFFFF : e->local, 4);
        put(b, e->name, strlen(e->name));
        if (z->wide) {
            put_number(b, 1, 2);
            put_number(b, 24, 2);
            put_number(b, e->size, 8);
            put_number(b, e->size, 8);
            put_number(b, e->local, 8);
        }
    }
    size_t directory_bytes = b->n - z->directory, end64 = b->n;
    if (z->wide) {
        put_number(b, 0x06064B50, 4);
        put_number(b, 44, 8);
        put_number(b, 0, 12);
        put_number(b, z->count, 8);
        put_number(b, z->count, 8);
        put_number(b, directory_bytes, 8);
        put_number(b, z->directory, 8);
        put_number(b, 0x07064B50, 4);
        put_number(b, 0, 4);
        put_number(b, end64, 8);
        put_number(b, 1, 4);
    }
    z->end = b->n;
    put_number(b, 0x06054B50, 4);
    put_number(b, 0, 4);
    put_number(b, z->wide ? 0xFFFF : z->count, 2);
    put_number(b, z->wide ? 0xFFFF : z->count, 2);
    put_number(b, z->wide ? 0xFFFFFFFF : directory_bytes, 4);
    put_number(b, z->wide ? 0xFFFFFFFF : z->directory, 4);
    put_number(b, 0, 2);
}

/* ---- pickle ----------------------------------------------------------------------------------------------------- */

static inline void put_text(struct bytes *b, const char *s)
{
    put(b, "X", 1);
    put_number(b, strlen(s), 4);
    put(b, s, strlen(s));
}

static inline void put_int(struct bytes *b, int64_t x)
{
    put(b, "\x8A\x08", 2);
    put_number(b, (uint64_t)x, 8);
}

/* "torch FloatStorage" */
static inline void put_global(struct bytes *b, const char *name)
{
    const char *space = strchr(name, ' ');
    put(b, "c", 1);
    put(b, name, (size_t)(space - name));
    put(b, "\n", 1);
    put(b, space + 1, strlen(space + 1));
    put(b, "\n", 1);
}

struct tensor_spec {
    const char *storage, *key; /* "FloatStorage" */
    int64_t numel, offset;
    int rank;
    int64_t size[8], stride[8];
};

static inline void put_tensor(struct bytes *b, const struct tensor_spec *t)
{
    char type[64];
    snprintf(type, sizeof type, "torch %s", t->storage);
    put_global(b, "torch._utils _rebuild_tensor_v2");
    put(b, "((", 2);
    put_text(b, "storage");
    put_global(b, type);
    put_text(b, t->key);
    put_text(b, "cpu");
    put_int(b, t->numel);
    put(b, "tQ", 2);
    put_int(b, t->offset);
    put(b, "(", 1);
    for (int i = 0; i < t->rank; i++)
        put_int(b, t->size[i]);
    put(b, "t(", 2);
    for (int i = 0; i < t->rank; i++)
        put_int(b, t->stride[i]);
    put(b, "t\x89", 2);
    put_global(b, "collections OrderedDict");
    put(b, ")RtR", 4);
}

#endif
