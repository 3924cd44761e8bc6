/* vocab.json: one flat JSON object of 50,000 strings and ids. A general parser takes longer for it than everything else does
 * together, and many times the file's size in memory; this one unescapes the strings where they stand. */
#include "tokens.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistr.h>

struct parser {
    const struct source *src;
    char *at; /* NUL-terminated */
    size_t line;
};

static vqp_status bad(const struct parser *p, const char *what)
{
    return vqp_source_fail(p->src, VQP_E_FORMAT, p->line, "%s", what);
}

/* The next character that is not white space. Strings hold no line ends, so that all are counted here. */
static char peek(struct parser *p)
{
    for (; *p->at == ' ' || *p->at == '\t' || *p->at == '\r' || *p->at == '\n'; p->at++)
        p->line += *p->at == '\n';
    return *p->at;
}

static int hex4(const char *s)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = s[i] ? memchr(digits, s[i] >= 'A' && s[i] <= 'F' ? s[i] + 32 : s[i], sizeof digits - 1) : NULL;
        if (!d)
            return -1;
        v = v * 16 + (int)(d - digits);
    }
    return v;
}

/* At the backslash; writes what it means to *w. False for anything that JSON does not know, a lone surrogate or U+0000. */
static int unescape(struct parser *p, char **w)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *known = p->at[1] ? strchr(from, p->at[1]) : NULL;
    if (known) {
        *(*w)++ = to[known - from];
        p->at += 2;
        return 1;
    }
    int c = p->at[1] == 'u' ? hex4(p->at + 2) : -1;
    if (c <= 0 || (c >= 0xDC00 && c < 0xE000))
        return 0;
    p->at += 6;
    if (c >= 0xD800 && c < 0xDC00) {
        int low = p->at[0] == '\\' && p->at[1] == 'u' ? hex4(p->at + 2) : -1;
        if (low < 0xDC00 || low >= 0xE000)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        p->at += 6;
    }
    *w += u8_uctomb((uint8_t *)*w, (ucs4_t)c, 4);
    return 1;
}

static vqp_status parse_string(struct parser *p, const char **out)
{
    if (peek(p) != '"')
        return bad(p, "a token in quotes is expected here");
    char *w = ++p->at;
    *out = w;
    while (*p->at != '"') {
        if ((uint8_t)*p->at < 0x20)
            return bad(p, "a string has no end, or has a control character that is not escaped");
        if (*p->at != '\\')
            *w++ = *p->at++;
        else if (!unescape(p, &w))
            return bad(p, "a string has an escape that is not JSON's, half a surrogate pair or U+0000");
    }
    p->at++;
    *w = '\0';
    return VQP_OK;
}

/* Any number is passed over; what is no integer from 0 to INT32_MAX counts as -1, for check_ids to refuse with its token. */
static vqp_status parse_id(struct parser *p, int32_t *id)
{
    peek(p);
    size_t digits = strspn(p->at, "0123456789"), n = strspn(p->at, "+-.0123456789eE");
    if (!n)
        return bad(p, "the id of a token is not an integer");
    int plain = digits == n && n < 10 && (p->at[0] != '0' || n == 1);
    *id = plain ? (int32_t)strtol(p->at, NULL, 10) : -1;
    p->at += n;
    return VQP_OK;
}

struct entry {
    const char *token;
    int32_t id;
};

static vqp_status parse(struct parser *p, struct entry **entries, uint32_t *n)
{
    size_t cap = 0;
    if (peek(p) != '{')
        return bad(p, "a JSON object is expected here");
    do {
        p->at++;
        if (!*entries || *n == cap) {
            cap = cap ? 2 * cap : 65536;
            struct entry *more = realloc(*entries, cap * sizeof *more);
            if (!more)
                return vqp_source_no_memory(p->src);
            *entries = more;
        }
        struct entry *e = &(*entries)[*n];
        vqp_status r = parse_string(p, &e->token);
        if (!r && peek(p) != ':')
            r = bad(p, "':' is expected after a token");
        p->at += !r;
        if (!r)
            r = parse_id(p, &e->id);
        if (r)
            return r;
        ++*n;
    } while (peek(p) == ',');
    if (*p->at != '}')
        return bad(p, "',' or '}' is expected here");
    p->at++;
    return peek(p) ? bad(p, "something follows the object") : VQP_OK;
}

/* ---- lookup ----------------------------------------------------------------------------------------------------- */

/* FNV-1a from a seed that no file can know. */
static uint32_t *slot_of(const struct tokens *t, const char *token)
{
    uint64_t h = t->seed;
    for (const char *c = token; *c; c++)
        h = (h ^ (uint8_t)*c) * 0x100000001B3u;
    h *= 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(h >> 32) & t->mask;
    while (t->slots[i] != BPE_NONE && strcmp(t->token[t->slots[i]], token) != 0)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

uint32_t vqp_tokens_find(const struct tokens *t, const char *token)
{
    return *slot_of(t, token);
}

static vqp_status check_ids(const struct source *src, struct tokens *t, const struct entry *entries)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const char *token = entries[i].token;
        int32_t id = entries[i].id;
        if (id < 0 || (uint32_t)id >= t->n)
            return vqp_source_fail(src, VQP_E_FORMAT, 0,
                                   "the id of \"%s\" is not an integer from 0 to %u (it has %u tokens)",
                                   vqp_quoted(token).s, t->n - 1, t->n);
        if (t->token[id])
            return vqp_source_fail(src, VQP_E_FORMAT, 0, "\"%s\" and \"%s\" have the same id %d",
                                   vqp_quoted(t->token[id]).s, vqp_quoted(token).s, id);
        uint32_t *slot = slot_of(t, token);
        if (*slot != BPE_NONE)
            return vqp_source_fail(src, VQP_E_FORMAT, 0, "\"%s\" stands in it twice, as %u and %d", vqp_quoted(token).s,
                                   *slot, id);
        t->token[id] = token;
        *slot = (uint32_t)id;
    }
    return VQP_OK;
}

vqp_status vqp_tokens_load(const struct source *src, struct tokens *t)
{
    struct parser p = {.src = src, .line = 1};
    struct entry *entries = NULL;
    size_t size = 0, bytes = 0;
    vqp_status r = vqp_source_read(src, VOCAB_MAX, &t->text, &bytes);
    if (r)
        return r;
    if (strlen(t->text) != bytes || u8_check((const uint8_t *)t->text, bytes))
        return vqp_source_fail(src, VQP_E_FORMAT, 0, "is not UTF-8 text");
    p.at = t->text;
    r = parse(&p, &entries, &t->n);
    if (r || !entries)
        goto out;
    for (size = 2; size < 2 * (size_t)t->n; size *= 2)
        ;
    t->mask = size - 1;
    t->seed = (uint64_t)(uintptr_t)t->text * 0x9E3779B97F4A7C15u ^ (uint64_t)time(NULL);
    t->token = calloc(t->n, sizeof *t->token);
    t->slots = malloc(size * sizeof *t->slots);
    if (!t->token || !t->slots) {
        r = vqp_source_no_memory(src);
        goto out;
    }
    memset(t->slots, 0xFF, size * sizeof *t->slots);
    r = check_ids(src, t, entries);
out:
    free(entries);
    return r;
}

void vqp_tokens_free(struct tokens *t)
{
    free(t->text);
    free(t->token);
    free(t->slots);
}
