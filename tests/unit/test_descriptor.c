#include "check.h"
#include "descriptor.h"
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct vqp_arena arena;
static struct vqp_error err;

static struct vqp_node *parse_n(const char *text, size_t n)
{
    struct vqp_node *root = NULL;
    err = (struct vqp_error){0};
    vqp_arena_free(&arena);
    vqp_status s = vqp_descriptor_parse(&arena, "a.yaml", text, n, &root, &err);
    CU_ASSERT_EQUAL(s, root ? VQP_OK : VQP_E_ARG);
    CU_ASSERT_EQUAL(err.code, s);
    return root;
}

static struct vqp_node *parse(const char *text)
{
    return parse_n(text, strlen(text));
}

/* `message`: how it begins. */
static void refused_n(const char *text, size_t n, const char *message)
{
    CU_ASSERT_PTR_NULL(parse_n(text, n));
    if (strncmp(err.msg, message, strlen(message)))
        printf("\n    \"%.40s\" gives \"%s\",\n    not \"%s\"\n", text, err.msg, message);
    CU_ASSERT_EQUAL(strncmp(err.msg, message, strlen(message)), 0);
}

static void refused(const char *text, const char *message)
{
    refused_n(text, strlen(text), message);
}

static const char *text_at(struct vqp_node *root, const char *dotted)
{
    const struct vqp_node *n = vqp_node_find(root, dotted);
    return n && n->text ? n->text : "(none)";
}

