#include "model_folder.h"
#include "inside.h"
#include "json.h"
#include "text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- VQ-Diffusion in the diffusers layout ----------------------------------------------------------------------- */

enum {
    TRANSFORMER,
    VQVAE,
    TEXT_ENCODER,
    TOKENIZER,
    SCHEDULER,
    NULL_TEXT,
    N_PARTS
};
static const struct {
    const char *name, *config, *weights;
    int needed;
} parts[N_PARTS] = {
    [TRANSFORMER] = {"transformer", "config.json", "diffusion_pytorch_model.safetensors", 1},
    [VQVAE] = {"vqvae", "config.json", "diffusion_pytorch_model.safetensors", 1},
    [TEXT_ENCODER] = {"text_encoder", "config.json", "model.safetensors", 1},
    [TOKENIZER] = {"tokenizer", "tokenizer_config.json", NULL, 1},
    [SCHEDULER] = {"scheduler", "scheduler_config.json", NULL, 0},
    [NULL_TEXT] = {"learned_classifier_free_sampling_embeddings", "config.json", "diffusion_pytorch_model.safetensors",
                   0},
};

/* What the pictures are drawn from, by the transformer's block_type. */
enum {
    FROM_TEXT,
    FROM_CLASS,
    FROM_NOTHING
};

struct diffusers {
    struct vqp_model_folder *m;
    int from;
    json_t *config[N_PARTS]; /* NULL: the folder or its config is not there */
    int there[N_PARTS];
    struct vqp_error *err;
};

static vqp_status no_memory(const struct vqp_model_folder *m, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to look at it", m->dir);
}

