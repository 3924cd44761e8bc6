/* The clip-bpe tokenizer: CLIP's own vocabulary where ../shared has it, and the small one that ships. */
#include "check.h"
#include "options.h"
#include "registry.h"
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vqpipe/host.h>

static const char shipped[] = VQP_SOURCE_DIR "/models/postcards/tokenizer";
static struct vqp_error err;

struct opened {
    const struct vqp_tokenizer_vtbl *v;
    const struct vqp_component *component;
    struct vqp_arena arena;
    void *self;
};

/* settings: a YAML flow map of the plugin's own keys. NULL self where it is refused. */
static struct opened open_tokenizer(const char *path, const char *settings)
{
    struct opened t = {0};
    const struct vqp_plugin *plugin;
    struct vqp_node *map;
    struct vqp_origin origin = {.name = "test"};
    CU_ASSERT_EQUAL_FATAL(vqp_loader_open(VQP_BUILD_DIR "/lib/vqpipe/clip-bpe.so", &plugin, &err), VQP_OK);
    t.component = plugin->components[0];
    t.v = t.component->v.tokenizer;
    CU_ASSERT_EQUAL_FATAL(vqp_descriptor_value(&t.arena, &origin, settings, &map, &err), VQP_OK);
    void *opts = vqp_arena_alloc(&t.arena, 1, t.component->opts_size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(opts);
    CU_ASSERT_EQUAL_FATAL(vqp_options_fill(&(struct vqp_options_args){.owner = "tokenizer",
                                                                      .table = t.component->opts,
                                                                      .map = map,
                                                                      .base_dir = "/",
                                                                      .path = path,
                                                                      .arena = &t.arena},
                                           opts, t.component->opts_size, &err),
                          VQP_OK);
    t.component->create(&(struct vqp_create_args){.struct_size = sizeof(struct vqp_create_args),
                                                  .instance = "tokenizer",
                                                  .plugin_path = "",
                                                  .path = path,
                                                  .precision = "f32",
                                                  .opts = opts},
                        &t.self, &err);
    return t;
}

static void close_tokenizer(struct opened *t)
{
    t->component->destroy(t->self);
    vqp_arena_free(&t->arena);
}

static struct vqp_text encode(const struct opened *t, const char *text, size_t n, int32_t *ids)
{
    struct vqp_text io = {.struct_size = sizeof io, .ids = ids};
    CU_ASSERT_EQUAL(t->v->encode(t->self, text, n, &io, &err), VQP_OK);
    return io;
}

static void golden_rows(void)
{
    json_t *root;
    if (access(VQP_SHARED_DIR "/clip/golden_ids.json", R_OK))
        SKIP("../shared/clip is not there: CLIP's vocabulary against golden_ids.json");
    root = json_load_file(VQP_SHARED_DIR "/clip/golden_ids.json", JSON_ALLOW_NUL, NULL); /* one row holds a NUL */
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    struct opened t = open_tokenizer(VQP_SHARED_DIR "/clip", "{ model_max_length: 4096 }");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.self);
    json_t *rows = json_object_get(root, "rows"), *row;
    size_t k, checked = 0;
    static int32_t ids[4096];
    json_array_foreach(rows, k, row)
    {
        json_t *text = json_object_get(row, "text"), *want = json_object_get(row, "ids");
        size_t n = json_array_size(want);
        struct vqp_text io = encode(&t, json_string_value(text), json_string_length(text), ids);
        int equal = io.used == n + 2 && ids[0] == 49406 && ids[n + 1] == 49407 && io.end == n + 1 && !io.truncated;
        for (size_t i = 0; equal && i < n; i++)
            equal = ids[i + 1] == json_integer_value(json_array_get(want, i));
        for (size_t i = n + 2; equal && i < 4096; i++)
            equal = ids[i] == 0;
        if (!equal)
            printf("\n    row %zu: %s\n", k, json_string_value(text));
        CU_ASSERT_TRUE(equal);
        checked++;
    }
    CU_ASSERT_EQUAL(checked, 53);
    close_tokenizer(&t);
    json_decref(root);
}

/* Literals by an independent implementation of the rule (tools/oracle/oracle.py). */
static void shipped_rows(void)
{
    static const struct {
        const char *text;
        int32_t ids[24];
        uint32_t n;
    } rows[] = {
        {"", {757, 758}, 2},
        {"a house with a red roof", {757, 320, 582, 518, 320, 662, 592, 758}, 8},
        {"A Lighthouse at night!", {757, 320, 661, 523, 574, 256, 758}, 7},
        {"it's 42 pine trees,  falling snow", {757, 72, 339, 6, 338, 275, 273, 641, 681, 267, 691, 602, 758}, 13},
        {"castle", {757, 66, 64, 82, 83, 655, 758}, 7},
        {"&amp; <b>", {757, 261, 64, 76, 335, 282, 283, 321, 285, 758}, 10},
    };
    struct opened t = open_tokenizer(shipped, "{}");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.self);
    uint32_t length, vocab;
    t.v->info(t.self, &length, &vocab);
    CU_ASSERT_EQUAL(length, 64);
    CU_ASSERT_EQUAL(vocab, 759);
    int32_t ids[64];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct vqp_text io = encode(&t, rows[r].text, strlen(rows[r].text), ids);
        CU_ASSERT_EQUAL(io.used, rows[r].n);
        CU_ASSERT_EQUAL(memcmp(ids, rows[r].ids, rows[r].n * sizeof *ids), 0);
        for (uint32_t i = rows[r].n; i < 64; i++)
            CU_ASSERT_EQUAL(ids[i], 0);
    }
    close_tokenizer(&t);
}

