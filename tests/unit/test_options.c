#include "check.h"
#include "options.h"
#include "scratch.h"
#include <locale.h>
#include <math.h>

struct opts {
    int64_t rounds;
    double rate;
    int32_t on, order;
    const char *label, *null_path;
    struct vqp_list sizes, words;
};
static const struct vqp_option table[] = {
    VQP_OPT(struct opts, rounds, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 9, .def = "3",
            .help = "how often"),
    VQP_OPT(struct opts, rate, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 1, .def = "0.5",
            .config = "the_rate"),
    VQP_OPT(struct opts, on, .type = VQP_OPT_BOOL, .flags = VQP_OPT_CONFIG, .def = "true"),
    VQP_OPT(struct opts, order, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .choices = "falling|rising|random"),
    VQP_OPT(struct opts, label, .type = VQP_OPT_STRING, .flags = VQP_OPT_CONFIG, .config = "null_path:label"),
    VQP_OPT(struct opts, null_path, .type = VQP_OPT_PATH),
    VQP_OPT(struct opts, sizes, .type = VQP_OPT_INTS, .flags = VQP_OPT_CONFIG, .min = 1, .max = 100, .def = "[8, 16]"),
    VQP_OPT(struct opts, words, .type = VQP_OPT_STRINGS, .flags = VQP_OPT_CONFIG),
    {0},
};

static struct vqp_arena arena;
static struct vqp_error err;
static const char *config_dir; /* the component's folder for the next fill */
static char settled[2048];

static void note(void *ctx, const char *key, const char *value, const char *origin)
{
    size_t n = strlen(settled);
    snprintf(settled + n, sizeof settled - n, "%s%s=%s (%s)\n", (const char *)ctx, key, value, origin);
}

/* Fills from { body } as the map of line 2 of a descriptor; NULL: no map at all. */
static vqp_status fill_table(const struct vqp_option *t, const char *body, void *out, size_t size)
{
    static const char *const core_keys[] = {"use", "path", NULL};
    char text[1024];
    struct vqp_node *root = NULL;
    vqp_arena_free(&arena);
    err = (struct vqp_error){0};
    settled[0] = 0;
    if (body) {
        int n = snprintf(text, sizeof text, "vqpipe: 1\ns: {%s}\n", body);
        CU_ASSERT_EQUAL_FATAL(vqp_descriptor_parse(&arena, "a.yaml", text, (size_t)n, &root, &err), VQP_OK);
    }
    memset(out, 0xAA, size);
    vqp_status s = vqp_options_fill(&(struct vqp_options_args){.owner = "scheduler (toy)",
                                                               .table = t,
                                                               .map = body ? vqp_node_find(root, "s") : NULL,
                                                               .core_keys = core_keys,
                                                               .base_dir = "/models",
                                                               .path = config_dir,
                                                               .arena = &arena,
                                                               .settled = note,
                                                               .settled_ctx = ""},
                                    out, size, &err);
    CU_ASSERT_EQUAL(err.code, s);
    return s;
}

static struct opts fill(const char *body)
{
    struct opts o;
    vqp_status s = fill_table(table, body, &o, sizeof o);
    CU_ASSERT_EQUAL(s, VQP_OK);
    if (s != VQP_OK)
        printf("\n    %s: %s\n", body ? body : "(no map)", err.msg);
    return o;
}

static void refused(const char *body, vqp_status status, const char *message)
{
    struct opts o;
    CU_ASSERT_EQUAL(fill_table(table, body, &o, sizeof o), status);
    CHECK_STR_HAS(err.msg, message);
}

static void defaults(void)
{
    static const char *const bodies[] = {NULL, "", "use: toy, path: x"};
    for (size_t i = 0; i < 3; i++) {
        struct opts o = fill(bodies[i]);
        CU_ASSERT_EQUAL(o.rounds, 3);
        CU_ASSERT_EQUAL(o.rate, 0.5);
        CU_ASSERT_EQUAL(o.on, 1);
        CU_ASSERT_EQUAL(o.order, 0);
        CU_ASSERT_PTR_NULL(o.label);
        CU_ASSERT_PTR_NULL(o.null_path);
        CU_ASSERT_EQUAL_FATAL(o.sizes.n, 2);
        CU_ASSERT_EQUAL(((const int64_t *)o.sizes.items)[1], 16);
        CU_ASSERT_EQUAL(o.words.n, 0);
        CU_ASSERT_PTR_NULL(o.words.items);
    }
}

