#include "png_write.h"
#include "arena.h"
#include "text.h"
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SCALE = 8,
    ZLIB_LEVEL = 6
};

/* Everything that must survive libpng's longjmp: no local is changed between setjmp and a jump. */
struct writer {
    FILE *f;
    png_structp png;
    png_infop info;
    png_textp text;
    struct vqp_arena arena;
    jmp_buf jump;
    int out_of_memory, saved_errno;
    char message[160];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct writer *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", message);
    longjmp(w->jump, 1);
}

/* Only about text keys that libpng corrects. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t n)
{
    struct writer *w = png_get_io_ptr(png);
    errno = 0;
    if (fwrite(data, 1, n, w->f) != n) {
        w->saved_errno = errno;
        png_error(png, "write error");
    }
}

static void on_flush(png_structp png)
{
    (void)png;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t n)
{
    struct writer *w = png_get_mem_ptr(png);
    void *p = malloc(n);
    w->out_of_memory |= !p;
    return p;
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    free(p);
}

/* The next character of valid UTF-8 from s[*i] on. */
static uint32_t decode(const char *s, size_t *i)
{
    unsigned char a = (unsigned char)s[(*i)++];
    if (a < 0x80)
        return a;
    int more = a >= 0xF0 ? 3 : a >= 0xE0 ? 2 : 1;
    uint32_t c = a & (0x3Fu >> more);
    while (more--)
        c = c << 6 | ((unsigned char)s[(*i)++] & 0x3F);
    return c;
}

static int is_control(uint32_t c)
{
    return (c < 0x20 && c != '\n') || (c >= 0x7F && c < 0xA0);
}

/* The value as UTF-8 without control characters or ill-formed bytes: those become \xNN. The PNG specification discourages them, and
 * terminals obey them. A backslash before an x becomes \x5C, so that png_read.c can undo it all. NULL when memory is out. */
static char *clean(struct vqp_arena *a, const char *s)
{
    size_t n = strlen(s), at = 0, used = 0;
    char *dst = vqp_arena_alloc(a, n + 1, 4); /* an escape has four bytes */
    while (dst && at < n) {
        size_t end = at + vqp_utf8_check(s + at, n - at);
        while (at < end) {
            size_t begin = at;
            uint32_t c = decode(s, &at);
            if (is_control(c) || (c == '\\' && at < n && s[at] == 'x')) {
                used += (size_t)sprintf(dst + used, "\\x%02X", (unsigned)c);
            } else {
                memcpy(dst + used, s + begin, at - begin);
                used += at - begin;
            }
        }
        if (at < n)
            used += (size_t)sprintf(dst + used, "\\x%02X", (unsigned char)s[at++]);
    }
    return dst;
}

/* From UTF-8, in place; nonzero, and nothing changed, where a character is not in Latin-1. */
static int to_latin1(char *s)
{
    size_t n = strlen(s), used = 0;
    for (size_t i = 0; i < n;)
        if (decode(s, &i) > 0xFF)
            return -1;
    for (size_t i = 0; i < n;)
        s[used++] = (char)decode(s, &i);
    s[used] = 0;
    return 0;
}

static int convert_text(struct writer *w, const struct vqp_png_text *text, uint32_t n)
{
    static char none[] = "";
    w->text = vqp_arena_alloc(&w->arena, n, sizeof *w->text);
    if (!w->text)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        png_textp t = &w->text[i];
        t->key = vqp_arena_strdup(&w->arena, text[i].key);
        t->text = clean(&w->arena, text[i].value);
        if (!t->key || !t->text)
            return -1;
        if (to_latin1(t->text)) {
            t->compression = PNG_ITXT_COMPRESSION_NONE;
            t->itxt_length = strlen(t->text);
            t->lang = t->lang_key = none;
        } else {
            t->compression = PNG_TEXT_COMPRESSION_NONE;
            t->text_length = strlen(t->text);
        }
    }
    return 0;
}

/* One picture row, each pixel `scale` times. */
static void widen(uint8_t *dst, const uint8_t *src, uint32_t w, uint32_t scale)
{
    for (uint32_t x = 0; x < w; x++, src += 3)
        for (uint32_t k = 0; k < scale; k++, dst += 3)
            memcpy(dst, src, 3);
}

/* The part that may jump: 0, or -1 with w->message. */
static int write_all(struct writer *w, const uint8_t *rgb, uint8_t *row, uint32_t width, uint32_t height,
                     uint32_t scale, uint32_t n_text)
{
    if (setjmp(w->jump))
        return -1;
    w->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, w, on_error, on_warning, w, on_malloc, on_free);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    if (!w->info) {
        snprintf(w->message, sizeof w->message, "libpng cannot start");
        return -1;
    }
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_compression_level(w->png, ZLIB_LEVEL);
    png_set_IHDR(w->png, w->info, width * scale, height * scale, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (n_text)
        png_set_text(w->png, w->info, w->text, (int)n_text);
    png_write_info(w->png, w->info);
    for (uint32_t y = 0; y < height; y++) {
        widen(row, rgb + (size_t)y * width * 3, width, scale);
        for (uint32_t k = 0; k < scale; k++)
            png_write_row(w->png, row);
    }
    png_write_end(w->png, w->info);
    return 0;
}

vqp_status vqp_png_write(FILE *f, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t scale,
                         const struct vqp_png_text *text, uint32_t n_text, struct vqp_error *err)
{
    if (scale < 1 || scale > MAX_SCALE)
        return vqp_fail(err, VQP_E_ARG, "png: scale %u is out of range; 1..%d are possible", scale, MAX_SCALE);
    if (w < 1 || h < 1 || w > PNG_USER_WIDTH_MAX / scale || h > PNG_USER_HEIGHT_MAX / scale)
        return vqp_fail(err, VQP_E_OUTPUT, "png: a picture of %ux%u pixels at scale %u cannot be written", w, h, scale);
    struct writer state = {.f = f};
    vqp_status status = VQP_OK;
    uint8_t *row = malloc((size_t)w * scale * 3);
    state.out_of_memory = !row || convert_text(&state, text, n_text);
    if (!state.out_of_memory && write_all(&state, rgb, row, w, h, scale, n_text) == 0) {
        /* A small picture still lies in the stream's buffer, where libpng sees no error. */
        errno = 0;
        if (fflush(f) || ferror(f))
            status = vqp_fail(err, VQP_E_OUTPUT, "png: cannot be written: %s", strerror(errno ? errno : EIO));
    } else if (state.out_of_memory) {
        status = vqp_fail(err, VQP_E_NOMEM, "png: no memory left to write a picture");
    } else {
        status = vqp_fail(err, VQP_E_OUTPUT, "png: cannot be written: %s",
                          state.saved_errno ? strerror(state.saved_errno) : state.message);
    }
    png_destroy_write_struct(&state.png, &state.info);
    vqp_arena_free(&state.arena);
    free(row);
    return status;
}
