#include "zip.h"
#include "crc32.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL = 0x04034B50, /* signatures */
    CENTRAL = 0x02014B50,
    END = 0x06054B50,
    END64 = 0x06064B50,
    LOCATOR64 = 0x07064B50,
    DESCRIPTOR = 0x08074B50,
    LOCAL_BYTES = 30, /* without name and extra fields */
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    DESCRIPTOR_BYTES = 16,
    DESCRIPTOR64_BYTES = 24,
    ENCRYPTED = 1, /* flags */
    DESCRIBED = 8, /* sizes and CRC follow the data */
    UTF8 = 0x800,
    MAX_ENTRIES = 200000,
    MAX_NAME = 512,
    NAME_TEXT = 96
};

static uint32_t u16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* What the directory says of an entry. */
struct record {
    struct vqp_zip_entry *entry;
    uint64_t at; /* of its local header */
    uint32_t flags, method, name_bytes;
};

struct parse {
    const char *file;
    const unsigned char *data;
    uint64_t size, directory, directory_bytes, count;
    struct record *records;
    struct vqp_zip *out;
    struct vqp_error *err;
};

#define REFUSE(p, ...) refuse((p)->file, (p)->err, __VA_ARGS__)
__attribute__((format(printf, 4, 5))) static vqp_status refuse(const char *file, struct vqp_error *err, uint64_t at,
                                                               const char *fmt, ...)
{
    char why[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return vqp_fail(err, VQP_E_FORMAT, "%.200s: byte %llu: %s", file, (unsigned long long)at, why);
}

static vqp_status refuse_entry(const struct parse *p, const struct record *r, const char *why)
{
    char name[NAME_TEXT];
    return vqp_fail(p->err, VQP_E_FORMAT, "%.200s: entry \"%s\": %s", p->file,
                    vqp_quote(r->entry->name, strlen(r->entry->name), name, sizeof name), why);
}

static vqp_status no_memory(const struct parse *p)
{
    return vqp_fail(p->err, VQP_E_NOMEM, "%.240s: no memory left for its list of entries", p->file);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* ZIP64: a locator right before the end record, and before that the record that it names. */
static vqp_status read_end64(struct parse *p, uint64_t end)
{
    uint64_t at = end - LOCATOR64_BYTES;
    const unsigned char *locator = p->data + at;
    uint64_t record = u64(locator + 8);
    if (u32(locator + 4) || u32(locator + 16) > 1)
        return REFUSE(p, at, "an archive in several files; join them first");
    if (at < END64_BYTES || record != at - END64_BYTES || u32(p->data + record) != END64)
        return REFUSE(p, at, "the ZIP64 end record is not where its locator says");
    const unsigned char *e = p->data + record;
    if (u64(e + 4) != END64_BYTES - 12 || u32(e + 16) || u32(e + 20) || u64(e + 24) != u64(e + 32))
        return REFUSE(p, record, "a malformed ZIP64 end record");
    const unsigned char *small = p->data + end;
    int same = (u16(small + 10) == 0xFFFF || u16(small + 10) == u64(e + 32)) &&
               (u32(small + 12) == 0xFFFFFFFF || u32(small + 12) == u64(e + 40)) &&
               (u32(small + 16) == 0xFFFFFFFF || u32(small + 16) == u64(e + 48));
    if (!same)
        return REFUSE(p, record, "the two end records differ");
    p->count = u64(e + 32);
    p->directory_bytes = u64(e + 40);
    p->directory = u64(e + 48);
    if (p->directory > record || p->directory_bytes != record - p->directory)
        return REFUSE(p, record, "the directory does not end where the end record begins; two archives in one?");
    return VQP_OK;
}

static vqp_status read_end(struct parse *p)
{
    if (p->size < END_BYTES || u32(p->data + p->size - END_BYTES) != END)
        return REFUSE(p, p->size < END_BYTES ? 0 : p->size - END_BYTES,
                      "no end record closes the archive; it is cut short, or something was added behind it; fetch it "
                      "again");
    uint64_t end = p->size - END_BYTES;
    const unsigned char *e = p->data + end;
    if (u16(e + 20))
        return REFUSE(p, end, "the archive ends with a comment; only archives without one are read");
    if (u16(e + 4) || u16(e + 6) || u16(e + 8) != u16(e + 10))
        return REFUSE(p, end, "an archive in several files; join them first");
    if (end >= LOCATOR64_BYTES && u32(e - LOCATOR64_BYTES) == LOCATOR64)
        return read_end64(p, end);
    p->count = u16(e + 10);
    p->directory_bytes = u32(e + 12);
    p->directory = u32(e + 16);
    if (p->directory > end || p->directory_bytes != end - p->directory)
        return REFUSE(p, end, "the directory does not end where the end record begins; two archives in one?");
    return VQP_OK;
}

/* ---- the directory ---------------------------------------------------------------------------------------------- */

/* Replaces those of the n values that are all ones by the ZIP64 extra field's, in its order. */
static int read_extra64(const unsigned char *extra, uint32_t bytes, uint64_t **values, uint32_t n)
{
    uint32_t wanted = 0, at = 0;
    for (uint32_t i = 0; i < n; i++)
        wanted += *values[i] == 0xFFFFFFFF;
    int found = 0;
    while (at + 4 <= bytes) {
        uint32_t id = u16(extra + at), length = u16(extra + at + 2);
        const unsigned char *from = extra + at + 4;
        if (length > bytes - at - 4)
            return 0;
        at += 4 + length;
        if (id != 1)
            continue;
        if (found++ || (wanted && length < 8 * wanted))
            return 0;
        for (uint32_t i = 0; i < n; i++)
            if (*values[i] == 0xFFFFFFFF) {
                *values[i] = u64(from);
                from += 8;
            }
    }
    return at == bytes && (found || !wanted);
}

static int bad_name(const char *name, uint32_t n)
{
    if (!n || n > MAX_NAME || vqp_utf8_check(name, n) != n || name[0] == '/' || memchr(name, '\\', n))
        return 1;
    for (uint32_t at = 0; at <= n;) {
        uint32_t end = at;
        while (end < n && name[end] != '/')
            end++;
        if (end - at == 2 && name[at] == '.' && name[at + 1] == '.')
            return 1;
        at = end + 1;
    }
    return 0;
}

static vqp_status read_record(struct parse *p, uint64_t *at, struct record *r)
{
    const unsigned char *c = p->data + *at;
    uint64_t left = p->directory + p->directory_bytes - *at;
    if (left < CENTRAL_BYTES || u32(c) != CENTRAL)
        return REFUSE(p, *at, "an entry of the directory was expected");
    uint32_t name_bytes = u16(c + 28), extra_bytes = u16(c + 30), comment_bytes = u16(c + 32);
    if (left - CENTRAL_BYTES < (uint64_t)name_bytes + extra_bytes + comment_bytes)
        return REFUSE(p, *at, "an entry of the directory runs past its end");
    const char *name = (const char *)c + CENTRAL_BYTES;
    char shown[NAME_TEXT];
    if (bad_name(name, name_bytes))
        return REFUSE(p, *at, "an entry is called \"%s\", which no name within an archive may be",
                      vqp_quote(name, name_bytes, shown, sizeof shown));
    uint64_t stored = u32(c + 20), size = u32(c + 24), offset = u32(c + 42);
    r->entry->name = vqp_arena_memdup(&p->out->arena, name, name_bytes);
    if (!r->entry->name)
        return no_memory(p);
    r->flags = u16(c + 8);
    r->method = u16(c + 10);
    r->name_bytes = name_bytes;
    r->entry->crc = u32(c + 16);
    if (r->flags & ~(uint32_t)(DESCRIBED | UTF8))
        return refuse_entry(p, r, r->flags & ENCRYPTED ? "is encrypted" : "has flags that no stored entry has");
    if (r->method)
        return refuse_entry(p, r, "is compressed; only stored entries, as torch.save writes them, are read");
    if (u16(c + 34) || !read_extra64((const unsigned char *)name + name_bytes, extra_bytes,
                                     (uint64_t *[]){&size, &stored, &offset}, 3))
        return refuse_entry(p, r, "has malformed extra fields in the directory");
    if (stored != size)
        return refuse_entry(p, r, "has two sizes, though it is not compressed");
    if (offset > p->directory || size > p->directory - offset)
        return refuse_entry(p, r, "lies outside the file");
    r->entry->size = size;
    r->at = offset;
    *at += CENTRAL_BYTES + (uint64_t)name_bytes + extra_bytes + comment_bytes;
    return VQP_OK;
}

static vqp_status read_directory(struct parse *p)
{
    if (p->count > MAX_ENTRIES)
        return REFUSE(p, p->directory, "%llu entries, at most %d are read", (unsigned long long)p->count, MAX_ENTRIES);
    if (p->count > p->directory_bytes / CENTRAL_BYTES)
        return REFUSE(p, p->directory, "%llu entries do not fit into a directory of %llu bytes",
                      (unsigned long long)p->count, (unsigned long long)p->directory_bytes);
    struct vqp_zip *z = p->out;
    z->count = (uint32_t)p->count;
    z->entries = vqp_arena_alloc(&z->arena, z->count + 1, sizeof *z->entries);
    p->records = malloc((z->count + 1) * sizeof *p->records);
    if (!z->entries || !p->records)
        return no_memory(p);
    uint64_t at = p->directory;
    for (uint32_t i = 0; i < z->count; i++) {
        p->records[i].entry = &z->entries[i];
        vqp_status status = read_record(p, &at, &p->records[i]);
        if (status)
            return status;
    }
    return at == p->directory + p->directory_bytes ? VQP_OK
                                                   : REFUSE(p, at,
                                                            "bytes lie behind the last entry of the "
                                                            "directory");
}

/* ---- the entries ------------------------------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* The local header at r->at agrees, and the entry with its descriptor ends at `end`. */
static vqp_status check_local(const struct parse *p, const struct record *r, uint64_t end)
{
    struct vqp_zip_entry *e = r->entry;
    const unsigned char *h = p->data + r->at;
    uint64_t room = end - r->at;
    if (room < LOCAL_BYTES || u32(h) != LOCAL)
        return refuse_entry(p, r, "has no local header where the directory says");
    uint32_t name_bytes = u16(h + 26), extra_bytes = u16(h + 28);
    uint64_t stored = u32(h + 18), size = u32(h + 22), head = LOCAL_BYTES + (uint64_t)name_bytes + extra_bytes;
    if (room < head || room - head < e->size)
        return refuse_entry(p, r, "overlaps what follows it");
    if (name_bytes != r->name_bytes || memcmp(h + LOCAL_BYTES, e->name, name_bytes))
        return refuse_entry(p, r, "has another name in its local header");
    if (u16(h + 6) != r->flags || u16(h + 8) != r->method)
        return refuse_entry(p, r, "has another method or other flags in its local header");
    if (!read_extra64(h + LOCAL_BYTES + name_bytes, extra_bytes, (uint64_t *[]){&size, &stored}, 2))
        return refuse_entry(p, r, "has malformed extra fields in its local header");
    e->data = h + head;
    uint64_t tail = room - head - e->size;
    int same = u32(h + 14) == e->crc && size == e->size && stored == e->size;
    if (!(r->flags & DESCRIBED)) {
        if (!same)
            return refuse_entry(p, r, "has another size or CRC in its local header");
        return tail ? refuse_entry(p, r, "is followed by bytes that belong to no entry") : VQP_OK;
    }
    if (!same && (u32(h + 14) || size || stored))
        return refuse_entry(p, r, "has another size or CRC in its local header");
    const unsigned char *d = e->data + e->size;
    if ((tail != DESCRIPTOR_BYTES && tail != DESCRIPTOR64_BYTES) || u32(d) != DESCRIPTOR)
        return refuse_entry(p, r, "is not followed by its data descriptor");
    int wide = tail == DESCRIPTOR64_BYTES;
    if (u32(d + 4) != e->crc || (wide ? u64(d + 8) : u32(d + 8)) != e->size ||
        (wide ? u64(d + 16) : u32(d + 12)) != e->size)
        return refuse_entry(p, r, "has another size or CRC in its data descriptor");
    return VQP_OK;
}

static vqp_status check_entries(const struct parse *p)
{
    uint32_t n = p->out->count;
    qsort(p->records, n, sizeof *p->records, by_place);
    if (p->directory && (!n || p->records[0].at))
        return REFUSE(p, 0, "bytes lie before the first entry; two archives in one?");
    for (uint32_t i = 0; i < n; i++) {
        vqp_status status = check_local(p, &p->records[i], i + 1 < n ? p->records[i + 1].at : p->directory);
        if (status)
            return status;
    }
    return VQP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vqp_zip_entry *)a)->name, ((const struct vqp_zip_entry *)b)->name);
}