static void typed_values(void)
{
    struct opts o =
        fill("rounds: 9, rate: 1e-3, on: false, order: random, label: 007, null_path: x/y, sizes: [1, 100], "
             "words: [a, 'b c', 3]");
    CU_ASSERT_EQUAL(o.rounds, 9);
    CU_ASSERT_EQUAL(o.rate, 1e-3);
    CU_ASSERT_EQUAL(o.on, 0);
    CU_ASSERT_EQUAL(o.order, 2);
    CU_ASSERT_STRING_EQUAL(o.label, "007");
    CU_ASSERT_STRING_EQUAL(o.null_path, "/models/x/y");
    CU_ASSERT_EQUAL_FATAL(o.sizes.n, 2);
    CU_ASSERT_EQUAL(((const int64_t *)o.sizes.items)[0], 1);
    CU_ASSERT_EQUAL(((const int64_t *)o.sizes.items)[1], 100);
    CU_ASSERT_EQUAL_FATAL(o.words.n, 3);
    CU_ASSERT_STRING_EQUAL(((const char *const *)o.words.items)[1], "b c");
    CU_ASSERT_STRING_EQUAL(((const char *const *)o.words.items)[2], "3");

    o = fill("sizes: 7, words: one, label: 'yes', order: 'rising', null_path: /abs");
    CU_ASSERT_EQUAL_FATAL(o.sizes.n, 1);
    CU_ASSERT_EQUAL(((const int64_t *)o.sizes.items)[0], 7);
    CU_ASSERT_EQUAL_FATAL(o.words.n, 1);
    CU_ASSERT_STRING_EQUAL(((const char *const *)o.words.items)[0], "one");
    CU_ASSERT_STRING_EQUAL(o.label, "yes");
    CU_ASSERT_EQUAL(o.order, 1);
    CU_ASSERT_STRING_EQUAL(o.null_path, "/abs");

    o = fill("sizes: [], label: ");
    CU_ASSERT_EQUAL(o.sizes.n, 0);
    CU_ASSERT_STRING_EQUAL(o.label, "");
}

static void strict_numbers(void)
{
    static const char *const not_whole[] = {"ten", "010", "0x1",   "1e0", "+5", "' 5'", "5.0",
                                            "5x",  "--5", "1_000", "yes", "-",  ".5",   "9223372036854775808"};
    for (size_t i = 0; i < sizeof not_whole / sizeof *not_whole; i++) {
        char body[64];
        snprintf(body, sizeof body, "rounds: %s", not_whole[i]);
        refused(body, VQP_E_ARG, "is not a whole number; give one in 1..9");
    }
    refused("rounds: ten", VQP_E_ARG, "a.yaml:2:13: scheduler (toy): rounds: 'ten' is not a whole number");
    refused("rounds: '5'", VQP_E_ARG, "'5' is text because it stands in quotes");
    refused("rounds: 0", VQP_E_ARG,
            "a.yaml:2:13: scheduler (toy): rounds: 0 is out of range; give a whole number in 1..9");
    refused("rounds: 10", VQP_E_ARG, "10 is out of range");
    refused("rounds: -1", VQP_E_ARG, "-1 is out of range");
    refused("rounds: [1]", VQP_E_ARG, "a list stands where one whole number is expected");
    refused("rounds: {a: 1}", VQP_E_ARG, "a map stands where one whole number is expected");
    refused("rounds: ", VQP_E_ARG, "there is no value");

    static const char *const not_number[] = {"nan", "inf", "-inf",  "0x1p0", "1e", "1e999",
                                             "+1",  ".",   "1.0.0", "'0,5'", "1x"};
    for (size_t i = 0; i < sizeof not_number / sizeof *not_number; i++) {
        char body[64];
        snprintf(body, sizeof body, "rate: %s", not_number[i]);
        refused(body, VQP_E_ARG, "is not a finite number; give one in 0..1");
    }
    refused("rate: 1.01", VQP_E_ARG, "1.01 is out of range; give a number in 0..1");
    CU_ASSERT_EQUAL(fill("rate: 1").rate, 1.0);
    CU_ASSERT_EQUAL(fill("rate: .25").rate, 0.25);
    CU_ASSERT_EQUAL(fill("rate: 1.").rate, 1.0);
    CU_ASSERT_EQUAL(fill("rate: -0.0").rate, 0.0);
}

