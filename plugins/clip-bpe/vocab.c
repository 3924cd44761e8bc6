/* What the vocabulary, merges.txt and special_tokens_map.json say together. */
#include "tokens.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

/* GPT-2's map from bytes to printable characters: the printable ones stand for themselves, the others for 256, 257, ... */
static void find_bytes(struct bpe *b, const struct tokens *vocab)
{
    ucs4_t other = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        int printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
        uint8_t token[16] = "";
        int len = u8_uctomb(token, printable ? byte : other++, 4);
        b->byte[0][byte] = vqp_tokens_find(vocab, (char *)token);
        memcpy(token + len, "</w>", 5);
        b->byte[1][byte] = vqp_tokens_find(vocab, (char *)token);
    }
}

/* ---- merges.txt ------------------------------------------------------------------------------------------------- */

static int by_pair(const void *pa, const void *pb)
{
    const struct bpe_merge *x = pa, *y = pb;
    if (x->pair != y->pair)
        return x->pair < y->pair ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Line `rank` + 2, NUL-terminated. Changes `line`. */
static vqp_status parse_merge(const struct source *src, struct bpe *b, const struct tokens *vocab, char *line,
                              size_t len, uint32_t rank)
{
    size_t number = (size_t)rank + 2;
    if (strlen(line) != len || u8_check((const uint8_t *)line, len))
        return vqp_source_fail(src, VQP_E_FORMAT, number, "is not UTF-8 text");
    char *space = strchr(line, ' ');
    if (!space || space == line || !space[1] || strchr(space + 1, ' '))
        return vqp_source_fail(src, VQP_E_FORMAT, number, "\"%s\" is not two symbols with one space between",
                               vqp_quoted(line).s);
    *space = '\0';
    uint32_t left = vqp_tokens_find(vocab, line), right = vqp_tokens_find(vocab, space + 1);
    if (left == BPE_NONE || right == BPE_NONE)
        return vqp_source_fail(src, VQP_E_FORMAT, number, "\"%s\" is not in vocab.json",
                               vqp_quoted(left == BPE_NONE ? line : space + 1).s);
    memmove(space, space + 1, len - (size_t)(space - line));
    b->result[rank] = vqp_tokens_find(vocab, line);
    if (b->result[rank] == BPE_NONE)
        return vqp_source_fail(src, VQP_E_FORMAT, number, "the merged \"%s\" is not in vocab.json", vqp_quoted(line).s);
    b->merges[rank] = (struct bpe_merge){(uint64_t)left << 32 | right, rank};
    return VQP_OK;
}

/* Sorts the merges and finds where those of each left id begin. */
static vqp_status index_merges(const struct source *src, struct bpe *b)
{
    qsort(b->merges, b->n_merges, sizeof *b->merges, by_pair);
    for (uint32_t i = 1; i < b->n_merges; i++)
        if (b->merges[i].pair == b->merges[i - 1].pair)
            return vqp_source_fail(src, VQP_E_FORMAT, (size_t)b->merges[i].rank + 2, "repeats the merge of line %u",
                                   b->merges[i - 1].rank + 2);
    for (uint32_t i = 0, id = 0; id <= b->n_vocab; id++) {
        while (i < b->n_merges && b->merges[i].pair >> 32 < id)
            i++;
        b->first[id] = i;
    }
    return VQP_OK;
}

static vqp_status read_merges(const struct source *src, struct bpe *b, const struct tokens *vocab)
{
    char *data = NULL;
    size_t n = 0, lines = 0;
    vqp_status r = vqp_source_read(src, MERGES_MAX, &data, &n);
    if (r)
        return r;
    if (strncmp(data, "#version", 8) != 0) {
        r = vqp_source_fail(src, VQP_E_FORMAT, 1,
                            "is not the version comment that the file begins with, such as \"#version: 0.2\"");
        goto out;
    }
    while (n && (data[n - 1] == '\n' || data[n - 1] == '\r'))
        data[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    b->merges = calloc(lines + 1, sizeof *b->merges);
    b->result = calloc(lines + 1, sizeof *b->result);
    b->first = calloc((size_t)b->n_vocab + 1, sizeof *b->first);
    if (!b->merges || !b->result || !b->first) {
        r = vqp_source_no_memory(src);
        goto out;
    }
    char *line = memchr(data, '\n', n);
    for (b->n_merges = 0; line && !r; b->n_merges++) {
        char *begin = line + 1, *end;
        line = memchr(begin, '\n', n - (size_t)(begin - data));
        end = line ? line : data + n;
        end -= end > begin && end[-1] == '\r';
        *end = '\0';
        r = parse_merge(src, b, vocab, begin, (size_t)(end - begin), b->n_merges);
    }
    if (!r)
        r = index_merges(src, b);
out:
    free(data);
    return r;
}

/* ---- special_tokens_map.json ------------------------------------------------------------------------------------ */

static vqp_status read_special(const struct source *src, struct bpe *b, const struct tokens *vocab)
{
    const struct {
        const char *key;
        uint32_t *id;
    } wanted[] = {{"bos_token", &b->bos}, {"eos_token", &b->eos}, {"unk_token", &b->unk}, {"pad_token", &b->pad}};
    char *data = NULL;
    size_t n = 0;
    json_error_t e;
    vqp_status r = vqp_source_read(src, SPECIAL_MAX, &data, &n);
    if (r)
        return r;
    json_t *map = json_loadb(data, n, JSON_REJECT_DUPLICATES, &e);
    if (!map)
        r = json_error_code(&e) == json_error_out_of_memory
                ? vqp_source_no_memory(src)
                : vqp_source_fail(src, VQP_E_FORMAT, (size_t)(e.line > 0 ? e.line : 0), "%s", vqp_quoted(e.text).s);
    for (size_t i = 0; !r && i < sizeof wanted / sizeof *wanted; i++) {
        json_t *v = json_object_get(map, wanted[i].key);
        const char *token = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
        if (!token)
            r = vqp_source_fail(src, VQP_E_FORMAT, 0, "has no %s that is a string or {\"content\": string}",
                                wanted[i].key);
        else if ((*wanted[i].id = vqp_tokens_find(vocab, token)) == BPE_NONE)
            r = vqp_source_fail(src, VQP_E_FORMAT, 0, "%s \"%s\" is not in vocab.json", wanted[i].key,
                                vqp_quoted(token).s);
    }
    json_decref(map);
    free(data);
    return r;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

vqp_status vqp_bpe_load(const char *folder, struct bpe **out, struct vqp_error *err)
{
    const struct source vocab_src = {folder, "vocab.json", err}, merges_src = {folder, "merges.txt", err},
                        special_src = {folder, "special_tokens_map.json", err};
    struct tokens vocab = {0};
    struct bpe *b = calloc(1, sizeof *b);
    if (!b)
        return vqp_source_no_memory(&vocab_src);
    vqp_status r = vqp_tokens_load(&vocab_src, &vocab);
    if (!r) {
        b->n_vocab = vocab.n;
        find_bytes(b, &vocab);
        r = read_merges(&merges_src, b, &vocab);
    }
    if (!r)
        r = read_special(&special_src, b, &vocab);
    vqp_tokens_free(&vocab);
    if (r)
        vqp_bpe_free(b);
    else
        *out = b;
    return r;
}

void vqp_bpe_free(struct bpe *b)
{
    if (!b)
        return;
    free(b->merges);
    free(b->first);
    free(b->result);
    free(b);
}