static void reads(void)
{
    struct vqp_node *root = parse("# a comment\n"
                                  "vqpipe: 1\n"
                                  "components:\n"
                                  "  scheduler: { use: halton, spacing: \"7\" }\n"
                                  "run:\n"
                                  "  prompt: [a house, 'two: words']\n"
                                  "  note: |\n"
                                  "    two\n"
                                  "    lines\n"
                                  "  empty:\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    CU_ASSERT_EQUAL(root->kind, VQP_NODE_MAP);
    CU_ASSERT_STRING_EQUAL(text_at(root, "components.scheduler.use"), "halton");
    const struct vqp_node *n = vqp_node_find(root, "components.scheduler.spacing");
    CU_ASSERT_STRING_EQUAL(n->text, "7");
    CU_ASSERT_EQUAL(n->quoted, 1);
    CU_ASSERT_STRING_EQUAL(n->at.name, "a.yaml");
    CU_ASSERT_EQUAL(n->key_at.line, 4);
    CU_ASSERT_EQUAL(n->key_at.col, 29);
    CU_ASSERT_EQUAL(n->at.line, 4);
    CU_ASSERT_EQUAL(n->at.col, 38);
    CU_ASSERT_EQUAL(n->at.from_command_line, 0);
    n = vqp_node_find(root, "run.prompt");
    CU_ASSERT_EQUAL(n->kind, VQP_NODE_LIST);
    CU_ASSERT_STRING_EQUAL(n->child->text, "a house");
    CU_ASSERT_EQUAL(n->child->quoted, 0);
    CU_ASSERT_STRING_EQUAL(n->child->next->text, "two: words");
    CU_ASSERT_PTR_NULL(n->child->next->next);
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.note"), "two\nlines\n");
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.empty"), "");
    CU_ASSERT_PTR_NULL(vqp_node_find(root, "run.prompts"));
    CU_ASSERT_PTR_NULL(vqp_node_find(root, "run.prompt.x"));
    CU_ASSERT_PTR_NULL(vqp_node_find(root, "run..prompt"));
    CU_ASSERT_PTR_NULL(vqp_node_find(root, ""));
}

static void columns_count_characters(void)
{
    refused("vqpipe: 1\n\"h\xC3\xA4user\": {a: 1, a: 2}\n", "a.yaml:2:18: key 'a' is given twice");
}

static void merge_key_is_plain(void)
{
    struct vqp_node *root = parse("vqpipe: 1\n<<: {a: 1}\n");
    CU_ASSERT_PTR_NOT_NULL(root);
    CU_ASSERT_PTR_NOT_NULL(vqp_node_find(root, "<<.a"));
    CU_ASSERT_PTR_NULL(vqp_node_find(root, "a"));
}

static void refuses_cleverness(void)
{
    refused("vqpipe: 1\na: &x 1\n", "a.yaml:2:4: anchors");
    refused("vqpipe: 1\na: &x [1]\n", "a.yaml:2:4: anchors");
    refused("vqpipe: 1\n&x a: 1\n", "a.yaml:2:1: anchors");
    refused("&x {vqpipe: 1}\n", "a.yaml:1:1: anchors");
    refused("vqpipe: 1\na: *x\n", "a.yaml:2:4: aliases");
    refused("vqpipe: 1\n*x : 1\n", "a.yaml:2:1: a key must be plain text");
    refused("vqpipe: 1\na: !!str 1\n", "a.yaml:2:4: tags");
    refused("vqpipe: 1\na: !mine {b: 1}\n", "a.yaml:2:4: tags");
    refused("vqpipe: 1\na: !mine [b]\n", "a.yaml:2:4: tags");
    refused("vqpipe: 1\na: ! 1\n", "a.yaml:2:4: tags");
    refused("vqpipe: 1\n\xC3\xA4: ! 'b'\n", "a.yaml:2:4: tags");
    refused("%TAG ! tag:example.org,2000:\n---\nvqpipe: 1\n", "a.yaml:1:1: %TAG");
    refused("vqpipe: 1\n? [a, b]\n: 1\n", "a.yaml:2:3: a key must be plain text");
    refused("vqpipe: 1\n{a: 1}: 1\n", "a.yaml:2:1: a key must be plain text");
    refused("vqpipe: 1\n: 1\n", "a.yaml:2:1: not valid YAML");
    refused("vqpipe: 1\n\"\": 1\n", "a.yaml:2:1: a key is missing");
    CU_ASSERT_PTR_NOT_NULL(parse("vqpipe: 1\na: \"!text\"\nb: a!b\nc: 'a & *b'\n"));
}

static void refuses_duplicates(void)
{
    refused("vqpipe: 1\nrun: {a: 1}\nrun: 2\n", "a.yaml:3:1: key 'run' is given twice, first in line 2");
    refused("vqpipe: 1\nrun:\n  a: 1\n  'a': 1\n", "a.yaml:4:3: key 'a' is given twice");
    refused("vqpipe: 1\nx: [{a: 1, \"\\x61\": 1}]\n", "a.yaml:2:12: key 'a' is given twice");
    CU_ASSERT_PTR_NOT_NULL(parse("vqpipe: 1\nx: [{a: 1}, {a: 1}]\na: {a: 1}\n"));
}

static void refuses_bytes(void)
{
    refused("\xEF\xBB\xBFvqpipe: 1\n", "a.yaml:1:1: the text begins with a byte order mark");
    refused_n("\xFF\xFEv\0q\0", 6, "a.yaml:1:1: the text is UTF-16");
    refused_n("\xFE\xFF\0v\0q", 6, "a.yaml:1:1: the text is UTF-16");
    refused_n("v\0q\0p\0", 6, "a.yaml:1:2: a NUL byte");
    refused_n("vqpipe: 1\na: b\0c\n", 18, "a.yaml:2:5: a NUL byte");
    refused("vqpipe: 1\na: \"b\\0c\"\n", "a.yaml:2:4: the text holds a NUL");
    refused("vqpipe: 1\na: \xC0\xAF\n", "a.yaml:2:4: the text is not valid UTF-8");
    refused("vqpipe: 1\na: \xED\xA0\x80\n", "a.yaml:2:4: the text is not valid UTF-8");
    refused("vqpipe: 1\na: b\x01\n", "a.yaml:2:5: a control character");
    refused("vqpipe: 1\nrun:\n\tsteps: 1\n", "a.yaml:3:1: a tab stands here");
    refused("vqpipe: 1\n\trun: 1\n", "a.yaml:2:1: a tab stands here");
}

static void refuses_documents(void)
{
    refused("", "a.yaml:1:1: the descriptor is empty");
    refused("# nothing\n\n", "a.yaml:1:1: the descriptor is empty");
    refused("---\n", "a.yaml:2:1: a descriptor is a map");
    refused("- vqpipe\n", "a.yaml:1:1: a descriptor is a map of keys, and this is a list");
    refused("vqpipe\n", "a.yaml:1:1: a descriptor is a map of keys, and this is a single value");
    refused("vqpipe: 1\n---\nvqpipe: 1\n", "a.yaml:2:1: a second document");
    refused("vqpipe: 1\n...\n---\n", "a.yaml:3:1: a second document");
    CU_ASSERT_PTR_NOT_NULL(parse("---\nvqpipe: 1\n...\n"));
}

static void refuses_versions(void)
{
    refused("name: x\n", "a.yaml:1:1: 'vqpipe: 1' is missing");
    refused("name: x\nvqpipe: 2\n", "a.yaml:2:9: descriptor version '2' is not known");
    refused("vqpipe: '1'\n", "a.yaml:1:9: descriptor version '1' is not known");
    refused("vqpipe: 01\n", "a.yaml:1:9: descriptor version '01' is not known");
    refused("vqpipe: [1]\n", "a.yaml:1:9: descriptor version '' is not known");
}

static void refuses_syntax(void)
{
    refused("vqpipe: 1\nrun: {a: 1\n", "a.yaml:3:1: not valid YAML: ");
    refused("vqpipe: 1\nrun: [a\nb: 1\n", "a.yaml:3:2: not valid YAML: ");
    refused("vqpipe: 1\n  a: 1\n", "a.yaml:2:4: not valid YAML: ");
    refused("vqpipe: 1\na: 'open\n", "a.yaml:3:1: not valid YAML: ");
    refused("vqpipe: 1\na: @b\n", "a.yaml:2:4: not valid YAML: ");
}

static double seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) * 1e-9;
}