static void whole_range(void)
{
    static const struct vqp_option any[] = {{.name = "n", .type = VQP_OPT_INT}, {0}};
    int64_t n = 0;
    CU_ASSERT_EQUAL(fill_table(any, "n: -9223372036854775808", &n, sizeof n), VQP_OK);
    CU_ASSERT_EQUAL(n, INT64_MIN);
    CU_ASSERT_EQUAL(fill_table(any, "n: 9223372036854775807", &n, sizeof n), VQP_OK);
    CU_ASSERT_EQUAL(n, INT64_MAX);
    CU_ASSERT_EQUAL(fill_table(any, "n: 0", &n, sizeof n), VQP_OK);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(fill_table(any, "n: 9223372036854775808", &n, sizeof n), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "give one, in decimal digits");
    CU_ASSERT_EQUAL(fill_table(any, "n: -9223372036854775809", &n, sizeof n), VQP_E_ARG);
    CU_ASSERT_EQUAL(fill_table(NULL, "use: x", &n, 0), VQP_OK);
    CU_ASSERT_EQUAL(fill_table(NULL, "n: 1", &n, 0), VQP_E_ARG);
}

static void bools_and_choices(void)
{
    static const char *const bad[] = {"on: yes", "on: True", "on: 1", "on: 'true'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i], VQP_E_ARG, "is neither true nor false");
    refused("order: raising", VQP_E_ARG, "'raising' is not one of falling|rising|random; did you mean 'rising'?");
    refused("order: sideways", VQP_E_ARG, "'sideways' is not one of its choices; give one of falling|rising|random");
    refused("order: fall", VQP_E_ARG, "is not one of");
    refused("order: falling|rising", VQP_E_ARG, "is not one of");
    refused("null_path: ''", VQP_E_ARG, "the path is empty");
    refused("words: {a: 1}", VQP_E_ARG, "a list of texts is expected");
    refused("words: [[a]]", VQP_E_ARG, "a list stands where one text is expected");
    refused("sizes: [1, 2, 101]", VQP_E_ARG, "a.yaml:2:19: scheduler (toy): sizes: 101 is out of range");
    refused("sizes: [1, x]", VQP_E_ARG, "a.yaml:2:16: scheduler (toy): sizes: 'x' is not a whole number");
}

static void unknown_keys(void)
{
    refused("use: toy, rouns: 3", VQP_E_ARG,
            "a.yaml:2:15: scheduler (toy): unknown key 'rouns'; did you mean 'rounds'?");
    refused("pth: toy", VQP_E_ARG, "did you mean 'path'?");
    refused("<<: {rounds: 1}", VQP_E_ARG, "unknown key '<<'");
    refused("something_else: 3", VQP_E_ARG, "unknown key 'something_else'; remove it");
}

static void required(void)
{
    static const struct vqp_option needy[] = {
        {.name = "n", .type = VQP_OPT_INT, .flags = VQP_OPT_REQUIRED, .help = "how many, in pieces"}, {0}};
    int64_t n;
    CU_ASSERT_EQUAL(fill_table(needy, "use: toy", &n, sizeof n), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "a.yaml:2:4: scheduler (toy): key 'n' is missing; give it (how many, in pieces)");
    CU_ASSERT_EQUAL(fill_table(needy, NULL, &n, sizeof n), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "scheduler (toy): key 'n' is missing");
    CU_ASSERT_EQUAL(fill_table(needy, "n: 4", &n, sizeof n), VQP_OK);
    CU_ASSERT_EQUAL(n, 4);
}

static void command_line(void)
{
    static const struct vqp_origin set = {.name = "--set", .from_command_line = 1};
    struct vqp_node map = {.kind = VQP_NODE_MAP, .at = {.name = "a.yaml", .line = 1, .col = 1}}, *v = NULL;
    struct opts o;
    char cwd[4096], expected[4200];
    vqp_arena_free(&arena);
    struct vqp_options_args a = {.owner = "s", .table = table, .map = &map, .base_dir = "/models", .arena = &arena};
    CU_ASSERT_EQUAL(vqp_descriptor_value(&arena, &set, "here/x", &v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_node_set(&arena, &map, "null_path", v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &o, sizeof o, &err), VQP_E_IO); /* the label would be read there */
    CU_ASSERT_EQUAL(vqp_descriptor_value(&arena, &set, "x", &v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_node_set(&arena, &map, "label", v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &o, sizeof o, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof cwd));
    snprintf(expected, sizeof expected, "%s/here/x", cwd);
    CU_ASSERT_STRING_EQUAL(o.null_path, expected);
    CU_ASSERT_EQUAL(vqp_descriptor_value(&arena, &set, "11", &v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_node_set(&arena, &map, "rounds", v, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &o, sizeof o, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(strncmp(err.msg, "--set: s: rounds: 11 is out of range", 36), 0);
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &o, sizeof o, NULL), VQP_E_ARG);
}

/* A fresh folder of that name in the scratch folder, with one file; returns its path. */
static const char *folder(const char *name, const char *file, const char *json)
{
    char path[200];
    const char *dir = strdup(scratch(name));
    mkdir(dir, 0755);
    if (file) {
        snprintf(path, sizeof path, "%s/%s", name, file);
        scratch_write(path, json, strlen(json));
    }
    return dir;
}

static void model_config(void)
{
    config_dir = folder("model", "config.json",
                        "{\"rounds\": 7, \"the_rate\": 1, \"rate\": 0.25, \"on\": false,"
                        " \"order\": \"rising\", \"sizes\": [1, 2, 3], \"words\": [\"a\"],"
                        " \"label\": \"not this\", \"unknown\": {}}");
    struct opts o = fill("use: toy, rounds: 2");
    CU_ASSERT_EQUAL(o.rounds, 2); /* the descriptor wins */
    CU_ASSERT_EQUAL(o.rate, 1.0); /* by its own name there, an integer is a number */
    CU_ASSERT_EQUAL(o.on, 0);
    CU_ASSERT_EQUAL(o.order, 1);
    CU_ASSERT_EQUAL(o.sizes.n, 3);
    CU_ASSERT_EQUAL_FATAL(o.words.n, 1);
    CU_ASSERT_STRING_EQUAL(((const char *const *)o.words.items)[0], "a");
    CU_ASSERT_PTR_NULL(o.label); /* its folder was not given */
    CU_ASSERT_EQUAL(fill("").rounds, 7);
    CHECK_STR_HAS(settled, "rounds=7 (");
    CHECK_STR_HAS(settled, "model/config.json)\n");
    free((char *)config_dir);

    config_dir = folder("nulls", "the_config.json", "{\"rounds\": null, \"on\": false}");
    o = fill("");
    CU_ASSERT_EQUAL(o.rounds, 3);
    CU_ASSERT_EQUAL(o.on, 0); /* the one *_config.json serves where there is no config.json */
    const char *second = folder("nulls", "other_config.json", "{}");
    refused("", VQP_E_FORMAT, "holds 2 files called *_config.json");
    free((char *)second);
    second = folder("nulls", "config.json", "{\"rounds\": 5}");
    CU_ASSERT_EQUAL(fill("").rounds, 5);
    free((char *)second);
    free((char *)config_dir);

    config_dir = folder("bare", NULL, NULL);
    CU_ASSERT_EQUAL(fill("").rounds, 3);
    free((char *)config_dir);
    config_dir = scratch_write("weights", "x", 1); /* a path may be a file */
    CU_ASSERT_EQUAL(fill("").rounds, 3);
    config_dir = scratch("absent");
    refused("", VQP_E_IO, "cannot open the model folder");
    config_dir = NULL;
}

static void config_of_a_path(void)
{
    const char *dir = folder("null", "config.json", "{\"label\": \"learned\"}");
    char body[4200];
    snprintf(body, sizeof body, "null_path: '%s'", dir);
    struct opts o = fill(body);
    CU_ASSERT_STRING_EQUAL_FATAL(o.label ? o.label : "", "learned");
    CU_ASSERT_EQUAL(o.rounds, 3); /* read from the component's own folder, and there is none */
    free((char *)dir);
}

static void bad_configs(void)
{
    static const struct {
        const char *json, *why;
    } cases[] = {
        {"{\"rounds\": 10}", "config.json: scheduler (toy): rounds: 10 is out of range"},
        {"{\"rounds\": 5.0}", "rounds: '5.0' is not a whole number"},
        {"{\"rounds\": \"5\"}", "rounds: '5' is text because it stands in quotes"},
        {"{\"rounds\": true}", "rounds: 'true' is not a whole number"},
        {"{\"rounds\": [5]}", "rounds: a list stands where"},
        {"{\"rounds\": {}}", "rounds: a map stands where"},
        {"{\"the_rate\": 1.5}", "the_rate: 1.5 is out of range"},
        {"{\"the_rate\": \"x\"}", "the_rate: 'x' is not a finite number"},
        {"{\"on\": 1}", "on: '1' is neither true nor false"},
        {"{\"on\": \"true\"}", "on: 'true' is neither true nor false"},
        {"{\"order\": \"risng\"}", "order: 'risng' is not one of falling|rising|random; did you mean 'rising'?"},
        {"{\"order\": 1}", "order: 1 stands where a JSON string is expected"},
        {"{\"words\": [\"a\", null]}", "words: null stands where a JSON string is expected"},
        {"{\"words\": \"a\"}", "words: a list of texts is expected"},
        {"{\"sizes\": 4}", "sizes: a list of whole numbers is expected"},
        {"{\"sizes\": [4, \"5\"]}", "sizes: '5' is text"},
        {"{\"rounds\": }", "config.json:1:"},
        {"[]", "config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_dir = folder("bad", "config.json", cases[i].json);
        refused("", VQP_E_FORMAT, cases[i].why);
        CHECK_STR_HAS(err.msg, scratch_dir);
        free((char *)config_dir);
    }
    config_dir = NULL;
}

/* Paths from a config file and from a default, a required key from a config, two config files at once. */
struct model_opts {
    const char *vocab, *extra_path, *given;
    int64_t needed, extra;
};
static const struct vqp_option model_table[] = {
    VQP_OPT(struct model_opts, vocab, .type = VQP_OPT_PATH, .flags = VQP_OPT_CONFIG),
    VQP_OPT(struct model_opts, extra_path, .type = VQP_OPT_PATH),
    VQP_OPT(struct model_opts, given, .type = VQP_OPT_PATH, .def = "beside/it"),
    VQP_OPT(struct model_opts, needed, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 9, .help = "pieces"),
    VQP_OPT(struct model_opts, extra, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .config = "extra_path:needed"),
    {0},
};

static void configs_together(void)
{
    struct model_opts o;
    char buf[300], body[4200], expected[4200];
    CU_ASSERT_PTR_NULL(vqp_options_check(model_table, sizeof o, buf, sizeof buf));
    const char *own = folder("own", "config.json", "{\"vocab\": \"sub/v.json\", \"needed\": 4}");
    const char *extra = folder("extra", "x_config.json", "{\"needed\": 6}");
    config_dir = own;
    snprintf(body, sizeof body, "extra_path: '%s'", extra);
    CU_ASSERT_EQUAL_FATAL(fill_table(model_table, body, &o, sizeof o), VQP_OK);
    snprintf(expected, sizeof expected, "%s/sub/v.json", own);
    CU_ASSERT_STRING_EQUAL(o.vocab, expected);
    CU_ASSERT_STRING_EQUAL(o.given, "/models/beside/it");
    CU_ASSERT_EQUAL(o.needed, 4);
    CU_ASSERT_EQUAL(o.extra, 6);
    CHECK_STR_HAS(settled, "extra/x_config.json)\n");
    free((char *)extra);

    free((char *)folder("own", "config.json", "{\"vocab\": 5, \"needed\": 99}"));
    CU_ASSERT_EQUAL(fill_table(model_table, "vocab: v, needed: 2", &o, sizeof o), VQP_OK); /* not even looked at */
    CU_ASSERT_STRING_EQUAL(o.vocab, "/models/v");
    CU_ASSERT_EQUAL(o.needed, 2);
    CU_ASSERT_EQUAL(fill_table(model_table, "needed: 2", &o, sizeof o), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "own/config.json: scheduler (toy): vocab: 5 stands where a JSON string is expected");

    static const char *const without[] = {"{}", "{\"needed\": null}"};
    for (size_t i = 0; i < 2; i++) {
        free((char *)folder("own", "config.json", without[i]));
        CU_ASSERT_EQUAL(fill_table(model_table, "", &o, sizeof o), VQP_E_FORMAT);
        CHECK_STR_HAS(err.msg, "scheduler (toy): key 'needed' is missing in the config.json of ");
        CHECK_STR_HAS(err.msg, own);
        CHECK_STR_HAS(err.msg, "(pieces)");
    }
    config_dir = NULL;
    free((char *)own);
}

static void paths_without_a_base(void)
{
    static const struct vqp_origin file = {.name = "a.yaml", .line = 3, .col = 4};
    struct vqp_node v = {.kind = VQP_NODE_SCALAR, .key = "p", .text = "x", .text_len = 1, .at = file};
    struct vqp_node map = {.kind = VQP_NODE_MAP, .child = &v, .at = file};
    static const struct vqp_option one[] = {{.name = "p", .type = VQP_OPT_PATH}, {0}};
    struct vqp_options_args a = {.owner = "s", .table = one, .map = &map, .arena = &arena};
    const char *p = NULL;
    char cwd[4096], expected[4200];
    vqp_arena_free(&arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof cwd));
    CU_ASSERT_EQUAL_FATAL(vqp_options_fill(&a, &p, sizeof p, &err), VQP_OK);
    snprintf(expected, sizeof expected, "%s/x", cwd);
    CU_ASSERT_STRING_EQUAL(p, expected);

    const char *gone = folder("gone", NULL, NULL);
    CU_ASSERT_EQUAL_FATAL(chdir(gone), 0);
    CU_ASSERT_EQUAL(rmdir(gone), 0);
    v.text = "x\ny";
    v.text_len = 3;
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &p, sizeof p, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg,
                  "a.yaml:3:4: s: p: 'x\\x0Ay' cannot be made absolute, the current folder cannot be read: No");
    CU_ASSERT_EQUAL(chdir(cwd), 0);
    free((char *)gone);
}

static void one_line_messages(void)
{
    refused("null_path: \"/no\\nwhere\"", VQP_E_IO, "cannot open the model folder '/no\\x0Awhere': No such file");
    struct vqp_node v = {.kind = VQP_NODE_SCALAR, .text = "1", .text_len = 1, .at = {.name = "--set"}};
    struct vqp_options_args a = {.owner = "s", .table = table, .map = &v, .arena = &arena};
    struct opts o;
    CU_ASSERT_EQUAL(vqp_options_fill(&a, &o, sizeof o, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "--set: s: a map of keys is expected");
}

static void tells(void)
{
    fill("rounds: 4, rate: 0.1, words: [a, b]");
    CU_ASSERT_STRING_EQUAL(settled, "null_path= (default)\n"
                                    "rounds=4 (a.yaml:2:13)\n"
                                    "rate=0.1 (a.yaml:2:22)\n"
                                    "on=true (default)\n"
                                    "order=falling (default)\n"
                                    "label= (default)\n"
                                    "sizes=[8, 16] (default)\n"
                                    "words=[a, b] (a.yaml:2:34)\n");
}

static void other_locale(void)
{
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        SKIP("there is no locale here with a decimal comma");
    CU_ASSERT_EQUAL(fill("rate: 0.25").rate, 0.25);
    CHECK_STR_HAS(settled, "rate=0.25 (");
    refused("rate: '0,25'", VQP_E_ARG, "is not a finite number");
    CU_ASSERT_STRING_EQUAL(localeconv()->decimal_point, ","); /* and the caller keeps it */
    setlocale(LC_ALL, "C");
}

static void prints(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    vqp_options_print(table, f);
    vqp_options_print(model_table, f);
    vqp_options_print(NULL, f);
    fclose(f);
    CHECK_STR_HAS(text, "whole number in 1..9, required, else from the model's config (needed)");
    CHECK_STR_HAS(text, "rounds               whole number in 1..9, default 3, else from the model's config (rounds)");
    CHECK_STR_HAS(text, "how often");
    CHECK_STR_HAS(text, "choice of falling|rising|random");
    CHECK_STR_HAS(text, "(the_rate)");
    free(text);
}

static void sound_tables(void)
{
    char buf[300];
    CU_ASSERT_PTR_NULL(vqp_options_check(table, sizeof(struct opts), buf, sizeof buf));
    CU_ASSERT_PTR_NULL(vqp_options_check(NULL, 0, buf, sizeof buf));
    char name[65], choices[65] = "a";
    struct vqp_option longest[2] = {{.name = name, .type = VQP_OPT_CHOICE, .choices = choices, .def = "a"}};
    for (size_t len = 63; len <= 64; len++) { /* the longest names that are taken, and one byte more */
        memset(name, 'n', len);
        name[len] = 0;
        CU_ASSERT_EQUAL(!vqp_options_check(longest, 4, buf, sizeof buf), len == 63);
    }
    longest[0].name = "n";
    longest[0].def = choices;
    for (size_t len = 63; len <= 64; len++) {
        memset(choices, 'c', len);
        choices[len] = 0;
        CU_ASSERT_EQUAL(!vqp_options_check(longest, 4, buf, sizeof buf), len == 63);
    }
    CU_ASSERT_PTR_NULL(vqp_options_check(&table[8], 0, buf, sizeof buf));
}

static void bad_tables(void)
{
    static const struct {
        struct vqp_option o[2];
        const char *why;
    } cases[] = {
        {{{.name = "a b", .type = VQP_OPT_INT}}, "option 'a b': its name"},
        {{{.name = "", .type = VQP_OPT_INT}}, "its name"},
        {{{.name = "a\n", .type = VQP_OPT_INT}}, "option 'a\\x0A': its name"},
        {{{.name = "a", .type = 99}}, "its type is unknown"},
        {{{.name = "a"}}, "its type is unknown"},
        {{{.name = "a", .type = VQP_OPT_INT, .offset = 16}}, "its offset lies outside"},
        {{{.name = "a", .type = VQP_OPT_INT, .offset = 4294967288u}}, "its offset lies outside"},
        {{{.name = "a", .type = VQP_OPT_INT, .offset = 4}}, "misaligned"},
        {{{.name = "a", .type = VQP_OPT_INTS, .offset = 8}}, "its offset lies outside"},
        {{{.name = "a", .type = VQP_OPT_INT}, {.name = "a", .type = VQP_OPT_INT, .offset = 8}}, "given twice"},
        {{{.name = "a", .type = VQP_OPT_INT}, {.name = "b", .type = VQP_OPT_BOOL, .offset = 4}}, "shares its place"},
        {{{.name = "a", .type = VQP_OPT_INT, .min = 2, .max = 1}}, "its range"},
        {{{.name = "a", .type = VQP_OPT_FLOAT, .max = NAN}}, "its range"},
        {{{.name = "a", .type = VQP_OPT_FLOAT, .min = -INFINITY}}, "its range"},
        {{{.name = "a", .type = VQP_OPT_BOOL, .def = "yes"}}, "option 'a': default: default: a: 'yes' is neither"},
        {{{.name = "a", .type = VQP_OPT_PATH, .def = "''"}}, "the path is empty"},
        {{{.name = "a", .type = VQP_OPT_INT, .def = "x"}}, "'x' is not a whole number"},
        {{{.name = "a", .type = VQP_OPT_INT, .def = "5", .min = 1, .max = 4}}, "5 is out of range"},
        {{{.name = "a", .type = VQP_OPT_STRING, .def = "[x]"}}, "a list stands where one text"},
        {{{.name = "a", .type = VQP_OPT_STRING, .def = "\xFF"}}, "not one line of UTF-8"},
        {{{.name = "a", .type = VQP_OPT_STRING, .help = "two\nlines"}}, "not one line of UTF-8"},
        {{{.name = "a", .type = VQP_OPT_INT, .def = "5", .flags = VQP_OPT_REQUIRED}}, "required and has a default"},
        {{{.name = "a", .type = VQP_OPT_CHOICE}}, "a CHOICE without choices"},
        {{{.name = "a", .type = VQP_OPT_CHOICE, .choices = ""}}, "a CHOICE without choices"},
        {{{.name = "a", .type = VQP_OPT_CHOICE, .choices = "x||y"}}, "empty name"},
        {{{.name = "a", .type = VQP_OPT_CHOICE, .choices = "x|"}}, "empty name"},
        {{{.name = "a", .type = VQP_OPT_CHOICE, .choices = "x|y|x"}}, "hold a name twice"},
        {{{.name = "a", .type = VQP_OPT_CHOICE, .choices = "x|y", .def = "z"}}, "'z' is not one of"},
        {{{.name = "a", .type = VQP_OPT_INT, .config = "k"}}, "needs a key and the flag VQP_OPT_CONFIG"},
        {{{.name = "a", .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .config = "b:k"}}, "is no PATH of this table"},
        {{{.name = "a", .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .config = "b:"}}, "needs a key"},
        {{{.name = "a", .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .config = "b:k"},
          {.name = "b", .type = VQP_OPT_STRING, .offset = 8}},
         "is no PATH of this table"},
        {{{.name = "a", .type = VQP_OPT_PATH, .flags = VQP_OPT_CONFIG, .config = "b:k"},
          {.name = "b", .type = VQP_OPT_PATH, .offset = 8}},
         "a PATH cannot come from a folder"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vqp_option t[3] = {cases[i].o[0], cases[i].o[1], {0}};
        char buf[300];
        const char *why = vqp_options_check(t, 16, buf, sizeof buf);
        CHECK_STR_HAS(why ? why : "(accepted)", cases[i].why);
    }
}

static void endless_table(void)
{
    static struct vqp_option many[258];
    static char names[257][8];
    char buf[300];
    for (unsigned i = 0; i < 257; i++) {
        snprintf(names[i], sizeof names[i], "o%u", i);
        many[i] = (struct vqp_option){.name = names[i], .type = VQP_OPT_BOOL, .offset = 4 * i};
    }
    const char *why = vqp_options_check(many, 4 * 257, buf, sizeof buf);
    CHECK_STR_HAS(why ? why : "(accepted)", "it is number 257");
    many[256].name = NULL;
    CU_ASSERT_PTR_NULL(vqp_options_check(many, 4 * 256, buf, sizeof buf));
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"takes defaults where nothing is given", defaults},
        {"stores every type", typed_values},
        {"takes decimal numbers alone and says the range", strict_numbers},
        {"reaches both ends of the whole numbers", whole_range},
        {"takes true, false and known choices alone", bools_and_choices},
        {"refuses unknown keys and suggests the nearest", unknown_keys},
        {"asks for required keys", required},
        {"takes paths of the command line from the current folder", command_line},
        {"reads the model's config file after the descriptor", model_config},
        {"reads the config file of a folder that an option names", config_of_a_path},
        {"refuses wrong types and ranges in a config file, naming it and the key", bad_configs},
        {"takes paths and required keys from a config, and reads two configs at once", configs_together},
        {"takes the current folder where there is no base, and says when it is gone", paths_without_a_base},
        {"keeps messages to one line and refuses what is no map", one_line_messages},
        {"tells every settled value and its origin", tells},
        {"reads numbers alike in every locale", other_locale},
        {"prints a table", prints},
        {"accepts sound tables", sound_tables},
        {"refuses bad tables with the reason", bad_tables},
        {"refuses a table without an end", endless_table},
    };
    scratch_begin();
    int rc = RUN_CASES("options", cases);
    vqp_arena_free(&arena);
    return rc;
}
