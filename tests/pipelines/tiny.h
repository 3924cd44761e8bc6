/* A descriptor on the tiny model in a scratch folder, and pipelines opened from it. */
#ifndef VQP_TESTS_TINY_H
#define VQP_TESTS_TINY_H
#include "check.h"
#include <unistd.h>
#include <vqpipe/plugin.h>
#include <vqpipe/vqpipe.h>

enum {
    TOKENS = 36,
    CODES = 20,
    MASK = CODES,
    TIMESTEPS = 12,
};

static vqpipe_context *context;
static struct vqp_error err;
static char folder[] = "/tmp/vqpipe-tiny-XXXXXX", descriptor[64];

#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        vqp_status status_ = (call);                                                                                   \
        if (status_)                                                                                                   \
            printf("\n    %s:%d: %s (%d)\n", __FILE__, __LINE__, err.msg, (int)status_);                               \
        CU_ASSERT_EQUAL(status_, VQP_OK);                                                                              \
    } while (0)

static void quiet(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    (void)msg;
}

static vqpipe *open_with(const char *scheduler, const char *backend)
{
    vqpipe *p = NULL;
    CHECK_OK(vqpipe_open(context, descriptor, &p, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CHECK_OK(vqpipe_set(p, "components.scheduler.use", scheduler, &err));
    CHECK_OK(vqpipe_set(p, "backend.use", backend, &err));
    return p;
}

static void set(vqpipe *p, const char *key, const char *value)
{
    CHECK_OK(vqpipe_set(p, key, value, &err));
}

struct names {
    uint32_t iface, n;
    char name[16][64];
};

static void collect(void *user, const struct vqpipe_plugin_info *info)
{
    struct names *names = user;
    for (const struct vqp_component *const *c = info->plugin ? info->plugin->components : NULL; c && *c; c++)
        if ((*c)->iface == names->iface && !info->shadowed && names->n < 16)
            snprintf(names->name[names->n++], sizeof names->name[0], "%s", (*c)->name);
}

static void note_usable(void *user, const struct vqpipe_device *d)
{
    struct names *usable = user;
    if (d->usable && usable->n < 16)
        snprintf(usable->name[usable->n++], sizeof usable->name[0], "%s", d->backend);
}

/* Backends without a device that could be used are left out: a machine may have no Vulkan. */
static void keep_usable(struct names *names)
{
    struct names usable = {0};
    uint32_t kept = 0;
    vqpipe_each_device(context, note_usable, &usable);
    for (uint32_t i = 0; i < names->n; i++) {
        uint32_t k = 0;
        while (k < usable.n && strcmp(names->name[i], usable.name[k]))
            k++;
        if (k < usable.n && kept++ < i)
            memcpy(names->name[kept - 1], names->name[i], sizeof names->name[0]);
    }
    names->n = kept;
}

static struct names all_of(uint32_t iface)
{
    struct names names = {.iface = iface};
    vqpipe_each_plugin(context, collect, &names);
    if (iface == VQP_IFACE_BACKEND)
        keep_usable(&names);
    CU_ASSERT_TRUE(names.n > 0);
    return names;
}

static int open_tiny(const char *const *plugin_dirs, uint32_t n)
{
    struct vqpipe_context_params params = {
        .struct_size = sizeof params, .threads = 2, .plugin_dirs = plugin_dirs, .n_plugin_dirs = n, .log = quiet};
    if (!mkdtemp(folder) || vqpipe_context_create(&params, &context, &err))
        return -1;
    snprintf(descriptor, sizeof descriptor, "%s/test.yaml", folder);
    FILE *f = fopen(descriptor, "w");
    if (!f)
        return -1;
    fprintf(f, "vqpipe: 1\nname: test\nmodel: " VQP_SOURCE_DIR "/tests/golden/models/tiny\ncomponents:\n"
               "  tokenizer: { use: clip-bpe, path: " VQP_SOURCE_DIR "/models/postcards/tokenizer }\n"
               "  text_encoder: { use: clip-text, path: text_encoder, "
               "null_path: learned_classifier_free_sampling_embeddings }\n"
               "  denoiser: { use: vq-diffusion-transformer, path: transformer }\n"
               "  scheduler: { use: vq-diffusion, path: scheduler }\n"
               "  vq_decoder: { use: vqgan, path: vqvae }\n"
               "run: { prompt: a lighthouse at night, steps: 4, seed: 1 }\n");
    return fclose(f);
}

static void close_tiny(void)
{
    vqpipe_context_destroy(context);
    remove(descriptor);
    rmdir(folder);
}

#endif
