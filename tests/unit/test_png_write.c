#include "check.h"
#include "png_write.h"
#include "scratch.h"
#include <png.h>

enum {
    W = 5,
    H = 3
};

static void picture(uint8_t rgb[W * H * 3])
{
    for (int i = 0; i < W * H * 3; i++)
        rgb[i] = (uint8_t)(i * 37 + 11);
}

/* The PNG in memory to be freed. */
static unsigned char *png_of(uint32_t scale, const struct vqp_png_text *text, uint32_t n_text, size_t *n)
{
    uint8_t rgb[W * H * 3];
    struct vqp_error err = {0};
    picture(rgb);
    FILE *f = fopen(scratch("p.png"), "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, W, H, scale, text, n_text, &err), VQP_OK);
    fclose(f);
    return (unsigned char *)scratch_read(scratch("p.png"), n);
}

/* The k-th chunk of that type: its data and length, NULL where there is none. */
static const unsigned char *chunk(const unsigned char *png, size_t n, const char *type, int k, size_t *length)
{
    for (size_t at = 8; at + 12 <= n; at += 12 + *length) {
        *length = (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 | (size_t)png[at + 2] << 8 | png[at + 3];
        if (!memcmp(png + at + 4, type, 4) && k-- == 0)
            return png + at + 8;
    }
    return NULL;
}

static void pixels(void)
{
    uint8_t rgb[W * H * 3];
    picture(rgb);
    for (uint32_t scale = 1; scale <= 8; scale += 1 + scale % 3) {
        size_t n, length;
        unsigned char *png = png_of(scale, NULL, 0, &n);
        const unsigned char *head = chunk(png, n, "IHDR", 0, &length);
        CU_ASSERT_PTR_NOT_NULL_FATAL(head);
        CU_ASSERT_EQUAL(memcmp(head + 8, "\x08\x02\0\0\0", 5), 0); /* 8 bits, RGB, not interlaced */

        png_image image = {.version = PNG_IMAGE_VERSION};
        CU_ASSERT_TRUE_FATAL(png_image_begin_read_from_memory(&image, png, n));
        CU_ASSERT(image.width == W * scale && image.height == H * scale);
        image.format = PNG_FORMAT_RGB;
        uint8_t *back = malloc(PNG_IMAGE_SIZE(image));
        CU_ASSERT_TRUE(png_image_finish_read(&image, NULL, back, 0, NULL));
        unsigned wrong = 0;
        for (uint32_t y = 0; y < H * scale; y++)
            for (uint32_t x = 0; x < W * scale; x++)
                wrong += memcmp(back + (y * W * scale + x) * 3, rgb + (y / scale * W + x / scale) * 3, 3) != 0;
        CU_ASSERT_EQUAL(wrong, 0);
        free(back);
        free(png);
    }
}

static void equal_bytes(void)
{
    static const struct vqp_png_text text[] = {{"prompt", "a house"}, {"seed", "7"}};
    size_t n, m, length;
    unsigned char *a = png_of(2, text, 2, &n), *b = png_of(2, text, 2, &m);
    CU_ASSERT(n == m && !memcmp(a, b, n));
    CU_ASSERT_PTR_NULL(chunk(a, n, "tIME", 0, &length));
    CU_ASSERT_PTR_NOT_NULL(chunk(a, n, "IEND", 0, &length));
    free(a);
    free(b);
}

/* The chunk that a value becomes, byte for byte. */
static void text_chunks(void)
{
    static const struct {
        const char *value, *type, *data;
        size_t length;
    } rows[] = {
        {"a house", "tEXt", "k\0a house", 9},
        {"", "tEXt", "k\0", 2},
        {"two\nlines", "tEXt", "k\0two\nlines", 11},
        {"caf\xC3\xA9 \xC3\xBF", "tEXt", "k\0caf\xE9 \xFF", 8},
        {"tab\t bell\a del\x7F", "tEXt", "k\0tab\\x09 bell\\x07 del\\x7F", 26},
        {"C:\\x41 \\y", "tEXt", "k\0C:\\x5Cx41 \\y", 14},
        {"c1 \xC2\x85", "tEXt", "k\0c1 \\x85", 9},
        {"broken \xFF\xE2\x82", "tEXt", "k\0broken \\xFF\\xE2\\x82", 21},
        {"\xE2\x82\xAC", "iTXt", "k\0\0\0\0\0\xE2\x82\xAC", 9},
        {"\xF0\x9F\x98\x80 \xC3\xA9\x1B[m\xFF", "iTXt", "k\0\0\0\0\0\xF0\x9F\x98\x80 \xC3\xA9\\x1B[m\\xFF", 23},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct vqp_png_text text = {"k", rows[i].value};
        size_t n, length = 0;
        unsigned char *png = png_of(1, &text, 1, &n);
        const unsigned char *data = chunk(png, n, rows[i].type, 0, &length);
        CU_ASSERT_PTR_NOT_NULL(data);
        CU_ASSERT_EQUAL(length, rows[i].length);
        if (data && length == rows[i].length)
            CU_ASSERT_EQUAL(memcmp(data, rows[i].data, length), 0);
        CU_ASSERT_PTR_NULL(chunk(png, n, rows[i].type[0] == 't' ? "iTXt" : "tEXt", 0, &length));
        free(png);
    }
}

static void several_texts(void)
{
    static const struct vqp_png_text text[] = {{"one", "1"}, {"two", "\xE2\x82\xAC"}, {"three", "3"}};
    size_t n, length;
    unsigned char *png = png_of(1, text, 3, &n);
    const unsigned char *data = chunk(png, n, "tEXt", 0, &length);
    CU_ASSERT(data && !memcmp(data, "one\0001", 5));
    data = chunk(png, n, "tEXt", 1, &length);
    CU_ASSERT(data && !memcmp(data, "three\0003", 7));
    data = chunk(png, n, "iTXt", 0, &length);
    CU_ASSERT(data && !memcmp(data, "two\0", 4));
    free(png);
}

static void long_text(void)
{
    char *value = malloc(100001);
    memset(value, '\1', 100000);
    value[100000] = 0;
    const struct vqp_png_text text = {"prompt", value};
    size_t n, length = 0;
    unsigned char *png = png_of(1, &text, 1, &n);
    CU_ASSERT_PTR_NOT_NULL(chunk(png, n, "tEXt", 0, &length));
    CU_ASSERT_EQUAL(length, 7 + 400000);
    free(png);
    free(value);
}

static void bad_arguments(void)
{
    static const uint8_t rgb[3] = {0};
    struct vqp_error err = {0};
    FILE *f = fopen(scratch("bad.png"), "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 1, 1, 0, NULL, 0, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 1, 1, 9, NULL, 0, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "scale 9 is out of range; 1..8");
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 0, 1, 1, NULL, 0, &err), VQP_E_OUTPUT);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 1, 0, 1, NULL, 0, &err), VQP_E_OUTPUT);
    CU_ASSERT_EQUAL(vqp_png_write(f, rgb, 0x40000000, 1, 8, NULL, 0, &err), VQP_E_OUTPUT);
    CU_ASSERT_EQUAL(ftell(f), 0);
    fclose(f);
}

