#include "check.h"
#include "png_read.h"
#include "png_write.h"
#include "scratch.h"
#include <sys/stat.h>
#include <vqpipe/vqpipe.h>

static struct vqp_error err;

/* ---- a file, chunk by chunk ------------------------------------------------------------------------------------- */

static uint8_t file[1 << 20];
static size_t used;

static void bytes(const void *data, size_t n)
{
    memcpy(file + used, data, n);
    used += n;
}

static void number(uint32_t v)
{
    const uint8_t b[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    bytes(b, 4);
}

static uint32_t crc_of(const uint8_t *data, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void chunk(const char *type, const void *data, size_t n)
{
    number((uint32_t)n);
    size_t begin = used;
    bytes(type, 4);
    bytes(data, n);
    number(crc_of(file + begin, used - begin));
}

static void begin(void)
{
    used = 0;
    bytes("\x89PNG\r\n\x1A\n", 8);
    chunk("IHDR", "\0\0\1\0\0\0\0\x80\x08\2\0\0", 13);
}

#define TEXT(type, s) chunk((type), (s), sizeof(s) - 1)

static const char *end(void)
{
    chunk("IDAT", "anything", 8);
    chunk("IEND", "", 0);
    return scratch_write("p.png", file, used);
}

struct kept {
    uint32_t n;
    char text[65536];
};

static void keep(void *user, const char *key, const char *value)
{
    struct kept *k = user;
    size_t at = strlen(k->text);
    snprintf(k->text + at, sizeof k->text - at, "%s=%s;", key, value);
    k->n++;
}

static vqp_status texts_of(const char *path, struct kept *out)
{
    struct vqpipe_picture info = {.struct_size = sizeof info};
    *out = (struct kept){0};
    err = (struct vqp_error){0};
    vqp_status st = vqpipe_read_picture(path, keep, out, &info, &err);
    if (!st)
        CU_ASSERT_TRUE(info.width == 256 && info.height == 128 && info.n_settings == out->n);
    return st;
}

static void check(const char *want)
{
    struct kept k;
    CU_ASSERT_EQUAL(texts_of(end(), &k), VQP_OK);
    CU_ASSERT_STRING_EQUAL(k.text, want);
}

static void refused(const char *path, vqp_status status, const char *says)
{
    struct kept k;
    CU_ASSERT_EQUAL(texts_of(path, &k), status);
    CHECK_STR_HAS(err.msg, says);
    CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
    CU_ASSERT_EQUAL(k.n, 0);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

static void what_was_written(void)
{
    static const uint8_t rgb[3];
    static const struct vqp_png_text text[] = {
        {"Software", "vqpipe 0.1.0"},
        {"empty", ""},
        {"lines", "one\ntwo"},
        {"latin", "caf\xC3\xA9"},
        {"other", "\xE2\x82\xAC 7"},
        {"controls", "\x01\t\x1B[31m\x7F\xC2\x85"},
        {"backslash", "C:\\x, \\x41 \\\\x"},
        {"mixed", "\xE2\x82\xAC \\x5C \x1B\r\n"},
    };
    const uint32_t n = sizeof text / sizeof *text;
    struct vqp_arena a = {0};
    struct vqp_png_texts back;
    FILE *f = fopen(scratch("w.png"), "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 1, 1, 3, text, n, &err), VQP_OK);
    fclose(f);
    CU_ASSERT_EQUAL_FATAL(vqp_png_read_texts(&a, scratch("w.png"), &back, &err), VQP_OK);
    CU_ASSERT_TRUE(back.width == 3 && back.height == 3 && back.n == n);
    const struct vqp_png_entry *e = back.first;
    for (uint32_t i = 0; i < n && e; i++, e = e->next) {
        CU_ASSERT_STRING_EQUAL(e->key, text[i].key);
        CU_ASSERT_STRING_EQUAL(e->value, text[i].value);
    }
    CU_ASSERT_PTR_NULL(e);
    vqp_arena_free(&a);
}

static void the_first_of_a_key(void)
{
    begin();
    TEXT("tEXt", "Software\0vqpipe 1");
    TEXT("tEXt", "seed\0"
                 "7");
    TEXT("iTXt", "seed\0\0\0\0\0"
                 "8");
    check("Software=vqpipe 1;seed=7;");
}

static void what_is_no_text_is_passed_over(void)
{
    begin();
    TEXT("tEXt", "Software\0vqpipe 1");
    TEXT("tEXt", "k\0has a \0 in it");
    TEXT("tEXt", "\0no key");
    TEXT("tEXt", "new\nline\0x");
    TEXT("tEXt", "\x1B[31m\0x");
    TEXT("tEXt", "caf\xE9\0x");
    TEXT("iTXt", "compressed\0\1\0\0\0x\x9C...");
    TEXT("iTXt", "broken\0\0\0\0\0\xFF\xFE");
    TEXT("iTXt", "surrogate\0\0\0\0\0\xED\xA0\x80");
    TEXT("zTXt", "k\0\0x\x9C...");
    TEXT("tEXt", "k\0\\x00 \\xZZ \\x1");
    char key[90];
    memset(key, 'k', sizeof key);
    key[80] = 0;
    chunk("tEXt", key, 82);
    check("Software=vqpipe 1;k=\\x00 \\xZZ \\x1;");
}

static void texts_after_the_pixels(void)
{
    begin();
    chunk("IDAT", "x", 1);
    TEXT("tEXt", "Software\0vqpipe 1");
    check("Software=vqpipe 1;");
}

static void a_bounded_number_of_bounded_texts(void)
{
    static char text[300000];
    struct kept k;
    begin();
    TEXT("tEXt", "Software\0vqpipe 1");
    memset(text, 'a', sizeof text);
    strcpy(text, "long");
    chunk("tEXt", text, sizeof text);
    strcpy(text, "near");
    chunk("tEXt", text, 60000);
    for (int i = 0; i < 100; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "k%d", i);
        chunk("tEXt", key, (size_t)n + 1);
    }
    CU_ASSERT_EQUAL(texts_of(end(), &k), VQP_OK);
    CU_ASSERT_EQUAL(k.n, 64);
    CU_ASSERT_PTR_NULL(strstr(k.text, "long="));
    CU_ASSERT_PTR_NOT_NULL(strstr(k.text, ";near=aaaa"));
}

static void other_programs(void)
{
    begin();
    refused(end(), VQP_E_FORMAT, "holds no settings of vqpipe");
    begin();
    TEXT("tEXt", "Software\0someone else");
    TEXT("tEXt", "prompt\0x");
    refused(end(), VQP_E_FORMAT, "p.png: holds no settings of vqpipe");
}

static void what_is_no_file(void)
{
    refused(scratch("nowhere.png"), VQP_E_IO, "nowhere.png: cannot be read: No such file");
    refused(scratch(""), VQP_E_IO, "is no regular file");
    CU_ASSERT_EQUAL(mkfifo(scratch("fifo.png"), 0600), 0);
    refused(scratch("fifo.png"), VQP_E_IO, "is no regular file");
    refused(scratch_write("e.png", "", 0), VQP_E_FORMAT, "is no PNG file");
    refused(scratch_write("e.png", "GIF89a, and more of it", 22), VQP_E_FORMAT, "is no PNG file");
}

static void damage(void)
{
    begin();
    TEXT("tEXt", "Software\0vqpipe 1");
    size_t whole = used;
    file[whole - 1] ^= 1;
    refused(end(), VQP_E_FORMAT, "the checksum is wrong");
    begin();
    file[20] ^= 1;
    refused(end(), VQP_E_FORMAT, "the checksum is wrong");
    begin();
    number(0xFFFFFFFF);
    bytes("tEXt", 4);
    refused(end(), VQP_E_FORMAT, "longer than any can be");
    begin();
    number(0x7FFFFFFF);
    bytes("IDAT", 4);
    refused(end(), VQP_E_FORMAT, "the end comes too early");
    begin();
    number(1000);
    bytes("tEXt", 4);
    refused(end(), VQP_E_FORMAT, "the end comes too early");
    begin();
    chunk("tEXt", "no end of key", 13);
    refused(end(), VQP_E_FORMAT, "without a key");
    begin();
    chunk("iTXt", "key\0\0", 5);
    refused(end(), VQP_E_FORMAT, "cut short");
    begin();
    chunk("iTXt", "key\0\0\0", 6);
    refused(end(), VQP_E_FORMAT, "cut short");
    begin();
    chunk("iTXt", "key\0\0\0en", 8);
    refused(end(), VQP_E_FORMAT, "cut short");
}

/* Every cut and every flipped bit of a good file: a status, no leak, and no file left open. */
static void any_damage(void)
{
    struct kept k;
    begin();
    TEXT("tEXt", "Software\0vqpipe 1");
    TEXT("iTXt", "prompt\0\0\0\0\0\xE2\x82\xAC");
    end();
    size_t n = used;
    unsigned before = open_files();
    for (size_t cut = 0; cut < n; cut++)
        CU_ASSERT_NOT_EQUAL(texts_of(scratch_write("cut.png", file, cut), &k), VQP_OK);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        vqp_status st = texts_of(scratch_write("bit.png", file, n), &k);
        CU_ASSERT_TRUE(st == VQP_OK || st == VQP_E_FORMAT);
        CU_ASSERT_TRUE(st == VQP_OK || k.n == 0);
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"reads what png_write.c wrote, escapes undone", what_was_written},
        {"takes the first of a key", the_first_of_a_key},
        {"passes over what is no text", what_is_no_text_is_passed_over},
        {"finds texts after the pixels", texts_after_the_pixels},
        {"keeps a bounded number of bounded texts", a_bounded_number_of_bounded_texts},
        {"says when the picture is of another program", other_programs},
        {"refuses what is no PNG file, without waiting", what_is_no_file},
        {"refuses damage", damage},
        {"survives any cut and any flipped bit", any_damage},
    };
    scratch_begin();
    return RUN_CASES("png_read", cases);
}