static void cuts(void)
{
    char text[400] = "";
    int32_t ids[64];
    for (int i = 0; i < 80; i++)
        strcat(text, "sea ");
    struct opened end = open_tokenizer(shipped, "{}"), cut = open_tokenizer(shipped, "{ truncation: diffusers }");
    CU_ASSERT_PTR_NOT_NULL_FATAL(end.self);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cut.self);
    struct vqp_text io = encode(&end, text, strlen(text), ids);
    int32_t word = ids[1];
    CU_ASSERT_EQUAL(ids[0], 757);
    CU_ASSERT_EQUAL(ids[62], word);
    CU_ASSERT_EQUAL(ids[63], 758);
    CU_ASSERT_EQUAL(io.used, 64);
    CU_ASSERT_EQUAL(io.truncated, 18);
    CU_ASSERT_EQUAL(io.end, 63);
    io = encode(&cut, text, strlen(text), ids);
    CU_ASSERT_EQUAL(ids[63], word);
    CU_ASSERT_EQUAL(io.end, 63);
    CU_ASSERT_EQUAL(io.truncated, 18); /* 17 words and the end token */
    io = encode(&end, text, 62 * 4, ids);
    CU_ASSERT_EQUAL(ids[62], word);
    CU_ASSERT_EQUAL(io.truncated, 0);
    io = encode(&cut, text, 63 * 4, ids);
    CU_ASSERT_EQUAL(ids[63], word);
    CU_ASSERT_EQUAL(io.truncated, 1);
    close_tokenizer(&end);
    close_tokenizer(&cut);
}

struct heard {
    char words[8][24];
    uint32_t pieces[8], cut[8], n;
};
static void hear(void *ctx, const char *word, size_t n, uint32_t pieces, uint32_t cut)
{
    struct heard *h = ctx;
    if (h->n < 8) {
        snprintf(h->words[h->n], sizeof h->words[0], "%.*s", (int)n, word);
        h->pieces[h->n] = pieces;
        h->cut[h->n] = cut;
    }
    h->n++;
}