/* A small picture fits the stream's buffer and fails at fflush alone, a large one inside libpng. */
static void full_disk(void)
{
    static const uint32_t sizes[] = {8, 256};
    static const struct vqp_png_text text = {"prompt", "a house"};
    for (int i = 0; i < 2; i++) {
        uint32_t s = sizes[i], state = 1;
        struct vqp_error err = {0};
        FILE *f = fopen("/dev/full", "wb");
        if (!f)
            SKIP("no /dev/full");
        uint8_t *rgb = malloc((size_t)s * s * 3);
        for (uint32_t k = 0; k < s * s * 3; k++)
            rgb[k] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
        CU_ASSERT_EQUAL(vqp_png_write(f, rgb, s, s, 1, &text, 1, &err), VQP_E_OUTPUT);
        CHECK_STR_HAS(err.msg, "No space left on device");
        free(rgb);
        fclose(f);
    }
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"writes the pixels, each as often as scale says", pixels},
        {"writes equal bytes for equal input, and no time", equal_bytes},
        {"writes Latin-1 as tEXt and the rest as iTXt, without control characters", text_chunks},
        {"writes several texts", several_texts},
        {"writes a long text", long_text},
        {"refuses scales and sizes out of range", bad_arguments},
        {"reports a full disk for small and large pictures", full_disk},
    };
    scratch_begin();
    return RUN_CASES("png_write", cases);
}
