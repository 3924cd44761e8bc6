#include "text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

size_t vqp_utf8_next(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)s;
    size_t len = n == 0 ? 0 : u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3 : u[0] >> 3 == 30 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (u[i] >> 6 != 2)
            return 0;
        c = c << 6 | (u[i] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *code = c;
    return len;
}

size_t vqp_utf8_good(const char *s, size_t n)
{
    uint32_t code;
    size_t i = 0;
    for (size_t len; i < n && (len = vqp_utf8_next(s + i, n - i, &code)) > 0; i += len)
        ;
    return i;
}

int vqp_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

char *vqp_yaml_quoted(const char *s)
{
    size_t n = strlen(s);
    if (n > (SIZE_MAX - 3) / 10)
        return NULL;
    char *out = malloc(10 * n + 3), *o = out; /* the longest escape of a byte is \U and eight digits */
    if (!out)
        return NULL;
    *o++ = '"';
    uint32_t c;
    for (size_t i = 0, len; i < n && (len = vqp_utf8_next(s + i, n - i, &c)) > 0; i += len) {
        if (c == '"' || c == '\\') {
            *o++ = '\\';
            *o++ = (char)c;
        } else if (c >= 0x20 && c < 0x7f) {
            *o++ = (char)c;
        } else {
            o += sprintf(o, "\\U%08X", c);
        }
    }
    *o++ = '"';
    *o = 0;
    return out;
}

static int only_has(const char *s, const char *others)
{
    while (isalnum((unsigned char)*s) || (*s && strchr(others, *s)))
        s++;
    return !*s;
}

char *vqp_yaml_word(const char *s)
{
    size_t n = strlen(s);
    int plain = n && only_has(s, "_./+-"), list = n > 1 && s[0] == '[' && s[n - 1] == ']';
    return plain || list ? strdup(s) : vqp_yaml_quoted(s);
}

/* What a terminal obeys instead of showing it: controls, line and paragraph separators, directions. */
static int is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* Every unsafe character's bytes through `fmt`; with `quote`, quotes and backslashes too. Returns what was written. */
static size_t escape(char *out, const char *s, size_t n, const char *fmt, int quote)
{
    char *o = out;
    uint32_t c;
    for (size_t i = 0, len; i < n && (len = vqp_utf8_next(s + i, n - i, &c)) > 0; i += len)
        for (size_t k = i; k < i + len; k++) {
            if (is_unsafe(c) || (quote && (c == '\'' || c == '\\')))
                o += sprintf(o, fmt, (unsigned)(unsigned char)s[k]);
            else
                *o++ = s[k];
        }
    *o = 0;
    return (size_t)(o - out);
}

static int has_unsafe(const char *s, size_t n)
{
    uint32_t c;
    for (size_t i = 0, len; i < n && (len = vqp_utf8_next(s + i, n - i, &c)) > 0; i += len)
        if (is_unsafe(c) && c != '\n')
            return 1;
    return 0;
}

char *vqp_shell_quoted(const char *s)
{
    size_t n = strlen(s);
    if (n > (SIZE_MAX - 4) / 4)
        return NULL;
    if (n && only_has(s, "_./:,=+@%-"))
        return strdup(s);
    char *out = malloc(4 * n + 4), *o = out;
    if (!out)
        return NULL;
    if (has_unsafe(s, n)) {
        memcpy(o, "$'", 2);
        o += 2 + escape(o + 2, s, n, "\\%03o", 1);
    } else {
        *o++ = '\'';
        for (; *s; s++) {
            size_t len = *s == '\'' ? 4 : 1;
            memcpy(o, len > 1 ? "'\\''" : s, len);
            o += len;
        }
    }
    *o++ = '\'';
    *o = 0;
    return out;
}

void vqp_print_safe(FILE *f, const char *s)
{
    char part[4 * 4 + 1];
    uint32_t c;
    size_t n = strlen(s);
    for (size_t i = 0, len; i < n && (len = vqp_utf8_next(s + i, n - i, &c)) > 0; i += len)
        fwrite(part, 1, escape(part, s + i, len, "\\x%02x", 0), f);
}

void vqp_json_string(FILE *f, const char *s)
{
    if (!s) {
        fputs("null", f);
        return;
    }
    fputc('"', f);
    size_t n = strlen(s);
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t len = vqp_utf8_next(s + i, n - i, &c);
        if (len == 0)
            fputs("\\ufffd", f);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", (char)c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\u%04x", c);
        else
            fwrite(s + i, 1, len, f);
        i += len ? len : 1;
    }
    fputc('"', f);
}

/* Levenshtein distance; words longer than any name of ours are far from all of them. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[65], na = strlen(a), nb = strlen(b);
    if (na > 64 || nb > 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[nb];
}

void vqp_nearer(const char *word, const char *candidate, const char **best, size_t *distance)
{
    size_t d = edit_distance(word, candidate);
    if (d <= 1 + (strlen(word) + 1) / 4 && (!*best || d < *distance)) {
        *best = candidate;
        *distance = d;
    }
}
