#include "check.h"
#include "torch_file.h"
#include "zip.h"

static const unsigned char numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct zip archive(int plain, int wide)
{
    struct zip z = {.plain = plain, .wide = wide};
    zip_add(&z, "a/data.pkl", "pickle", 6);
    zip_add(&z, "a/data/0", numbers, sizeof numbers);
    zip_add(&z, "a/data/1", "", 0);
    zip_add(&z, "a/data/2", numbers, 3);
    zip_finish(&z);
    return z;
}

/* In a block of its own size, so that a sanitizer sees what reads past the end. */
static vqp_status parse(const void *data, size_t n, struct vqp_zip *out, void **block, struct vqp_error *err)
{
    *block = malloc(n ? n : 1);
    memcpy(*block, data, n);
    vqp_status status = vqp_zip_parse("file.bin", *block, n, out, err);
    if (status) {
        free(*block);
        *block = NULL;
        CU_ASSERT_PTR_NULL(out->entries);
        CU_ASSERT_EQUAL(err->code, status);
        CHECK_STR_HAS(err->msg, "file.bin: ");
    }
    return status;
}

static void refused(const struct zip *z, const char *part)
{
    struct vqp_zip out;
    struct vqp_error err = {0};
    void *block;
    vqp_status status = parse(z->b.at, z->b.n, &out, &block, &err);
    CU_ASSERT_EQUAL(status, VQP_E_FORMAT);
    if (status)
        CHECK_STR_HAS(err.msg, part);
    else
        printf("\n    not refused: \"%s\" was expected\n", part);
    if (!status)
        vqp_zip_free(&out);
    free(block);
}

static void set(struct zip *z, size_t at, uint64_t x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z->b.at[at + i] = (unsigned char)(x >> 8 * i);
}

static void sound(void)
{
    for (int plain = 0; plain < 2; plain++)
        for (int wide = 0; wide < 2; wide++) {
            struct zip z = archive(plain, wide);
            struct vqp_zip out;
            struct vqp_error err = {0};
            void *block;
            vqp_status status = parse(z.b.at, z.b.n, &out, &block, &err);
            CU_ASSERT_EQUAL(status, VQP_OK);
            if (status) {
                printf("\n    plain %d, wide %d: %s\n", plain, wide, err.msg);
                continue;
            }
            CU_ASSERT_EQUAL(out.count, 4);
            const struct vqp_zip_entry *e = vqp_zip_find(&out, "a/data/0");
            CU_ASSERT_PTR_NOT_NULL_FATAL(e);
            CU_ASSERT_EQUAL(e->size, sizeof numbers);
            CU_ASSERT_EQUAL(memcmp(e->data, numbers, sizeof numbers), 0);
            CU_ASSERT_EQUAL((uint64_t)(e->data - (const unsigned char *)block) % 64, 0);
            CU_ASSERT_EQUAL(vqp_zip_check("file.bin", e, &err), VQP_OK);
            CU_ASSERT_EQUAL(vqp_zip_find(&out, "a/data/1")->size, 0);
            CU_ASSERT_PTR_NULL(vqp_zip_find(&out, "a/data/3"));
            CU_ASSERT_PTR_NULL(vqp_zip_find(&out, ""));
            for (uint32_t i = 1; i < out.count; i++)
                CU_ASSERT(strcmp(out.entries[i - 1].name, out.entries[i].name) < 0);
            vqp_zip_free(&out);
            free(block);
        }
    CU_ASSERT_TRUE(vqp_zip_detect("PK\3\4", 4));
    CU_ASSERT_FALSE(vqp_zip_detect("PK\3\4", 3));
    CU_ASSERT_FALSE(vqp_zip_detect("{\"a\"", 4));
}

static void truncated(void)
{
    for (int wide = 0; wide < 2; wide++) {
        struct zip z = archive(0, wide);
        size_t accepted = 0;
        for (size_t n = 0; n < z.b.n; n++) {
            struct vqp_zip out;
            struct vqp_error err = {0};
            void *block;
            if (!parse(z.b.at, n, &out, &block, &err)) {
                accepted++;
                vqp_zip_free(&out);
                free(block);
            }
        }
        CU_ASSERT_EQUAL(accepted, 0);
    }
}

/* Whatever one byte becomes, the archive is refused, or it still has the same entries with the same bytes. */
static void flipped(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct zip z = archive(kind & 1, kind >> 1);
        unsigned changed = 0;
        for (size_t at = 0; at < z.b.n; at++)
            for (int bit = 0; bit < 8; bit++) {
                struct vqp_zip out;
                struct vqp_error err = {0};
                void *block;
                z.b.at[at] ^= (unsigned char)(1 << bit);
                if (!parse(z.b.at, z.b.n, &out, &block, &err)) {
                    const struct vqp_zip_entry *e = vqp_zip_find(&out, "a/data/0");
                    int same = out.count == 4 && e && e->size == sizeof numbers;
                    if (same && !vqp_zip_check("file.bin", e, &err))
                        same = !memcmp(e->data, numbers, sizeof numbers);
                    changed += !same;
                    vqp_zip_free(&out);
                    free(block);
                }
                z.b.at[at] ^= (unsigned char)(1 << bit);
            }
        CU_ASSERT_EQUAL(changed, 0);
    }
}