static int64_t whole(const json_t *config, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(config, key);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* model_index.json, where there is one, must name a pipeline that this is. */
static vqp_status check_index(struct vqp_model_folder *m, struct vqp_error *err)
{
    json_t *index;
    char shown[80];
    const char *path = vqp_arena_printf(&m->arena, "%s/model_index.json", m->dir);
    if (!path)
        return no_memory(m, err);
    if (access(path, F_OK))
        return VQP_OK;
    vqp_status status = vqp_json_load(path, &index, err);
    if (status)
        return status;
    const char *name = json_string_value(json_object_get(index, "_class_name"));
    if (name && strcmp(name, "VQDiffusionPipeline"))
        status = vqp_fail(err, VQP_E_FORMAT,
                          "%.240s: is a model of %s, which vqpipe does not run; VQDiffusionPipeline it does", path,
                          vqp_quote(name, strlen(name), shown, sizeof shown));
    json_decref(index);
    return status;
}

/* A part within a checkpoint has its config made from the shapes. */
static vqp_status read_inside(struct diffusers *d, uint32_t i, const char **path, int *done)
{
    vqp_status status = VQP_OK;
    const char *folder;
    *done = vqp_inside_config(*path, &d->m->arena, &folder, &d->config[i], &status, d->err);
    if (!*done && folder)
        *path = folder;
    return status;
}

static vqp_status read_part(struct diffusers *d, uint32_t i)
{
    struct vqp_model_folder *m = d->m;
    struct stat st;
    int inside;
    const char *path = vqp_arena_printf(&m->arena, "%s/%s", m->dir, parts[i].name);
    if (!path || !(path = vqp_inside_path(&m->arena, path)))
        return no_memory(m, d->err);
    vqp_status status = read_inside(d, i, &path, &inside);
    if (status)
        return status;
    if (!inside && (stat(path, &st) || !S_ISDIR(st.st_mode))) {
        if (!parts[i].needed)
            return VQP_OK;
        return d->m->is_checkpoint
                   ? vqp_fail(
                         d->err, VQP_E_IO,
                         "%.160s: there is no folder %.160s, which it needs; put the tokenizer of CLIP there, as in "
                         "microsoft/vq-diffusion-ithq",
                         m->dir, path)
                   : vqp_fail(d->err, VQP_E_IO, "%.240s: has no folder '%s', which %s needs; fetch the whole model",
                              m->dir, parts[i].name, m->family);
    }
    d->there[i] = 1;
    m->part[m->n_parts++] = (struct vqp_model_part){parts[i].name, path, parts[i].weights};
    const char *config = vqp_arena_printf(&m->arena, "%s/%s", path, parts[i].config);
    if (!config)
        return no_memory(m, d->err);
    return inside || access(config, F_OK) ? VQP_OK : vqp_json_load(config, &d->config[i], d->err);
}

/* The transformer comes first: what it draws from tells which parts there are. */
static vqp_status read_parts(struct diffusers *d)
{
    vqp_status status = read_part(d, TRANSFORMER);
    const char *block = json_string_value(json_object_get(d->config[TRANSFORMER], "block_type"));
    d->from = !block || !strcmp(block, "selfcross") ? FROM_TEXT : !strcmp(block, "self") ? FROM_NOTHING : FROM_CLASS;
    for (uint32_t i = TRANSFORMER + 1; !status && i < N_PARTS; i++)
        if (d->from == FROM_TEXT || i == VQVAE || i == SCHEDULER)
            status = read_part(d, i);
    return status;
}

/* As a double-quoted YAML scalar; s is valid UTF-8. */
static void put_quoted(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7F)
            fprintf(f, "\\x%02X", c);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void put_text(const struct diffusers *d, FILE *f)
{
    int64_t length = whole(d->config[TOKENIZER], "model_max_length", 0);
    int64_t positions = whole(d->config[TEXT_ENCODER], "max_position_embeddings", 0);
    fprintf(f, "  tokenizer:    { use: clip-bpe, path: tokenizer%s",
            d->m->is_checkpoint ? ", normalizer: original" : "");
    if ((length < 1 || length > 4096) && positions > 0) /* absent, or the library's word for infinite */
        fprintf(f, ", model_max_length: %lld", (long long)positions);
    fprintf(f, " }\n  text_encoder: { use: clip-text, path: text_encoder");
    if (d->there[NULL_TEXT])
        fprintf(f, ", null_path: learned_classifier_free_sampling_embeddings");
    fprintf(f, " }%s\n",
            d->there[NULL_TEXT] ? "" : " # no learned null text here: guidance is away from the empty prompt");
}

/* What cannot be derived from configs is left to the components, which say what is missing. */
static void put_components(const struct diffusers *d, FILE *f)
{
    const json_t *transformer = d->config[TRANSFORMER];
    fprintf(f, "components:\n");
    if (d->from == FROM_TEXT)
        put_text(d, f);
    if (d->from == FROM_CLASS)
        fprintf(f, "  tokenizer:    { use: class-label, path: transformer } # the prompt is a class's number\n"
                   "  text_encoder: { use: class-label, path: transformer }\n");
    fprintf(f, "  denoiser:     { use: vq-diffusion-transformer, path: transformer }\n");
    fprintf(f, "  scheduler:    { use: vq-diffusion%s", d->there[SCHEDULER] ? ", path: scheduler" : "");
    int64_t codes = whole(transformer, "num_vector_embeds", 0), steps = whole(transformer, "num_embeds_ada_norm", 0);
    if (codes > 0 && !json_object_get(d->config[SCHEDULER], "num_vec_classes"))
        fprintf(f, ", num_vec_classes: %lld", (long long)codes);
    if (steps > 0 && !json_object_get(d->config[SCHEDULER], "num_train_timesteps"))
        fprintf(f, ", num_train_timesteps: %lld", (long long)steps);
    fprintf(f, " } # or vq-diffusion-purity, maskgit, halton\n  vq_decoder:   { use: vqgan, path: vqvae }\n");
}

static void put_descriptor(const struct diffusers *d, FILE *f)
{
    const json_t *transformer = d->config[TRANSFORMER];
    const char *slash = strrchr(d->m->dir, '/'), *name = slash && slash[1] ? slash + 1 : "model",
               *dot = strrchr(name, '.');
    if (d->m->is_checkpoint && dot && dot > name)
        name = vqp_arena_memdup(&d->m->arena, name, (size_t)(dot - name));
    name = name ? name : "model";
    int64_t steps = whole(transformer, "num_embeds_ada_norm", 100), side = whole(transformer, "sample_size", 0);
    fprintf(f, "# %s", d->m->family);
    if (side)
        fprintf(f, ": %lld x %lld tokens, %lld codes, %lld layers", (long long)side, (long long)side,
                (long long)whole(transformer, "num_vector_embeds", 1) - 1,
                (long long)whole(transformer, "num_layers", 0));
    fprintf(f, ". Every key: docs/pipeline-yaml.md\nvqpipe: 1\nname: ");
    put_quoted(f, name);
    fprintf(f, "\nmodel: ");
    put_quoted(f, d->m->dir);
    fprintf(f, " # base of the paths below\n"
               "# variant: fp16 # take these files alone; without it .safetensors, .fp16.safetensors, .bin, .fp16.bin\n"
               "backend: { use: auto, precision: f32 } # cpu, vulkan, reference; `vqpipe devices` lists them\n");
    put_components(d, f);
    static const char *const guidance[] = {
        "  guidance_scale: 5.0   # up to 1: no guidance, half the work\n  truncation_rate: 1.0 ",
        "  guidance_scale: 1.5   # up to 1: no guidance, half the work\n  truncation_rate: 0.94",
        "  truncation_rate: 0.86"};
    fprintf(f, "run:\n%s  steps: %lld\n%s # below 1 keeps the likeliest codes alone\n",
            d->from == FROM_TEXT    ? "  prompt: \"\"            # -p\n"
            : d->from == FROM_CLASS ? "  prompt: \"0\"           # -p, a class\n"
                                    : "",
            (long long)(steps > 0 && steps < 100 ? steps : 100), guidance[d->from]);
    fprintf(f, "  images_per_prompt: 1\n  seed: 0\noutput:\n  path: ");
    char *path;
    if (asprintf(&path, "%s-{index}.png", name) >= 0) {
        put_quoted(f, path);
        free(path);
    }
    fputc('\n', f);
}

static vqp_status write_descriptor(const struct diffusers *d)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        return no_memory(d->m, d->err);
    put_descriptor(d, f);
    int failed = ferror(f);
    failed |= fclose(f);
    d->m->descriptor = failed ? NULL : vqp_arena_memdup(&d->m->arena, text, n);
    free(text);
    return d->m->descriptor ? VQP_OK : no_memory(d->m, d->err);
}

