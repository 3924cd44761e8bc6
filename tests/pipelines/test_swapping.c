/* pipelines/vqdiffusion.yaml on the shipped model with every scheduler and every backend: a copy in which one word after `use` is another, or
 * one in each of two lines, and nothing else. */
#include "check.h"
#include <sys/stat.h>
#include <unistd.h>
#include <vqpipe/plugin.h>
#include <vqpipe/vqpipe.h>

#define SOURCE VQP_SOURCE_DIR "/pipelines/vqdiffusion.yaml"
enum {
    TOKENS = 256,
    CODES = 512,
    MOST = 16
};

static struct vqp_error err;
static vqpipe_context *context;
static char folder[] = "/tmp/vqpipe-swap-XXXXXX", descriptor[128], text[1 << 14];

struct names {
    uint32_t iface, n;
    char name[MOST][64];
};

static void collect(void *user, const struct vqpipe_plugin_info *info)
{
    struct names *names = user;
    for (const struct vqp_component *const *c = info->plugin ? info->plugin->components : NULL; c && *c; c++)
        if ((*c)->iface == names->iface && names->n < MOST)
            snprintf(names->name[names->n++], sizeof names->name[0], "%s", (*c)->name);
}

/* Puts `name` in the place of the word after "use: " in the line that begins with `key`; returns where the rest begins. */
static const char *copy_to_use(FILE *f, const char *from, const char *key, const char *name)
{
    const char *line = strstr(from, key), *use = line ? strstr(line, "use: ") : NULL;
    CU_ASSERT_FATAL(use && use < strchr(line + 1, '\n'));
    use += strlen("use: ");
    fwrite(from, 1, (size_t)(use - from), f);
    fputs(name, f);
    return use + strcspn(use, ", }");
}

static vqpipe *open_swapped(const char *scheduler, const char *backend)
{
    vqpipe *p = NULL;
    FILE *f = fopen(descriptor, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    const char *rest = copy_to_use(f, text, "\nbackend:", backend);
    rest = copy_to_use(f, rest, "\n  scheduler:", scheduler);
    fputs(rest, f);
    fclose(f);
    if (vqpipe_open(context, descriptor, &p, &err) || vqpipe_set(p, "run.steps", "2", &err) ||
        vqpipe_set(p, "run.guidance_scale", "1", &err)) {
        printf("\n    %s on %s: %s\n", scheduler, backend, err.msg);
        CU_FAIL_FATAL("the copy does not open");
    }
    return p;
}

/* More than one flat colour. */
static int is_picture(const vqpipe_result *r)
{
    const uint8_t *rgb = vqpipe_result_rgb(r, 0);
    uint32_t n = 3 * vqpipe_result_width(r) * vqpipe_result_height(r);
    uint8_t least = 255, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        least = rgb[i] < least ? rgb[i] : least;
        most = rgb[i] > most ? rgb[i] : most;
    }
    return vqpipe_result_width(r) == 128 && vqpipe_result_height(r) == 128 && most - least > 100;
}

/* 0: drawn; 1: no device for it. */
static int draw(const char *scheduler, const char *backend, int32_t ids[TOKENS])
{
    vqpipe *p = open_swapped(scheduler, backend);
    vqpipe_result *r = NULL;
    vqp_status st = vqpipe_run(p, NULL, &r, &err);
    if (st != VQP_E_DEVICE) {
        if (st)
            printf("\n    %s on %s: %s\n", scheduler, backend, err.msg);
        CU_ASSERT_EQUAL_FATAL(st, VQP_OK);
        CU_ASSERT_EQUAL_FATAL(vqpipe_result_tokens(r), TOKENS);
        CU_ASSERT_TRUE(is_picture(r));
        memcpy(ids, vqpipe_result_ids(r, 0), TOKENS * sizeof *ids);
        for (int i = 0; i < TOKENS; i++)
            CU_ASSERT_TRUE(ids[i] >= 0 && ids[i] < CODES);
    }
    vqpipe_result_destroy(r);
    vqpipe_close(p);
    return st == VQP_E_DEVICE;
}