static void no_end(void)
{
    struct zip z = archive(0, 0);
    put(&z.b, "more", 4);
    refused(&z, "no end record closes the archive");
    z = archive(0, 0);
    set(&z, z.end + 20, 26, 2); /* another end record hides behind a comment */
    for (size_t i = 0; i < 26; i++)
        put(&z.b, "c", 1);
    refused(&z, "no end record closes the archive");
    z = archive(0, 0);
    struct bytes end = {.n = 0};
    put(&end, z.b.at + z.end, z.b.n - z.end);
    set(&z, z.end + 20, end.n, 2);
    put(&z.b, end.at, end.n); /* each of the two can be taken for the end */
    refused(&z, "two archives in one");
    z = archive(0, 0);
    set(&z, z.end + 20, 1, 2);
    refused(&z, "ends with a comment");
    z = archive(0, 0);
    set(&z, z.end + 4, 1, 2);
    refused(&z, "in several files");
    z = archive(0, 0);
    set(&z, z.end + 10, 3, 2);
    refused(&z, "in several files");
    z = archive(0, 0);
    set(&z, z.end + 8, 3, 2);
    set(&z, z.end + 10, 3, 2);
    refused(&z, "behind the last entry of the directory");
    z = archive(0, 0);
    set(&z, z.end + 8, 5, 2);
    set(&z, z.end + 10, 5, 2);
    refused(&z, "5 entries do not fit into a directory");
    z = archive(0, 0);
    set(&z, z.entry[2].central, 0, 4);
    refused(&z, "an entry of the directory was expected");
}

static void two_archives(void)
{
    struct zip z = archive(0, 0), both = archive(0, 0);
    put(&both.b, z.b.at, z.b.n);
    refused(&both, "two archives in one");
    /* What lies before, with all places put right. */
    struct zip behind = {0};
    put(&behind.b, "#!/bin/sh\n", 10);
    zip_add(&behind, "a/data.pkl", "pickle", 6);
    zip_finish(&behind);
    refused(&behind, "bytes lie before the first entry");
    /* A hole between two entries. */
    struct zip hole = {.plain = 1};
    zip_add(&hole, "a/data.pkl", "pickle", 6);
    put(&hole.b, "hidden", 6);
    zip_add(&hole, "a/data/0", numbers, 8);
    zip_finish(&hole);
    refused(&hole, "is followed by bytes that belong to no entry");
}

static void headers_differ(void)
{
    static const struct {
        size_t at, bytes;
        uint64_t x;
        const char *says;
    } central[] =
        {
            {8, 2, 0x809, "is encrypted"},
            {8, 2, 0x828, "flags that no stored entry has"},
            {8, 2, 0x800, "other flags"},
            {10, 2, 8, "is compressed"},
            {16, 4, 1, "another size or CRC"},
            {20, 4, 7, "two sizes"},
            {24, 4, 7, "two sizes"},
            {28, 2, 9, "runs past its end"},
            {30, 2, 0xFFFF, "runs past its end"},
            {34, 2, 1, "malformed extra fields"},
            {42, 4, 1, "no local header"},
            {42, 4, 0xFFFFFFF0, "outside the file"},
            {42, 4, 0xFFFFFFFF, "malformed extra fields"},
            {46, 1, '/', "no name within an archive"},
            {46, 1, 'b', "another name"},
            {46, 1, 0, "no name within an archive"},
            {46, 1, '\\', "no name within an archive"},
        },
      local[] = {
          {0, 4, 0, "no local header"},      {6, 2, 0x800, "other flags"},
          {8, 2, 8, "another method"},       {14, 4, 1, "another size or CRC"},
          {18, 4, 9, "another size or CRC"}, {22, 4, 9, "another size or CRC"},
          {26, 2, 1, "another name"},        {28, 2, 0xFFFF, "overlaps what follows"},
          {30, 1, 'b', "another name"},
      };
    for (size_t i = 0; i < sizeof central / sizeof *central; i++) {
        struct zip z = archive(0, 0);
        set(&z, z.entry[3].central + central[i].at, central[i].x, central[i].bytes);
        refused(&z, central[i].says);
    }
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        struct zip z = archive(0, 0);
        set(&z, z.entry[1].local + local[i].at, local[i].x, local[i].bytes);
        refused(&z, local[i].says);
    }
    for (size_t at = 0; at < 16; at += 4) {
        struct zip z = archive(0, 0);
        set(&z, z.entry[1].descriptor + at, 77, 4);
        refused(&z, at ? "in its data descriptor" : "not followed by its data descriptor");
    }
}