static void tells_words(void)
{
    struct opened t = open_tokenizer(shipped, "{ model_max_length: 6 }");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.self);
    struct heard h = {0};
    int32_t ids[6];
    struct vqp_text io = {.struct_size = sizeof io, .ids = ids, .word = hear, .word_ctx = &h};
    const char text[] = "The  HOUSE zq, sea sea";
    CU_ASSERT_EQUAL(t.v->encode(t.self, text, strlen(text), &io, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(h.n, 5);
    CU_ASSERT_STRING_EQUAL(h.words[0], "the");
    CU_ASSERT_STRING_EQUAL(h.words[1], "house");
    CU_ASSERT_STRING_EQUAL(h.words[2], "zq,");
    CU_ASSERT_EQUAL(h.pieces[1], 1);
    CU_ASSERT_EQUAL(h.pieces[2], 3);
    CU_ASSERT_EQUAL(h.cut[1], 0);
    CU_ASSERT_EQUAL(h.cut[4], 1);
    close_tokenizer(&t);
}

static void original_rule(void)
{
    struct opened golden = open_tokenizer(shipped, "{}"),
                  original = open_tokenizer(shipped, "{ normalizer: original }");
    CU_ASSERT_PTR_NOT_NULL_FATAL(golden.self);
    CU_ASSERT_PTR_NOT_NULL_FATAL(original.self);
    int32_t a[64], b[64];
    encode(&original, "sea &amp; <|endoftext|> sea", 27, a);
    struct vqp_text io = encode(&golden, "sea & sea", 9, b);
    CU_ASSERT_EQUAL(a[1], b[1]);
    CU_ASSERT_EQUAL(a[2], b[2]); /* the entity became its character */
    CU_ASSERT_EQUAL(a[3], 758);  /* the special token was recognised */
    CU_ASSERT_EQUAL(a[4], b[3]);
    CU_ASSERT_EQUAL(io.used, 5);
    close_tokenizer(&golden);
    close_tokenizer(&original);
}

static void any_bytes(void)
{
    struct opened t = open_tokenizer(shipped, "{}");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.self);
    int32_t ids[64], want[64];
    struct vqp_text io = encode(&t, "a\0b", 3, ids);
    CU_ASSERT_TRUE(io.used > 3);
    encode(&t, "\xff\xed\xa0\x80", 4, ids);
    encode(&t, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 12, want);
    CU_ASSERT_EQUAL(memcmp(ids, want, sizeof ids), 0);
    size_t n = 1 << 20;
    char *big = malloc(n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    memset(big, 'x', n);
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    io = encode(&t, big, n, ids);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    CU_ASSERT_TRUE(io.truncated > 1000);
    CU_ASSERT_TRUE(to.tv_sec - from.tv_sec < 20); /* one word of a megabyte: not quadratic */
    free(big);
    close_tokenizer(&t);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    fclose(f);
}

static void bad_folders(void)
{
    static const char specials[] =
        "{\"bos_token\":\"<s>\",\"eos_token\":\"<e>\",\"unk_token\":\"<e>\",\"pad_token\":\"!\"}";
    static const char good[] = "{\"!\":0,\"a\":1,\"a</w>\":2,\"aa</w>\":3,\"<s>\":4,\"<e>\":5}";
    static const struct {
        const char *vocab, *merges, *special, *says;
        vqp_status status;
    } rows[] = {
        {good, "#version: 0.2\na a</w>\n", specials, NULL, VQP_OK},
        {good, "#version: 0.2\r\na a</w>\r\n",
         "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"<e>\",\"unk_token\":\"<e>\",\"pad_token\":\"!\"}", NULL,
         VQP_OK},
        {NULL, "#version: 0.2\n", specials, "vocab.json", VQP_E_IO},
        {good, NULL, specials, "merges.txt", VQP_E_IO},
        {"{\"!\":0,\"a\":0,\"<s>\":1,\"<e>\":2}", "#version: 0.2\n", specials, "vocab.json", VQP_E_FORMAT},
        {"{\"!\":0,\"!\":1,\"<s>\":2,\"<e>\":3}", "#version: 0.2\n", specials, "vocab.json", VQP_E_FORMAT},
        {"{\"!\":0,\"a\":7,\"<s>\":1,\"<e>\":2}", "#version: 0.2\n", specials, "vocab.json", VQP_E_FORMAT},
        {"{\"!\":0,\"a\":[1]}", "#version: 0.2\n", specials, "vocab.json:1", VQP_E_FORMAT},
        {"{\"!\":0,\n\"\\ud800\":1}", "#version: 0.2\n", specials, "vocab.json:2", VQP_E_FORMAT},
        {"[1]", "#version: 0.2\n", specials, "vocab.json", VQP_E_FORMAT},
        {good, "#version: 0.2\na a a\n", specials, "merges.txt:2", VQP_E_FORMAT},
        {good, "a a</w>\n", specials, "merges.txt:1", VQP_E_FORMAT},
        {good, "#version: 0.2\na a\n", specials, "merged \"aa\"", VQP_E_FORMAT},
        {good, "#version: 0.2\na a</w>\na a</w>\n", specials, "merges.txt:3", VQP_E_FORMAT},
        {good, "#version: 0.2\na b\n", specials, "merges.txt:2", VQP_E_FORMAT},
        {good, "#version: 0.2\na a</w>\n\xff\xfe b\n", specials, "merges.txt", VQP_E_FORMAT},
        {good, "#version: 0.2\n", "{\"bos_token\":\"<s>\"}", "special_tokens_map.json", VQP_E_FORMAT},
        {good, "#version: 0.2\n",
         "{\"bos_token\":\"<q>\",\"eos_token\":\"<e>\",\"unk_token\":\"<e>\",\"pad_token\":\"!\"}", "<q>",
         VQP_E_FORMAT},
    };
    char dir[] = "/tmp/vqp-bpe-XXXXXX", path[3][64];
    static const char *const names[] = {"vocab.json", "merges.txt", "special_tokens_map.json"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const char *text[] = {rows[r].vocab, rows[r].merges, rows[r].special};
        for (int i = 0; i < 3; i++) {
            snprintf(path[i], sizeof path[i], "%s/%s", dir, names[i]);
            unlink(path[i]);
            if (text[i])
                write_text(path[i], text[i]);
        }
        err = (struct vqp_error){0};
        struct opened t = open_tokenizer(dir, "{ model_max_length: 8 }");
        CU_ASSERT_EQUAL(t.self == NULL, rows[r].says != NULL);
        CU_ASSERT_EQUAL(err.code, rows[r].status);
        if (err.code != rows[r].status)
            printf("\n    row %zu: %d %s\n", r, err.code, err.msg);
        if (rows[r].says)
            CHECK_STR_HAS(err.msg, rows[r].says);
        close_tokenizer(&t);
    }
    for (int i = 0; i < 3; i++)
        unlink(path[i]);
    rmdir(dir);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives CLIP's ids for every golden row", golden_rows},
        {"gives the shipped model's ids, padded", shipped_rows},
        {"cuts long prompts with and without the end token", cuts},
        {"tells each word, its pieces and whether it was cut", tells_words},
        {"follows the original rule where asked", original_rule},
        {"accepts any bytes, and long words in good time", any_bytes},
        {"refuses bad folders, naming file and line", bad_folders},
    };
    return RUN_CASES("clip-bpe", cases);
}