static int is_diffusers(const char *dir)
{
    char path[PATH_MAX];
    static const char *const signs[] = {"model_index.json", "transformer/config.json", "vqvae/config.json"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (snprintf(path, sizeof path, "%s/%s", dir, signs[i]) < PATH_MAX && !access(path, F_OK))
            return 1;
    return 0;
}

static vqp_status describe(struct vqp_model_folder *m, struct vqp_error *err)
{
    struct diffusers d = {.m = m, .err = err};
    vqp_status status = read_parts(&d);
    if (!status)
        status = write_descriptor(&d);
    for (uint32_t i = 0; i < N_PARTS; i++)
        json_decref(d.config[i]);
    return status;
}

static vqp_status read_diffusers(struct vqp_model_folder *m, struct vqp_error *err)
{
    m->family = "VQ-Diffusion in the diffusers layout";
    vqp_status status = check_index(m, err);
    return status ? status : describe(m, err);
}

/* ---- a checkpoint of microsoft/VQ-Diffusion, whose parts are used like folders (inside.h) ----------------------- */

int vqp_model_is_file(const char *path)
{
    static const char zip[4] = {'P', 'K', 3, 4};
    char begin[4];
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(begin, 1, sizeof begin, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof begin && !memcmp(begin, zip, sizeof zip);
}

static vqp_status read_checkpoint(struct vqp_model_folder *m, struct vqp_error *err)
{
    m->family = "a checkpoint of microsoft/VQ-Diffusion";
    m->is_checkpoint = 1;
    return describe(m, err);
}

/* ---- all layouts ------------------------------------------------------------------------------------------------ */

/* The first that says yes. */
static const struct {
    int (*is)(const char *dir);
    vqp_status (*read)(struct vqp_model_folder *m, struct vqp_error *err);
} layouts[] = {
    {is_diffusers, read_diffusers},
    {vqp_model_is_file, read_checkpoint},
};

vqp_status vqp_model_folder_read(const char *dir, struct vqp_model_folder *out, struct vqp_error *err)
{
    char path[PATH_MAX];
    vqp_status status;
    *out = (struct vqp_model_folder){0};
    if (!realpath(dir, path))
        return vqp_fail(err, VQP_E_ARG, "%.240s: %s; give the folder of a model", dir, strerror(errno));
    if (vqp_utf8_check(path, strlen(path)) != strlen(path))
        return vqp_fail(err, VQP_E_ARG, "%.240s: its path is not UTF-8, so that no descriptor can name it; rename it",
                        dir);
    if (!(out->dir = vqp_arena_strdup(&out->arena, path)))
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to look at it", dir);
    size_t i = 0;
    while (i < sizeof layouts / sizeof *layouts && !layouts[i].is(out->dir))
        i++;
    if (i < sizeof layouts / sizeof *layouts)
        status = layouts[i].read(out, err);
    else
        status =
            vqp_fail(err, VQP_E_ARG,
                     "%.200s: is a directory without a model that vqpipe knows: no model_index.json, transformer or "
                     "vqvae in it; give a descriptor (.yaml) or a model folder",
                     dir);
    if (status)
        vqp_model_folder_free(out);
    return status;
}

void vqp_model_folder_free(struct vqp_model_folder *m)
{
    vqp_arena_free(&m->arena);
    *m = (struct vqp_model_folder){0};
}
