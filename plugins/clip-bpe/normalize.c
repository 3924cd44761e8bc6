/* The text rules before byte-pair merging: normal form, white space, case, and CLIP's pattern. */
#include "clip_bpe.h"
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

/* ---- HTML references (original rule) ---------------------------------------------------------------------------- */

static int is_alnum(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int digit(uint32_t c, int base)
{
    if (c >= '0' && c <= '9')
        return (int)(c - '0');
    if (base == 16 && c >= 'a' && c <= 'f')
        return (int)(c - 'a') + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return (int)(c - 'A') + 10;
    return -1;
}

/* The character that a numeric reference means by HTML 5's parser (128..159 are Windows-1252 there); 0: none. */
static uint32_t numeric_char(uint32_t c)
{
    static const uint16_t cp1252[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                        0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    if (c >= 0x80 && c < 0xA0)
        return cp1252[c - 0x80];
    if (c == 0 || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF)
        return 0xFFFD;
    int control = (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F;
    int not_a_char = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
    return control || not_a_char ? 0 : c;
}

/* The length of the reference at s[0] == '&', 0 where there is none; *c its character, 0 for nothing at all. */
static size_t reference(const uint32_t *s, size_t n, uint32_t *c)
{
    static const struct {
        char name[5];
        uint8_t c;
    } names[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}};
    if (n > 1 && s[1] == '#') {
        int base = n > 2 && (s[2] == 'x' || s[2] == 'X') ? 16 : 10;
        size_t start = base == 16 ? 3 : 2, i = start;
        uint32_t v = 0;
        for (; i < n && digit(s[i], base) >= 0; i++)
            v = v > 0x10FFFF ? v : v * (uint32_t)base + (uint32_t)digit(s[i], base);
        if (i == start)
            return 0;
        *c = numeric_char(v);
        return i + (i < n && s[i] == ';');
    }
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        size_t len = strlen(names[k].name), i = 0;
        while (i < len && i + 1 < n && s[i + 1] == (uint8_t)names[k].name[i])
            i++;
        int closed = i + 1 < n && s[i + 1] == ';', open = names[k].c != '\'' && (i + 1 == n || !is_alnum(s[i + 1]));
        if (i == len && (closed || open)) {
            *c = names[k].c;
            return len + 1 + (size_t)closed;
        }
    }
    return 0;
}

/* In place: a reference is never shorter than what it means. Returns the new length. */
static size_t unescape(uint32_t *s, size_t n)
{
    size_t w = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = s[i];
        size_t len = c == '&' ? reference(s + i, n - i, &c) : 0;
        if (!len || c)
            s[w++] = c;
        i += len ? len : 1;
    }
    return w;
}

/* ---- normalisation ---------------------------------------------------------------------------------------------- */

/* One character of n > 0 bytes; U+FFFD for the longest part of one that a decoder can give up as a whole (Unicode's "maximal
 * subpart"), which libunistring cuts otherwise. Returns the bytes it takes. */
static size_t decode_char(const uint8_t *s, size_t n, uint32_t *c)
{
    size_t more = s[0] < 0x80 ? 0 : s[0] >= 0xC2 && s[0] < 0xE0 ? 1 : (s[0] & 0xF0) == 0xE0 ? 2 : 3;
    *c = more == 0 ? s[0] : s[0] & (0x3Fu >> more);
    int bad = more == 3 && (s[0] < 0xF0 || s[0] > 0xF4);
    size_t i = 1;
    for (; !bad && i <= more; i++) {
        uint8_t low = i == 1 && s[0] == 0xE0 ? 0xA0 : i == 1 && s[0] == 0xF0 ? 0x90 : 0x80;
        uint8_t high = i == 1 && s[0] == 0xED ? 0x9F : i == 1 && s[0] == 0xF4 ? 0x8F : 0xBF;
        if (i == n || s[i] < low || s[i] > high)
            break;
        *c = *c << 6 | (s[i] & 0x3Fu);
    }
    if (bad || i <= more)
        *c = 0xFFFD;
    return i;
}