static int different(const int32_t *a, const int32_t *b)
{
    int n = 0;
    for (int i = 0; i < TOKENS; i++)
        n += a[i] != b[i];
    return n;
}

static void every_scheduler_on_every_backend(void)
{
    static int32_t first[MOST][TOKENS], ids[TOKENS], again[TOKENS];
    struct names schedulers = {.iface = VQP_IFACE_SCHEDULER}, backends = {.iface = VQP_IFACE_BACKEND};
    vqpipe_each_plugin(context, collect, &schedulers);
    vqpipe_each_plugin(context, collect, &backends);
    CU_ASSERT_TRUE(schedulers.n >= 4 && backends.n >= 1);
    for (uint32_t b = 0; b < backends.n; b++) {
        int skip = 0;
        for (uint32_t s = 0; s < schedulers.n && !skip; s++) {
            const char *scheduler = schedulers.name[s], *backend = backends.name[b];
            skip = draw(scheduler, backend, ids);
            if (skip)
                continue;
            if (b == 0)
                memcpy(first[s], ids, sizeof ids);
            /* twice where threads share the work; a GPU in software takes too long */
            if (!strcmp(backend, "cpu"))
                CU_ASSERT_TRUE(!draw(scheduler, backend, again) && different(ids, again) == 0);
            printf("\n    %s on %s: %d of %d ids differ from those on %s", scheduler, backend, different(ids, first[s]),
                   TOKENS, backends.name[0]);
            CU_ASSERT_TRUE(different(ids, first[s]) <= TOKENS / 50);
        }
        if (skip)
            printf("\nSKIPPED: %s: no device\n", backends.name[b]);
    }
    for (uint32_t s = 0; s < schedulers.n; s++) /* the word is heeded */
        for (uint32_t k = 0; k < s; k++)
            CU_ASSERT_TRUE(different(first[s], first[k]) > 0);
}

/* A key that one plugin alone knows would make the next `use` an error: there is none in the file. */
static void no_line_names_one_plugins_keys(void)
{
    const char *line = strstr(text, "\n  scheduler:"), *backend = strstr(text, "\nbackend:");
    CU_ASSERT_FATAL(line && backend);
    CU_ASSERT_EQUAL(strncmp(line, "\n  scheduler:    { use: vq-diffusion, path: scheduler }\n", 54), 0);
    CU_ASSERT_EQUAL(strncmp(backend, "\nbackend: { use: cpu, precision: f32 }\n", 38), 0);
}

static int prepare(void)
{
    char path[64];
    struct vqpipe_context_params params = {.struct_size = sizeof params, .threads = 2};
    FILE *f = fopen(SOURCE, "r");
    if (!f || !mkdtemp(folder) || vqpipe_context_create(&params, &context, &err))
        return -1;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    snprintf(path, sizeof path, "%s/pipelines", folder);
    snprintf(descriptor, sizeof descriptor, "%s/pipelines/copy.yaml", folder);
    if (mkdir(path, 0700))
        return -1;
    snprintf(path, sizeof path, "%s/models", folder); /* the model is where the file says, ../models/postcards */
    return symlink(VQP_SOURCE_DIR "/models", path);
}

static void clean_up(void)
{
    char path[64];
    vqpipe_context_destroy(context);
    remove(descriptor);
    snprintf(path, sizeof path, "%s/pipelines", folder);
    rmdir(path);
    snprintf(path, sizeof path, "%s/models", folder);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"every scheduler draws on every backend, by the word after `use` alone", every_scheduler_on_every_backend},
        {"the descriptor has no key of one plugin alone", no_line_names_one_plugins_keys},
    };
    setenv("VQPIPE_PLUGIN_PATH", VQP_BUILD_DIR "/lib/vqpipe", 1);
    if (prepare())
        return 2;
    int rc = RUN_CASES("swapping", cases);
    clean_up();
    return rc;
}