static void bounds_depth_and_size(void)
{
    enum {
        BOMB = 100000,
        LIMIT = 256 * 1024
    };
    char *text = malloc(LIMIT + 2), deep[64] = "vqpipe: 1\na: ";
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    memset(text, '[', BOMB);
    refused_n(text, BOMB, "a.yaml:1:17: maps and lists are nested deeper than 16");
    for (int i = 0; i < BOMB; i += 2)
        memcpy(text + i, "- ", 2);
    refused_n(text, BOMB, "a.yaml:1:33: maps and lists are nested deeper than 16");
    for (int i = 0; i < BOMB; i += 4)
        memcpy(text + i, "{a: ", 4);
    refused_n(text, BOMB, "a.yaml:1:65: maps and lists are nested deeper than 16");
    for (int i = 0; i < LIMIT; i += 8) /* as many keys as fit */
        snprintf(text + i, 9, "%06x: ", (unsigned)i);
    for (int i = 7; i < LIMIT; i += 8)
        text[i] = '\n';
    refused_n(text, LIMIT, "a.yaml:1025:1: a map holds more than 1024 keys");
    CU_ASSERT_TRUE(seconds_since(&start) < 1.0);

    strcat(deep, "[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"); /* 15 in the root's map */
    CU_ASSERT_PTR_NOT_NULL(parse(deep));

    memset(text, '#', LIMIT + 1);
    memcpy(text, "vqpipe: 1\n", 10);
    CU_ASSERT_PTR_NOT_NULL(parse_n(text, LIMIT));
    refused_n(text, LIMIT + 1, "a.yaml:1:1: the text is longer than 256 KB");
    free(text);
}

/* Cut anywhere and with any byte changed, a descriptor is read or refused, and nothing else. */
static void survives_mutation(void)
{
    static const char good[] =
        "vqpipe: 1\nname: \"x\\u00e4\"\nrun: {prompt: [a, 'b'], steps: 10}\nnote: >-\n  a\n  b\n";
    char text[sizeof good];
    unsigned accepted = 0;
    for (size_t i = 0; i < sizeof good - 1; i++) {
        struct vqp_node *root = NULL;
        vqp_arena_free(&arena);
        accepted += vqp_descriptor_parse(&arena, "a.yaml", good, i, &root, &err) == VQP_OK;
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, good, sizeof good);
            text[i] = (char)byte;
            vqp_arena_free(&arena);
            vqp_status s = vqp_descriptor_parse(&arena, "a.yaml", text, sizeof good - 1, &root, &err);
            if (s != VQP_OK && (s != VQP_E_ARG || strncmp(err.msg, "a.yaml:", 7)))
                CU_FAIL("a mutation gave neither a tree nor a message with its place");
        }
    }
    CU_ASSERT_TRUE(accepted > 0);
}

