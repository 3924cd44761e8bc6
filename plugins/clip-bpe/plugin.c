/* clip-bpe: CLIP's tokenizer as a vqpipe component. */
#include "clip_bpe.h"
#include <stdlib.h>
#include <vqpipe/components.h>
#include <vqpipe/plugin.h>

struct options {
    int64_t model_max_length;
    int32_t normalizer, truncation;
};
enum {
    TRUNCATION_END,
    TRUNCATION_DIFFUSERS
};
struct tokenizer {
    struct bpe *bpe;
    uint32_t context_length;
    int32_t normalizer, truncation;
};

static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, model_max_length, .type = VQP_OPT_INT, .flags = VQP_OPT_REQUIRED | VQP_OPT_CONFIG, .min = 1,
            .max = 4096, .help = "ids of a prompt, start, end and padding included"),
    VQP_OPT(struct options, normalizer, .type = VQP_OPT_CHOICE, .def = "golden", .choices = "golden|original",
            .help = "golden: NFC, white space folded, lower case. original: microsoft/VQ-Diffusion's rule, with HTML "
                    "references (numeric "
                    "and amp lt gt quot apos nbsp) and <|startoftext|>, <|endoftext|> recognised; of ftfy only NFC"),
    VQP_OPT(
        struct options, truncation, .type = VQP_OPT_CHOICE, .def = "end", .choices = "end|diffusers",
        .help =
            "of a prompt that is too long: end keeps the end token, diffusers loses it, as that library's slice does"),
    {0},
};

static void destroy(void *self)
{
    struct tokenizer *t = self;
    if (!t)
        return;
    vqp_bpe_free(t->bpe);
    free(t);
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    if (!args->path)
        return vqp_fail(err, VQP_E_ARG, "%s needs `path:`, the folder with vocab.json and merges.txt", args->instance);
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    t->context_length = (uint32_t)o->model_max_length;
    t->normalizer = o->normalizer;
    t->truncation = o->truncation;
    vqp_status r = vqp_bpe_load(args->path, &t->bpe, err);
    if (r) {
        destroy(t);
        return r;
    }
    *self = t;
    return VQP_OK;
}

static void info(void *self, uint32_t *context_length, uint32_t *vocab_size)
{
    const struct tokenizer *t = self;
    *context_length = t->context_length;
    *vocab_size = t->bpe->n_vocab;
}

/* Ids are counted on past the end of io->ids, where nothing is stored. */
static void put(const struct tokenizer *t, struct vqp_text *io, uint32_t *count, uint32_t id)
{
    if (*count < t->context_length)
        io->ids[*count] = (int32_t)id;
    ++*count;
}

/* Puts the ids of one word: what stands between spaces, often several pieces. Returns its end, 0 when out of memory. */
static size_t put_word(const struct tokenizer *t, struct bpe_scratch *s, const uint8_t *text, size_t n, size_t i,
                       struct vqp_text *io, uint32_t *count)
{
    while (i < n && text[i] != ' ') {
        int special;
        size_t end = vqp_clip_piece_end(t->normalizer, text, n, i, &special), n_ids;
        if (special) {
            put(t, io, count, special == 1 ? t->bpe->bos : t->bpe->eos);
        } else {
            if (!vqp_bpe_piece(t->bpe, s, text + i, end - i, &n_ids))
                return 0;
            for (size_t k = 0; k < n_ids; k++)
                put(t, io, count, s->sym[k]);
        }
        i = end;
    }
    return i;
}

static vqp_status encode(void *self, const char *utf8, size_t n, struct vqp_text *io, struct vqp_error *err)
{
    const struct tokenizer *t = self;
    uint32_t length = t->context_length, count = 0, room = t->truncation == TRUNCATION_END ? length - 1 : length;
    struct bpe_scratch scratch = {0};
    size_t text_n = 0, i = 0;
    vqp_status r = VQP_OK;
    if (n > CLIP_MAX_TEXT)
        return vqp_fail(err, VQP_E_ARG, "the prompt has %zu bytes, more than %zu; shorten it", n, CLIP_MAX_TEXT);
    uint8_t *text = vqp_clip_normalize(t->normalizer, utf8, n, &text_n);
    if (!text)
        goto no_memory;
    put(t, io, &count, t->bpe->bos);
    while (i < text_n) {
        uint32_t before = count;
        size_t end = put_word(t, &scratch, text, text_n, i, io, &count);
        if (!end)
            goto no_memory;
        if (VQP_HAS(io, word))
            io->word(io->word_ctx, (const char *)text + i, end - i, count - before, count > room);
        i = end + (end < text_n);
    }
    put(t, io, &count, t->bpe->eos);
    io->used = count < length ? count : length;
    io->truncated = count - io->used;
    io->end = io->used - 1;
    if (io->truncated && t->truncation == TRUNCATION_END)
        io->ids[length - 1] = (int32_t)t->bpe->eos;
    while (count < length)
        put(t, io, &count, t->bpe->pad);
    goto out;
no_memory:
    r = vqp_fail(err, VQP_E_NOMEM, "out of memory for a prompt of %zu bytes", n);
out:
    free(scratch.block);
    free(text);
    return r;
}

static const struct vqp_tokenizer_vtbl vtbl = {.struct_size = sizeof vtbl, .info = info, .encode = encode};
static const struct vqp_component tokenizer = {
    .struct_size = sizeof tokenizer,
    .iface = VQP_IFACE_TOKENIZER,
    .name = "clip-bpe",
    .summary = "CLIP's byte-level BPE from a folder with vocab.json and merges.txt",
    .opts_size = sizeof(struct options),
    .opts = option_table,
    .create = create,
    .destroy = destroy,
    .v.tokenizer = &vtbl,
};
static const struct vqp_component *const components[] = {&tokenizer, NULL};

VQP_PLUGIN(.id = "org.vqpipe.clip-bpe", .version = "0.1.0", .license = "MIT", .components = components);