static uint32_t *decode(const char *text, size_t n, size_t *out_n)
{
    uint32_t *s = calloc(n + 1, sizeof *s);
    size_t w = 0;
    for (size_t i = 0; s && i < n; w++)
        i += decode_char((const uint8_t *)text + i, n - i, &s[w]);
    *out_n = w;
    return s;
}

/* White space to single spaces, none at the ends. `lower`: code point by code point, so that no rule looks at its neighbours
 * (a final sigma stays one). */
static uint8_t *fold(const uint32_t *s, size_t n, int lower, size_t *out_n)
{
    uint8_t *out = malloc(4 * n + 1), *w = out;
    int space = 0;
    for (size_t i = 0; out && i < n; i++) {
        if (uc_is_property_white_space(s[i])) {
            space = 1;
            continue;
        }
        if (space && w != out)
            *w++ = ' ';
        space = 0;
        ucs4_t c = lower ? uc_tolower(s[i]) : s[i];
        w += u8_uctomb(w, c, 4);
        if (lower && s[i] == 0x130) /* the one letter whose lower case is two */
            w += u8_uctomb(w, 0x307, 4);
    }
    *out_n = out ? (size_t)(w - out) : 0;
    return out;
}

uint8_t *vqp_clip_normalize(int normalizer, const char *text, size_t n, size_t *out_n)
{
    size_t len = 0;
    uint32_t *s = decode(text, n, &len), *next = NULL;
    uint8_t *out = NULL;
    if (s && len == 0) {
        out = fold(s, 0, 0, out_n);
    } else if (s && normalizer == NORMALIZER_GOLDEN) {
        if ((next = u32_normalize(UNINORM_NFC, s, len, NULL, &len)))
            out = fold(next, len, 1, out_n);
    } else if (s) {
        if ((next = u32_tolower(s, len, NULL, UNINORM_NFC, NULL, &len))) {
            len = unescape(next, unescape(next, len));
            free(s);
            s = len ? u32_tolower(next, len, NULL, NULL, NULL, &len) : calloc(1, sizeof *s);
        }
        if (next && s)
            out = fold(s, len, 0, out_n);
    }
    free(next);
    free(s);
    return out;
}

/* ---- pattern ---------------------------------------------------------------------------------------------------- */

enum {
    LETTER,
    NUMBER,
    OTHER
};

static int kind_of(ucs4_t c)
{
    if (c < 0x80) /* upper case is gone by now */
        return c >= 'a' && c <= 'z' ? LETTER : c >= '0' && c <= '9' ? NUMBER : OTHER;
    if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L))
        return LETTER;
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_N) ? NUMBER : OTHER;
}

static size_t starts_with(const uint8_t *text, size_t n, const char *what)
{
    size_t len = strlen(what);
    return n >= len && memcmp(text, what, len) == 0 ? len : 0;
}

size_t vqp_clip_piece_end(int normalizer, const uint8_t *text, size_t n, size_t i, int *special)
{
    /* U+017F matches s in the original's pattern, which ignores case. */
    static const char *const fixed[] = {
        "<|startoftext|>", "<|endoftext|>", "'\xC5\xBF", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    const size_t originals = 3;
    *special = 0;
    for (size_t k = normalizer == NORMALIZER_ORIGINAL ? 0 : originals; k < sizeof fixed / sizeof *fixed; k++) {
        size_t len = starts_with(text + i, n - i, fixed[k]);
        if (len) {
            *special = k < 2 ? (int)k + 1 : 0;
            return i + len;
        }
    }
    ucs4_t c;
    i += (size_t)u8_mbtouc(&c, text + i, n - i);
    int kind = kind_of(c);
    while (kind != NUMBER && i < n && text[i] != ' ') {
        int len = u8_mbtouc(&c, text + i, n - i);
        if (kind_of(c) != kind)
            break;
        i += (size_t)len;
    }
    return i;
}
