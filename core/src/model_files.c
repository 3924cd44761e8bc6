#include "model_files.h"
#include "json.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_INDEX_BYTES = 16 << 20,
    MAX_SHARDS = 256,
    NAME_TEXT = 96
};
static const char *const stems[] = {"diffusion_pytorch_model", "model", "pytorch_model"};

/* What stands behind the stem, in the order of preference. %s is the variant. */
struct ending {
    const char *text;
    int is_index;
};
static const struct ending plain[] = {
    {".safetensors", 0}, {".safetensors.index.json", 1}, {".fp16.safetensors", 0}, {".safetensors.index.fp16.json", 1},
    {".bin", 0},         {".bin.index.json", 1},         {".fp16.bin", 0},         {".bin.index.fp16.json", 1},
};
static const struct ending varied[] = {
    {".%s.safetensors", 0},
    {".safetensors.index.%s.json", 1},
    {".%s.bin", 0},
    {".bin.index.%s.json", 1},
};

static vqp_status no_memory(const char *dir, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for its list of files", dir);
}

/* A name that lies beside the index: no folder, no way out of this one. */
static int is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static vqp_status add_file(const char *dir, const char *name, struct vqp_model_files *f, struct vqp_error *err)
{
    if (f->n == MAX_SHARDS)
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: names more than %d files", f->shown, MAX_SHARDS);
    if (!f->path && !(f->path = vqp_arena_alloc(&f->arena, MAX_SHARDS, sizeof *f->path)))
        return no_memory(dir, err);
    f->path[f->n] = name ? vqp_arena_printf(&f->arena, "%s/%s", dir, name) : f->shown;
    return f->path[f->n++] ? VQP_OK : no_memory(dir, err);
}

/* The number of a shard among those met so far. */
static vqp_status number_of(const char *dir, const char *name, struct vqp_model_files *f, uint32_t *out,
                            struct vqp_error *err)
{
    size_t before = strlen(dir) + 1;
    for (*out = 0; *out < f->n; ++*out)
        if (!strcmp(f->path[*out] + before, name))
            return VQP_OK;
    return add_file(dir, name, f, err);
}

static vqp_status read_map(const char *dir, json_t *root, struct vqp_model_files *f, struct vqp_error *err)
{
    const char *tensor;
    json_t *file, *map = json_object_get(root, "weight_map");
    char shown[NAME_TEXT];
    if (!json_is_object(map) || !json_object_size(map))
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: \"weight_map\" is missing or empty", f->shown);
    f->tensor = vqp_arena_alloc(&f->arena, json_object_size(map), sizeof *f->tensor);
    f->in_file = vqp_arena_alloc(&f->arena, json_object_size(map), sizeof *f->in_file);
    if (!f->tensor || !f->in_file)
        return no_memory(dir, err);
    json_object_foreach(map, tensor, file)
    {
        const char *name = json_string_value(file);
        if (!name || !is_plain_name(name))
            return vqp_fail(err, VQP_E_FORMAT,
                            "%.200s: tensor \"%s\" is said to be in %s, but a file beside the index must be named",
                            f->shown, vqp_quote(tensor, strlen(tensor), shown, sizeof shown),
                            name ? "another folder" : "no file");
        f->tensor[f->n_indexed] = vqp_arena_strdup(&f->arena, tensor);
        if (!f->tensor[f->n_indexed])
            return no_memory(dir, err);
        vqp_status status = number_of(dir, name, f, &f->in_file[f->n_indexed++], err);
        if (status)
            return status;
    }
    return VQP_OK;
}

static vqp_status read_index(const char *dir, struct vqp_model_files *f, struct vqp_error *err)
{
    char *text;
    size_t n;
    json_t *root;
    vqp_status status = vqp_read_file(f->shown, MAX_INDEX_BYTES, &text, &n, err);
    if (status)
        return status;
    status = vqp_json_parse(f->shown, text, n, &root, err);
    free(text);
    if (status)
        return status;
    status = read_map(dir, root, f, err);
    json_decref(root);
    return status;
}

static vqp_status no_file(const char *dir, const char *variant, struct vqp_error *err)
{
    if (variant)
        return vqp_fail(err, VQP_E_IO,
                        "%.200s: holds no file of the variant '%.40s', such as %s.%.40s.safetensors or .bin; leave out "
                        "`variant` to take what is there",
                        dir, variant, stems[0], variant);
    return vqp_fail(err, VQP_E_IO,
                    "%.200s: holds no weights: neither %s, %s nor %s with .safetensors, .bin, .fp16.* or an "
                    "index of shards; put them there",
                    dir, stems[0], stems[1], stems[2]);
}

static vqp_status choose(const char *dir, const char *variant, struct vqp_model_files *f, struct vqp_error *err)
{
    const struct ending *endings = variant ? varied : plain;
    size_t n = variant ? sizeof varied / sizeof *varied : sizeof plain / sizeof *plain;
    for (size_t e = 0; e < n; e++)
        for (size_t s = 0; s < sizeof stems / sizeof *stems; s++) {
            char ending[128];
            struct stat st;
            const char *mark = strstr(endings[e].text, "%s");
            if (mark)
                snprintf(ending, sizeof ending, "%.*s%s%s", (int)(mark - endings[e].text), endings[e].text, variant,
                         mark + 2);
            f->shown = vqp_arena_printf(&f->arena, "%s/%s%s", dir, stems[s], mark ? ending : endings[e].text);
            if (!f->shown)
                return no_memory(dir, err);
            /* lstat: a link to nowhere is there, and its error says so */
            if (lstat(f->shown, &st) && (errno == ENOENT || errno == ENAMETOOLONG))
                continue;
            return endings[e].is_index ? read_index(dir, f, err) : add_file(dir, NULL, f, err);
        }
    return no_file(dir, variant, err);
}

static int bad_variant(const char *v)
{
    size_t n = strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return v[n] || n > 40;
}

vqp_status vqp_model_files_choose(const char *dir, const char *variant, struct vqp_model_files *out,
                                  struct vqp_error *err)
{
    struct stat st;
    char shown[NAME_TEXT];
    *out = (struct vqp_model_files){0};
    if (variant && !*variant)
        variant = NULL;
    if (stat(dir, &st))
        return vqp_fail(err, VQP_E_IO, "%.240s: the model folder cannot be read: %s", dir, strerror(errno));
    if (variant && bad_variant(variant))
        return vqp_fail(err, VQP_E_ARG, "variant '%s' is none; give letters and digits, such as fp16",
                        vqp_quote(variant, strlen(variant), shown, sizeof shown));
    vqp_status status;
    if (S_ISDIR(st.st_mode)) {
        status = choose(dir, variant, out, err);
    } else {
        out->shown = vqp_arena_strdup(&out->arena, dir);
        status = out->shown ? add_file(dir, NULL, out, err) : no_memory(dir, err);
    }
    if (status)
        vqp_model_files_free(out);
    return status;
}

void vqp_model_files_free(struct vqp_model_files *f)
{
    vqp_arena_free(&f->arena);
    *f = (struct vqp_model_files){0};
}