static void reads_files(void)
{
    char dir[] = "/tmp/vqp-descriptor-XXXXXX", path[64];
    struct vqp_node *root = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    vqp_arena_free(&arena);
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, path, &root, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(err.code, VQP_E_ARG);
    CHECK_STR_HAS(err.msg, path);
    CHECK_STR_HAS(err.msg, "No such file or directory");
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, path, &root, NULL), VQP_E_ARG);
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, dir, &root, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, dir);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, path, &root, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, path);
    unlink(path);

    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("vqpipe: 1\nname: from a file\n", f);
    fclose(f);
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, path, &root, &err), VQP_OK);
    CU_ASSERT_STRING_EQUAL(text_at(root, "name"), "from a file");
    CU_ASSERT_STRING_EQUAL(root->at.name, path);
    CU_ASSERT_EQUAL(truncate(path, 256 * 1024 + 1), 0);
    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, path, &root, &err), VQP_E_ARG);
    unlink(path);
    rmdir(dir);

    CU_ASSERT_EQUAL(vqp_descriptor_read(&arena, VQP_SOURCE_DIR "/pipelines/vqdiffusion.yaml", &root, &err), VQP_OK);
    CU_ASSERT_STRING_EQUAL(text_at(root, "components.vq_decoder.use"), "vqgan");
}

static const struct vqp_origin set = {.name = "--set", .from_command_line = 1};

static struct vqp_node *value(const char *text)
{
    struct vqp_node *n = NULL;
    err = (struct vqp_error){0};
    CU_ASSERT_EQUAL(vqp_descriptor_value(&arena, &set, text, &n, &err), n ? VQP_OK : VQP_E_ARG);
    return n;
}

static void value_refused(const char *text, const char *message)
{
    CU_ASSERT_PTR_NULL(value(text));
    if (strncmp(err.msg, message, strlen(message)))
        printf("\n    \"%.40s\" gives \"%s\",\n    not \"%s\"\n", text, err.msg, message);
    CU_ASSERT_EQUAL(strncmp(err.msg, message, strlen(message)), 0);
}

static void parses_values(void)
{
    vqp_arena_free(&arena);
    const struct vqp_node *n = value("7");
    CU_ASSERT_STRING_EQUAL(n->text, "7");
    CU_ASSERT_EQUAL(n->quoted, 0);
    CU_ASSERT_EQUAL(n->at.line, 0);
    CU_ASSERT_EQUAL(n->at.from_command_line, 1);
    CU_ASSERT_STRING_EQUAL(n->at.name, "--set");
    n = value("[1, {a: 2}]");
    CU_ASSERT_EQUAL(n->kind, VQP_NODE_LIST);
    CU_ASSERT_STRING_EQUAL(n->child->next->child->key, "a");
    CU_ASSERT_STRING_EQUAL(value("a house, a tree")->text, "a house, a tree");
    n = value("'a: b'");
    CU_ASSERT_STRING_EQUAL(n->text, "a: b");
    CU_ASSERT_EQUAL(n->quoted, 1);
    n = value("");
    CU_ASSERT_EQUAL(n->kind, VQP_NODE_SCALAR);
    CU_ASSERT_STRING_EQUAL(n->text, "");

    value_refused("a: b", "--set: the value reads as a map");
    value_refused("- a", "--set: the value reads as a block list");
    value_refused("# a", "--set: the value reads as a YAML comment");
    value_refused("[1", "--set: not valid YAML: ");
    value_refused("[1] 2", "--set: not valid YAML: ");
    value_refused("&a 1", "--set: anchors");
    value_refused("*a", "--set: aliases");
    value_refused("!a", "--set: tags");
    value_refused("{a: 1, a: 1}", "--set: key 'a' is given twice; remove one");
    value_refused("\xFF", "--set: the text is not valid UTF-8");
    value_refused("[[[[[[[[[[[[[[[[[1", "--set: maps and lists are nested deeper");
    value_refused("a\n---\nb", "--set: a second document");
}