static vqp_status sort_names(const struct parse *p)
{
    struct vqp_zip *z = p->out;
    qsort(z->entries, z->count, sizeof *z->entries, by_name);
    for (uint32_t i = 1; i < z->count; i++)
        if (!strcmp(z->entries[i - 1].name, z->entries[i].name))
            return refuse_entry(p, &(struct record){.entry = &z->entries[i]}, "is there twice");
    return VQP_OK;
}

int vqp_zip_detect(const void *data, uint64_t size)
{
    return size >= 4 && (u32(data) == LOCAL || u32(data) == END);
}

vqp_status vqp_zip_parse(const char *file, const void *data, uint64_t size, struct vqp_zip *out, struct vqp_error *err)
{
    struct parse p = {.file = file, .data = data, .size = size, .out = out, .err = err};
    *out = (struct vqp_zip){0};
    vqp_status status = read_end(&p);
    if (!status)
        status = read_directory(&p);
    if (!status && p.records)
        status = check_entries(&p);
    free(p.records);
    if (!status)
        status = sort_names(&p);
    if (status)
        vqp_zip_free(out);
    return status;
}

void vqp_zip_free(struct vqp_zip *z)
{
    vqp_arena_free(&z->arena);
    *z = (struct vqp_zip){0};
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct vqp_zip_entry *)element)->name);
}

const struct vqp_zip_entry *vqp_zip_find(const struct vqp_zip *z, const char *name)
{
    return z->count ? bsearch(name, z->entries, z->count, sizeof *z->entries, compare_name) : NULL;
}

vqp_status vqp_zip_check(const char *file, const struct vqp_zip_entry *e, struct vqp_error *err)
{
    char name[NAME_TEXT];
    uint32_t crc = vqp_crc32(0, e->data, e->size);
    if (crc == e->crc)
        return VQP_OK;
    return vqp_fail(
        err, VQP_E_FORMAT,
        "%.200s: entry \"%s\": its CRC-32 is %08x, the archive says %08x; the file is damaged, fetch it again", file,
        vqp_quote(e->name, strlen(e->name), name, sizeof name), crc, e->crc);
}