static void names(void)
{
    static const char *const bad[] = {"../x", "a/../x", "a/..", "/x", "..", "a\\b", "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct zip z = {0};
        zip_add(&z, bad[i], "x", 1);
        zip_finish(&z);
        refused(&z, "no name within an archive");
    }
    static const char *const good[] = {"..x", "a/..b", "a/b..", "a/", "...", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct zip z = {0};
        struct vqp_zip out;
        struct vqp_error err;
        void *block;
        zip_add(&z, good[i], "x", 1);
        zip_finish(&z);
        vqp_status status = parse(z.b.at, z.b.n, &out, &block, &err);
        CU_ASSERT_EQUAL(status, VQP_OK);
        if (!status)
            vqp_zip_free(&out);
        free(block);
    }
    struct zip z = {0};
    zip_add(&z, "a/b", "x", 1);
    zip_add(&z, "a/c", "x", 1);
    zip_add(&z, "a/b", "y", 1);
    zip_finish(&z);
    refused(&z, "entry \"a/b\": is there twice");
}

/* Two entries that share bytes: the second's header lies within the first's data. */
static void overlap(void)
{
    struct zip inner = {.plain = 1}, z = {.plain = 1};
    zip_add(&inner, "b", "x", 1);
    zip_add(&z, "a", inner.b.at, inner.b.n);
    z.entry[z.count++] =
        (struct zip_place){.name = "b", .local = z.entry[0].data, .size = 1, .crc = inner.entry[0].crc};
    zip_finish(&z);
    refused(&z, "overlaps what follows it");
    struct zip same = archive(0, 0);
    set(&same, same.entry[3].central + 42, same.entry[1].local, 4);
    refused(&same, "no local header");
}

static void zip64_lies(void)
{
    struct zip z = archive(0, 1);
    size_t end64 = z.end - 20 - 56, extra = z.entry[1].central + 46 + 8;
    static const struct {
        int from_end;
        size_t at;
        uint64_t x;
        const char *says;
    } rows[] = {
        {1, 0, 0, "not where its locator says"},
        {1, 4, 45, "malformed ZIP64 end record"},
        {1, 16, 1, "malformed ZIP64 end record"},
        {1, 24, 3, "malformed ZIP64 end record"},
        {1, 40, UINT64_MAX, "two archives in one"},
        {1, 48, UINT64_MAX, "two archives in one"},
        {1, 48, 1, "two archives in one"},
        {1, 56 + 8, 5, "not where its locator says"},
        {1, 56 + 8, UINT64_MAX, "not where its locator says"},
        {0, 2, 16, "malformed extra fields"},
        {0, 2, 0xFFFF, "malformed extra fields"},
        {0, 4, UINT64_MAX, "two sizes"},
        {0, 12, 9, "two sizes"},
        {0, 20, UINT64_MAX, "outside the file"},
        {0, 20, UINT64_MAX - 1, "outside the file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zip bad = z;
        size_t n = rows[i].from_end ? (rows[i].at == 0 || rows[i].at == 16 ? 4 : 8) : rows[i].at == 2 ? 2 : 8;
        set(&bad, (rows[i].from_end ? end64 : extra) + rows[i].at, rows[i].x, n);
        refused(&bad, rows[i].says);
    }
    struct zip bad = z; /* both counts */
    set(&bad, end64 + 24, 1000000, 8);
    set(&bad, end64 + 32, 1000000, 8);
    refused(&bad, "1000000 entries, at most");
    set(&bad, end64 + 24, 1000, 8);
    set(&bad, end64 + 32, 1000, 8);
    refused(&bad, "do not fit into a directory");
    bad = z; /* the old end record says otherwise */
    set(&bad, bad.end + 10, 3, 2);
    set(&bad, bad.end + 8, 3, 2);
    refused(&bad, "the two end records differ");
    bad = z; /* both sizes, the same lie */
    set(&bad, extra + 4, UINT64_MAX - 64, 8);
    set(&bad, extra + 12, UINT64_MAX - 64, 8);
    refused(&bad, "outside the file");
}

static void damaged(void)
{
    struct zip z = archive(0, 0);
    struct vqp_zip out;
    struct vqp_error err = {0};
    z.b.at[z.entry[1].data + 3] ^= 16;
    CU_ASSERT_EQUAL_FATAL(vqp_zip_parse("file.bin", z.b.at, z.b.n, &out, &err), VQP_OK); /* content is not read yet */
    CU_ASSERT_EQUAL(vqp_zip_check("file.bin", vqp_zip_find(&out, "a/data/0"), &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "file.bin: entry \"a/data/0\": its CRC-32 is ");
    CU_ASSERT_EQUAL(vqp_zip_check("file.bin", vqp_zip_find(&out, "a/data/2"), &err), VQP_OK);
    vqp_zip_free(&out);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"lists the entries of sound archives, ZIP64 and plain ones too", sound},
        {"refuses an archive cut at any byte", truncated},
        {"no flipped bit changes an entry unnoticed", flipped},
        {"wants one end record, at the end", no_end},
        {"refuses two archives in one file, and holes", two_archives},
        {"refuses headers that differ from the directory", headers_differ},
        {"refuses names that lead out, and duplicates", names},
        {"refuses entries that overlap", overlap},
        {"refuses ZIP64 fields that lie", zip64_lies},
        {"finds damage by the CRC", damaged},
    };
    return RUN_CASES("zip", cases);
}