static void sets_nodes(void)
{
    struct vqp_node *root = parse("vqpipe: 1\nrun: {steps: 5, seed: 7, rng: philox}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    CU_ASSERT_EQUAL(vqp_node_set(&arena, root, "run.seed", value("8"), &err), VQP_OK);
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.seed"), "8");
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.steps"), "5");
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.rng"), "philox");
    CU_ASSERT_EQUAL(vqp_node_set(&arena, root, "backend.use", value("cpu"), &err), VQP_OK);
    CU_ASSERT_STRING_EQUAL(text_at(root, "backend.use"), "cpu");
    CU_ASSERT_STRING_EQUAL(vqp_node_find(root, "backend")->key, "backend");
    CU_ASSERT_EQUAL(vqp_node_set(&arena, root, "a.b.c", value("[1]"), &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_node_find(root, "a.b.c")->kind, VQP_NODE_LIST);
    CU_ASSERT_EQUAL(vqp_node_set(&arena, root, "a", value("x"), &err), VQP_OK);
    CU_ASSERT_PTR_NULL(vqp_node_find(root, "a.b"));

    CU_ASSERT_EQUAL(vqp_node_set(&arena, root, "run.steps.x", value("1"), &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "--set: 'run.steps.x' cannot be set: 'run.steps' (a.yaml:2:14) is a value");
    static const char *const bad[] = {"", ".", "run.", ".run", "run..steps", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(vqp_node_set(&arena, root, bad[i], value("1"), &err), VQP_E_ARG);
    CU_ASSERT_STRING_EQUAL(text_at(root, "run.steps"), "5");
}

static void writes_origins(void)
{
    char buf[300], path[400];
    struct vqp_origin o = {.name = "x/a.yaml", .line = 3, .col = 9};
    CU_ASSERT_STRING_EQUAL(vqp_origin_text(&o, buf, sizeof buf), "x/a.yaml:3:9: ");
    CU_ASSERT_STRING_EQUAL(vqp_origin_text(&set, buf, sizeof buf), "--set: ");
    o.name = "a\nb";
    CU_ASSERT_STRING_EQUAL(vqp_origin_text(&o, buf, sizeof buf), "a\\x0Ab:3:9: ");
    memset(path, 'p', sizeof path);
    strcpy(path + sizeof path - 8, "/a.yaml");
    o.name = path;
    vqp_origin_text(&o, buf, sizeof buf);
    CU_ASSERT_EQUAL(strncmp(buf, "...p", 4), 0);
    CHECK_STR_HAS(buf, "p/a.yaml:3:9: ");
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"reads maps, lists and scalars with their places", reads},
        {"counts columns in characters", columns_count_characters},
        {"takes '<<' for a plain key", merge_key_is_plain},
        {"refuses anchors, aliases, tags and complex keys with their place", refuses_cleverness},
        {"refuses duplicate keys at any level", refuses_duplicates},
        {"refuses BOM, UTF-16, NUL, broken UTF-8, control characters and tabs", refuses_bytes},
        {"refuses empty, double and shapeless documents", refuses_documents},
        {"refuses a missing or other version", refuses_versions},
        {"refuses broken syntax with its place", refuses_syntax},
        {"bounds depth, keys and size in time", bounds_depth_and_size},
        {"survives every cut and every changed byte", survives_mutation},
        {"reads regular files alone and names the others", reads_files},
        {"parses values of --set by the same rules", parses_values},
        {"sets nodes and makes maps on the way", sets_nodes},
        {"writes origins for messages", writes_origins},
    };
    int rc = RUN_CASES("descriptor", cases);
    vqp_arena_free(&arena);
    return rc;
}
