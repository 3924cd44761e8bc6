#include "png_read.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vqpipe/vqpipe.h>

enum {
    MAX_TEXTS = 64,
    MAX_BYTES = 256 * 1024,
    MAX_KEY = 79, /* the PNG specification's own limit */
    MAX_CHUNKS = 1 << 20
};

struct reader {
    FILE *f;
    const char *path;
    uint64_t at, size;
    struct vqp_arena *arena;
    struct vqp_png_texts *out;
    struct vqp_png_entry **tail;
    struct vqp_error *err;
};

static vqp_status damaged(struct reader *r, const char *what)
{
    return vqp_fail(r->err, VQP_E_FORMAT, "%.240s: %s at byte %llu; the file is damaged", r->path, what,
                    (unsigned long long)r->at);
}

static vqp_status no_memory(struct reader *r)
{
    return vqp_fail(r->err, VQP_E_NOMEM, "%.240s: no memory left to read it", r->path);
}

static vqp_status take(struct reader *r, void *data, size_t n)
{
    if (n > r->size - r->at)
        return damaged(r, "the end comes too early");
    errno = 0;
    if (fread(data, 1, n, r->f) != n)
        return vqp_fail(r->err, VQP_E_IO, "%.240s: cannot be read: %s", r->path, strerror(errno ? errno : EIO));
    r->at += n;
    return VQP_OK;
}

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* CRC-32 as the PNG specification defines it; go on with the result of the bytes before, 0 at first. */
static uint32_t checksum(uint32_t crc, const uint8_t *data, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static char *from_latin1(struct vqp_arena *a, const char *text, size_t n)
{
    const uint8_t *s = (const uint8_t *)text;
    char *dst = vqp_arena_alloc(a, n + 1, 2), *d = dst;
    for (size_t i = 0; dst && i < n; i++) {
        if (s[i] < 0x80) {
            *d++ = (char)s[i];
        } else {
            *d++ = (char)(0xC0 | s[i] >> 6);
            *d++ = (char)(0x80 | (s[i] & 0x3F));
        }
    }
    return dst;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \xNN back to the character, in place: of UTF-8 a character below U+0100 needs no more room than that. */
static void unescape(char *s)
{
    char *d = s;
    while (*s) {
        int high = s[0] == '\\' && s[1] == 'x' ? hex(s[2]) : -1, low = high >= 0 ? hex(s[3]) : -1;
        int c = low < 0 ? 0 : high * 16 + low;
        if (!c) {
            *d++ = *s++;
            continue;
        }
        if (c >= 0x80)
            *d++ = (char)(0xC0 | c >> 6);
        *d++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
        s += 4;
    }
    *d = 0;
}

static int is_key(const char *key)
{
    for (const char *s = key; *s; s++)
        if (*s < 0x20 || *s > 0x7E)
            return 0;
    return *key && strlen(key) <= MAX_KEY;
}

/* Texts that no key or value can be made of are other programs' and are passed over, before they cost memory. */
static vqp_status keep(struct reader *r, const char *key, const char *text, size_t n, int latin1)
{
    if (!is_key(key) || memchr(text, 0, n) || (!latin1 && vqp_utf8_check(text, n) != n))
        return VQP_OK;
    for (struct vqp_png_entry *e = r->out->first; e; e = e->next)
        if (!strcmp(e->key, key))
            return VQP_OK;
    struct vqp_png_entry *e = vqp_arena_alloc(r->arena, 1, sizeof *e);
    char *value = latin1 ? from_latin1(r->arena, text, n) : vqp_arena_memdup(r->arena, text, n);
    if (!e || !value || !(e->key = vqp_arena_strdup(r->arena, key)))
        return no_memory(r);
    unescape(value);
    e->value = value;
    *r->tail = e;
    r->tail = &e->next;
    r->out->n++;
    return VQP_OK;
}

/* The field that ends with a NUL, and what follows it; NULL where none ends. */
static const char *field(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *begin = *at, *nul = memchr(begin, 0, (size_t)(end - begin));
    *at = nul ? nul + 1 : end;
    return nul ? (const char *)begin : NULL;
}

/* KEY NUL LATIN-1, or KEY NUL COMPRESSED METHOD LANGUAGE NUL KEY-IN-IT NUL UTF-8. */
static vqp_status read_text(struct reader *r, int international, const uint8_t *data, size_t n)
{
    const uint8_t *at = data, *end = data + n;
    const char *key = field(&at, end);
    if (!key)
        return damaged(r, "a text without a key ends");
    int compressed = international && at < end && *at;
    if (international) {
        at += end - at < 2 ? end - at : 2;
        if (!field(&at, end) || !field(&at, end))
            return damaged(r, "a text is cut short");
    }
    return compressed ? VQP_OK : keep(r, key, (const char *)at, (size_t)(end - at), !international);
}

/* ---- chunks ----------------------------------------------------------------------------------------------------- */

/* The chunk's data, its checksum found right, and a NUL after it; to be freed. NULL with *st set. */
static uint8_t *read_checked(struct reader *r, const uint8_t type[4], uint32_t length, vqp_status *st)
{
    uint8_t crc[4] = {0}, *data = calloc(1, (size_t)length + 1);
    if (!data) {
        *st = no_memory(r);
        return NULL;
    }
    *st = take(r, data, length);
    if (!*st)
        *st = take(r, crc, 4);
    if (!*st && checksum(checksum(0, type, 4), data, length) != big_endian(crc))
        *st = damaged(r, "the checksum is wrong");
    if (*st) {
        free(data);
        return NULL;
    }
    return data;
}

static vqp_status pass_over(struct reader *r, uint32_t length)
{
    uint64_t n = (uint64_t)length + 4;
    if (n > r->size - r->at)
        return damaged(r, "the end comes too early");
    if (fseeko(r->f, (off_t)n, SEEK_CUR))
        return vqp_fail(r->err, VQP_E_IO, "%.240s: cannot be read: %s", r->path, strerror(errno));
    r->at += n;
    return VQP_OK;
}

static vqp_status read_header(struct reader *r)
{
    static const uint8_t start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    uint8_t head[sizeof start] = {0};
    if (r->size < sizeof head)
        return vqp_fail(r->err, VQP_E_FORMAT, "%.240s: is no PNG file", r->path);
    vqp_status st = take(r, head, sizeof head);
    if (!st && memcmp(head, start, sizeof start) != 0)
        st = vqp_fail(r->err, VQP_E_FORMAT, "%.240s: is no PNG file", r->path);
    uint8_t *data = st ? NULL : read_checked(r, start + 12, 13, &st);
    if (!data)
        return st;
    r->out->width = big_endian(data);
    r->out->height = big_endian(data + 4);
    free(data);
    return VQP_OK;
}

static vqp_status read_chunk(struct reader *r, int *end)
{
    uint8_t head[8] = {0};
    vqp_status st = take(r, head, sizeof head);
    if (st)
        return st;
    uint32_t length = big_endian(head);
    int plain = !memcmp(head + 4, "tEXt", 4), international = !memcmp(head + 4, "iTXt", 4);
    *end = !memcmp(head + 4, "IEND", 4);
    if (length > INT32_MAX)
        return damaged(r, "a chunk is longer than any can be");
    if ((!plain && !international) || length > MAX_BYTES || r->out->n == MAX_TEXTS)
        return pass_over(r, length);
    uint8_t *data = read_checked(r, head + 4, length, &st);
    if (!data)
        return st;
    st = read_text(r, international, data, length);
    free(data);
    return st;
}

/* Opened without waiting: a FIFO would never answer. */
static vqp_status open_file(struct reader *r)
{
    struct stat st;
    int fd = open(r->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        vqp_fail(r->err, VQP_E_IO, "%.240s: cannot be read: %s", r->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        vqp_fail(r->err, VQP_E_IO, "%.240s: is no regular file; give the path of a picture", r->path);
    } else {
        r->size = (uint64_t)st.st_size;
        r->f = fdopen(fd, "rb");
        if (r->f)
            return VQP_OK;
        vqp_fail(r->err, VQP_E_NOMEM, "%.240s: no memory left to read it", r->path);
    }
    if (fd >= 0)
        close(fd);
    return r->err ? r->err->code : VQP_E_IO;
}

vqp_status vqp_png_read_texts(struct vqp_arena *a, const char *path, struct vqp_png_texts *out, struct vqp_error *err)
{
    struct vqp_error ignored;
    struct reader r = {.path = path, .arena = a, .out = out, .tail = &out->first, .err = err ? err : &ignored};
    *out = (struct vqp_png_texts){0};
    vqp_status st = open_file(&r);
    if (st)
        return st;
    st = read_header(&r);
    uint32_t n = 0;
    for (int end = 0; !st && !end; n++)
        st = n < MAX_CHUNKS ? read_chunk(&r, &end) : damaged(&r, "too many chunks stand");
    fclose(r.f);
    return st;
}

/* ---- for programs ----------------------------------------------------------------------------------------------- */

static int is_ours(const struct vqp_png_texts *t)
{
    for (const struct vqp_png_entry *e = t->first; e; e = e->next)
        if (!strcmp(e->key, "Software"))
            return !strncmp(e->value, "vqpipe ", 7);
    return 0;
}

vqp_status vqpipe_read_picture(const char *path, void (*each)(void *user, const char *key, const char *value),
                               void *user, struct vqpipe_picture *out, struct vqp_error *err)
{
    struct vqp_arena arena = {0};
    struct vqp_png_texts texts;
    vqp_status st = vqp_png_read_texts(&arena, path, &texts, err);
    if (!st && !is_ours(&texts))
        st = vqp_fail(err, VQP_E_FORMAT,
                      "%.240s: holds no settings of vqpipe; it was drawn with --no-metadata, or by another program",
                      path);
    if (!st && out) {
        struct vqpipe_picture p = {
            .struct_size = out->struct_size, .width = texts.width, .height = texts.height, .n_settings = texts.n};
        memcpy(out, &p, out->struct_size < sizeof p ? out->struct_size : sizeof p);
    }
    for (const struct vqp_png_entry *e = texts.first; !st && each && e; e = e->next)
        each(user, e->key, e->value);
    vqp_arena_free(&arena);
    return st;
}
