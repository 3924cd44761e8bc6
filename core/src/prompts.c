#include "prompts.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_PROMPT = 8192,
    SPELLED = 4
};

/* What the tokenizer says of one text's words, gathered for at most one line of each kind. */
struct words {
    char cut[160];
    const struct vqpipe_context *ctx;
};

static void hear_word(void *ctx, const char *word, size_t n, uint32_t pieces, uint32_t cut)
{
    struct words *w = ctx;
    char shown[64];
    vqp_quote(word, n, shown, sizeof shown);
    if (cut) {
        size_t at = strlen(w->cut);
        if (at + strlen(shown) + 8 < sizeof w->cut)
            snprintf(w->cut + at, sizeof w->cut - at, "%s%s", at ? " " : "", shown);
        else if (at + 4 < sizeof w->cut && strcmp(w->cut + at - 3, "..."))
            strcat(w->cut, "...");
    } else if (pieces >= SPELLED) {
        vqp_context_log(w->ctx, VQP_LOG_WARN, "'%s' is not a word this model was trained on (it became %u pieces)",
                        shown, pieces);
    }
}

vqp_status vqp_prompts_encode(const struct vqp_assembly *a, const char *what, const char *const *texts, uint32_t n,
                              int32_t *ids, int32_t *end, struct vqp_error *err)
{
    const struct vqp_instance *tok = &a->component[VQP_IFACE_TOKENIZER - 1];
    uint32_t L = a->context_length;
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(texts[i]), good = vqp_utf8_check(texts[i], len);
        struct words words = {.ctx = a->ctx};
        struct vqp_error e = {0};
        if (len > LONGEST_PROMPT)
            return vqp_fail(err, VQP_E_ARG, "%s %u has %zu bytes; at most %d are possible", what, i + 1, len,
                            LONGEST_PROMPT);
        if (good != len)
            return vqp_fail(err, VQP_E_ARG, "%s %u is not UTF-8 at byte %zu; give UTF-8 text", what, i + 1, good);
        struct vqp_text text = {
            .struct_size = sizeof text, .ids = ids + (size_t)i * L, .word = hear_word, .word_ctx = &words};
        vqp_status st = tok->component->v.tokenizer->encode(tok->self, texts[i], len, &text, &e);
        if (st)
            return vqp_fail(err, st, "tokenizer (%s): %s", tok->use, e.msg);
        end[i] = (int32_t)text.end;
        for (uint32_t k = 0; k < L; k++)
            if (text.ids[k] < 0 || (uint32_t)text.ids[k] >= a->text.vocab_size || text.end >= L)
                return vqp_fail(err, VQP_E_PLUGIN, "tokenizer (%s) gave the id %d at %u, outside the vocabulary of %u",
                                tok->use, text.ids[k], k, a->text.vocab_size);
        if (text.truncated)
            vqp_context_log(a->ctx, VQP_LOG_WARN, "%s %u is too long by %u ids of %u; cut: %s", what, i + 1,
                            text.truncated, L, words.cut);
    }
    return VQP_OK;
}
