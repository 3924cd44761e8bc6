#include "text.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the well-formed sequence at s (Unicode 15, table 3-7), 0 where it is ill-formed. */
static size_t sequence(const unsigned char *s, size_t n)
{
    unsigned char a = s[0], lo = 0x80, hi = 0xBF;
    size_t len;
    if (a < 0x80)
        return 1;
    if (a >= 0xC2 && a <= 0xDF) {
        len = 2;
    } else if (a >= 0xE0 && a <= 0xEF) {
        len = 3;
        if (a == 0xE0)
            lo = 0xA0;
        if (a == 0xED)
            hi = 0x9F;
    } else if (a >= 0xF0 && a <= 0xF4) {
        len = 4;
        if (a == 0xF0)
            lo = 0x90;
        if (a == 0xF4)
            hi = 0x8F;
    } else {
        return 0;
    }
    if (n < len || s[1] < lo || s[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (s[i] < 0x80 || s[i] > 0xBF)
            return 0;
    return len;
}

size_t vqp_utf8_check(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t len = sequence((const unsigned char *)s + i, n - i);
        if (!len || !s[i])
            return i;
        i += len;
    }
    return n;
}

enum {
    LONGEST_NAME = 64
};

static size_t edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), row[LONGEST_NAME + 1];
    if (na > LONGEST_NAME || nb > LONGEST_NAME)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = up;
            row[j] = best;
        }
    }
    return row[nb];
}

void vqp_nearest_offer(struct vqp_nearest *n, const char *candidate)
{
    size_t d = edit_distance(n->word, candidate), limit = strlen(n->word) / 3 + 1;
    if (d <= limit && (!n->best || d < n->distance)) {
        n->best = candidate;
        n->distance = d;
    }
}

char *vqp_quote(const char *s, size_t n, char *buf, size_t max)
{
    size_t at = 0;
    if (max < 8) {
        if (max)
            buf[0] = 0;
        return buf;
    }
    for (size_t i = 0; i < n;) {
        size_t len = sequence((const unsigned char *)s + i, n - i);
        unsigned char c = (unsigned char)s[i];
        int plain = len && c >= 0x20 && c != 0x7F;
        if (at + (plain ? len : 4) + 4 > max) {
            memcpy(buf + at, "...", 3);
            at += 3;
            break;
        }
        if (plain) {
            memcpy(buf + at, s + i, len);
            at += len;
            i += len;
        } else {
            at += (size_t)snprintf(buf + at, max - at, "\\x%02X", c);
            i++;
        }
    }
    buf[at] = 0;
    return buf;
}
