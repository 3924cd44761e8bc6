/* sheet OUT.png COLUMNS IN.png...: pictures of one size on one sheet, row by row, on white with a gap between them.
 *
 *   cc tools/sheet.c $(pkg-config --cflags --libs libpng) -o sheet */
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 8,
    MAX_SIDE = 8192
};

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "sheet: %s: %s\n", path, what);
    return 1;
}

/* 8-bit RGB, to be freed; NULL after a message. */
static uint8_t *read_picture(const char *path, uint32_t *w, uint32_t *h)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path)) {
        fail(path, image.message);
        return NULL;
    }
    image.format = PNG_FORMAT_RGB;
    int fits = image.width <= MAX_SIDE && image.height <= MAX_SIDE;
    uint8_t *rgb = fits ? malloc(PNG_IMAGE_SIZE(image)) : NULL;
    if (!rgb || !png_image_finish_read(&image, NULL, rgb, 0, NULL)) {
        fail(path, rgb ? image.message : fits ? "out of memory" : "is larger than 8192 pixels");
        png_image_free(&image);
        free(rgb);
        return NULL;
    }
    *w = image.width;
    *h = image.height;
    return rgb;
}

struct sheet {
    uint8_t *rgb;
    uint32_t columns, n, w, h; /* w and h of one picture */
};

static uint32_t sheet_width(const struct sheet *s)
{
    return s->columns * (s->w + GAP) - GAP;
}

static uint32_t sheet_height(const struct sheet *s)
{
    return (s->n + s->columns - 1) / s->columns * (s->h + GAP) - GAP;
}

/* The first picture decides on the size of all. */
static int place(struct sheet *s, uint32_t k, const char *path)
{
    uint32_t w = 0, h = 0;
    uint8_t *rgb = read_picture(path, &w, &h);
    int bad = !rgb;
    if (rgb && !k) {
        s->w = w;
        s->h = h;
        size_t bytes = (size_t)sheet_width(s) * sheet_height(s) * 3;
        s->rgb = malloc(bytes);
        if (s->rgb)
            memset(s->rgb, 255, bytes);
        else
            bad = fail(path, "no memory left for the sheet");
    } else if (rgb && (w != s->w || h != s->h)) {
        bad = fail(path, "has another size than the first picture");
    }
    size_t row = (size_t)w * 3, stride = (size_t)sheet_width(s) * 3;
    for (uint32_t y = 0; !bad && y < h; y++)
        memcpy(s->rgb + (k / s->columns * (h + GAP) + y) * stride + (size_t)(k % s->columns) * (row + (size_t)GAP * 3),
               rgb + y * row, row);
    free(rgb);
    return bad;
}

int main(int argc, char **argv)
{
    int columns = argc > 3 ? atoi(argv[2]) : 0;
    if (columns < 1 || columns > 64 || argc > 1027) {
        fprintf(stderr, "usage: sheet OUT.png COLUMNS IN.png...\n");
        return 2;
    }
    struct sheet s = {.n = (uint32_t)argc - 3, .columns = (uint32_t)columns};
    int code = 0;
    for (uint32_t k = 0; !code && k < s.n; k++)
        code = place(&s, k, argv[3 + k]);
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    if (!code) {
        image.width = sheet_width(&s);
        image.height = sheet_height(&s);
        if (!png_image_write_to_file(&image, argv[1], 0, s.rgb, 0, NULL))
            code = fail(argv[1], image.message);
    }
    free(s.rgb);
    return code;
}
