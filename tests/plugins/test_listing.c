/* vqpipe plugins and vqpipe inspect with --json: JSON whatever is in the names, and what stands in it. */
#include "check.h"
#include "json.h"
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VQPIPE        "'" VQP_BUILD_DIR "/bin/vqpipe' "
#define CASE_DIR(dir) " --plugin-path '" VQP_BUILD_DIR "/tests/plugins/" dir "'"

/* Standard output of a command as JSON; NULL where it is none. */
static json_t *run(const char *command, int code)
{
    static char text[1 << 20];
    struct vqp_error err = {0};
    json_t *j = NULL;
    FILE *f = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(text, 1, sizeof text, f);
    int status = pclose(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        printf("\n    %s: status %x\n", command, (unsigned)status);
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == code);
    if (vqp_json_parse("stdout", text, n, &j, &err))
        printf("\n    %s: %s\n", command, err.msg);
    CU_ASSERT_PTR_NOT_NULL(j);
    return j;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* The element of the array `list` whose `key` ends with `end`; NULL. */
static const json_t *element(const json_t *object, const char *list, const char *key, const char *end)
{
    const json_t *array = json_object_get(object, list);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *e = json_array_get(array, i);
        const char *s = text_of(e, key);
        size_t n = strlen(s), m = strlen(end);
        if (n >= m && !strcmp(s + n - m, end))
            return e;
    }
    printf("\n    nothing in %s has a %s that ends with %s\n", list, key, end);
    CU_FAIL();
    return NULL;
}

static void state_is(const json_t *listing, const char *file, const char *state, const char *reason)
{
    const json_t *e = element(listing, "plugins", "path", file);
    CU_ASSERT_STRING_EQUAL(text_of(e, "state"), state);
    CHECK_STR_HAS(text_of(e, "reason"), reason);
}

static void every_file_and_why(void)
{
    json_t *j = run(VQPIPE "plugins -q --json" CASE_DIR("good") CASE_DIR("shadowed") CASE_DIR("wrong_major")
                        CASE_DIR("no_symbol") CASE_DIR("undefined_symbol") CASE_DIR("null_callback") CASE_DIR("garbage")
                            CASE_DIR("truncated") CASE_DIR("other_id") CASE_DIR("meddler") " --plugin-path /not/there",
                    0);
    state_is(j, "good/good.so", "doubled", "other_id.so");
    state_is(j, "other_id/other_id.so", "doubled", "good.so");
    state_is(j, "shadowed/minimal.so", "shadowed", "shadowed by ");
    state_is(j, "wrong_major.so", "refused", "built for ABI major 2");
    state_is(j, "no_symbol.so", "refused", "does not export vqp_plugin_v1");
    state_is(j, "undefined_symbol.so", "refused", "nobody_defines_this");
    state_is(j, "null_callback.so", "refused", "mandatory function 'record_step'");
    state_is(j, "garbage.so", "refused", "not an ELF shared object");
    state_is(j, "half.so", "refused", "truncated ELF file");
    state_is(j, "meddler.so", "shadowed", "the locale, the current folder, the signal mask, the floating-point mode");
    state_is(j, "/vqgan.so", "ok", "");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(j, "searched"), 10)), "/not/there");
    const json_t *halton = element(j, "plugins", "id", "org.vqpipe.halton");
    const json_t *component = element(halton, "components", "name", "halton");
    CU_ASSERT_STRING_EQUAL(text_of(component, "interface"), "scheduler");
    json_decref(j);
}

static void verdicts_of_a_probe(void)
{
    json_t *j = run(VQPIPE "plugins -q --probe --json" CASE_DIR("crash_at_load") CASE_DIR("abort_at_load")
                        CASE_DIR("exit_at_load") CASE_DIR("hang_at_load") CASE_DIR("print_at_load"),
                    4);
    state_is(j, "crash_at_load.so", "refused", "signal 11");
    state_is(j, "abort_at_load.so", "refused", "signal 6");
    state_is(j, "exit_at_load.so", "refused", "exit code 0");
    state_is(j, "hang_at_load.so", "refused", "not loaded after 5 seconds");
    state_is(j, "print_at_load.so", "ok", "standard output");
    state_is(j, "/vqgan.so", "ok", "");
    json_decref(j);
    json_decref(run(VQPIPE "plugins -q --probe --json" CASE_DIR("print_at_load"), 0));
}

/* A quote, a backslash, a line's end, a byte that is no UTF-8. */
static void names_of_any_bytes(void)
{
    char dir[] = "/tmp/vqp-listing-XXXXXX", path[128], command[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a\"b\\c\n\x1b\xff.so", dir);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("hello\n", f);
    fclose(f);
    snprintf(command, sizeof command, VQPIPE "plugins --json --plugin-path %s", dir);
    json_t *j = run(command, 0);
    state_is(j, "/a\"b\\c\n\x1b\xef\xbf\xbd.so", "refused", "not an ELF");
    json_decref(j);
    unlink(path);
    rmdir(dir);
}

static void components(void)
{
    json_t *list = run(VQPIPE "plugins --json", 0);
    const json_t *plugins = json_object_get(list, "plugins");
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(plugins); i++) {
        const json_t *p = json_array_get(plugins, i), *c = json_array_get(json_object_get(p, "components"), 0);
        char command[512];
        for (int k = 0; k < 3; k++) { /* by component, by plugin, by file */
            const char *what = k == 0 ? text_of(c, "name") : text_of(p, k == 1 ? "id" : "path");
            snprintf(command, sizeof command, VQPIPE "inspect --json '%s'", what);
            json_t *j = run(command, 0);
            CU_ASSERT_STRING_EQUAL(text_of(json_object_get(j, "plugin"), "id"), text_of(p, "id"));
            const json_t *same =
                k ? json_array_get(json_object_get(j, "components"), 0) : json_object_get(j, "component");
            CU_ASSERT_STRING_EQUAL(text_of(same, "name"), text_of(c, "name"));
            json_decref(j);
        }
        seen++;
    }
    CU_ASSERT_TRUE(seen >= 8);
    json_decref(list);
    json_t *j = run(VQPIPE "inspect --json maskgit", 0);
    const json_t *o = element(json_object_get(j, "component"), "options", "name", "masking_schedule");
    CU_ASSERT_STRING_EQUAL(text_of(o, "type"), "choice");
    CU_ASSERT_STRING_EQUAL(text_of(o, "default"), "cosine");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "choices")), 2);
    json_decref(j);
}

static void descriptors(void)
{
    char dir[] = "/tmp/vqp-listing-XXXXXX", path[64], command[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("vqpipe: 1\nname: \"a \\\"b\\\" \\\\ \\u00fc\"\nmodel: " VQP_SOURCE_DIR "/tests/golden/models/tiny\n"
          "backend: { use: reference }\ncomponents:\n"
          "  tokenizer: { use: clip-bpe, path: " VQP_SOURCE_DIR "/models/postcards/tokenizer }\n"
          "  text_encoder: { use: clip-text, path: text_encoder, "
          "null_path: learned_classifier_free_sampling_embeddings }\n"
          "  denoiser: { use: vq-diffusion-transformer, path: transformer }\n"
          "  scheduler: { use: halton }\n  vq_decoder: { use: vqgan, path: vqvae }\n"
          "run: { prompt: \"one\\ntwo\", steps: 4 }\n",
          f);
    fclose(f);
    snprintf(command, sizeof command, VQPIPE "inspect --json %s", path);
    json_t *j = run(command, 0);
    CU_ASSERT_STRING_EQUAL(text_of(j, "name"), "a \"b\" \\ \xc3\xbc");
    CU_ASSERT_STRING_EQUAL(text_of(j, "file"), path);
    CU_ASSERT_STRING_EQUAL(text_of(element(j, "settings", "key", "run.steps"), "value"), "4");
    CU_ASSERT_STRING_EQUAL(text_of(element(j, "settings", "key", "run.seed"), "origin"), "default");
    CU_ASSERT_STRING_EQUAL(text_of(element(j, "components", "interface", "scheduler"), "use"), "halton");
    const json_t *denoiser = element(j, "components", "interface", "denoiser");
    CU_ASSERT_STRING_EQUAL(text_of(denoiser, "backend"), "reference");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(denoiser, "files")), 1);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(j, "grid"), "codes")), 20);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(j, "run"), "evaluations")), 4);
    json_decref(j);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"lists every file with its state and the reason", every_file_and_why},
        {"gives a verdict on files that crash, end the process or hang", verdicts_of_a_probe},
        {"writes JSON whatever bytes a file's name has", names_of_any_bytes},
        {"inspects a component by name, a plugin by id and by file", components},
        {"inspects a descriptor", descriptors},
    };
    return RUN_CASES("plugins_listing", cases);
}
