#include "inside.h"
#include "text.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- paths ------------------------------------------------------------------------------------------------------ */

static int is_file(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

static int is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* FILE/NAME: 1, with both. */
static int split(const char *path, char file[PATH_MAX], const char **name)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || slash - path >= PATH_MAX || !slash[1])
        return 0;
    memcpy(file, path, (size_t)(slash - path));
    file[slash - path] = 0;
    *name = slash + 1;
    return is_file(file);
}

static int part_of_name(const char *name, enum vqp_original_part *part)
{
    for (unsigned i = 0; i < VQP_ORIGINAL_N_PARTS; i++)
        if (!strcmp(name, vqp_original_part_name(i))) {
            *part = i;
            return 1;
        }
    return 0;
}

/* The folder that `file` is in. */
static const char *folder_of(struct vqp_arena *a, const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? vqp_arena_memdup(a, file, slash > file ? (size_t)(slash - file) : 1) : vqp_arena_strdup(a, ".");
}

static const char *beside(struct vqp_arena *a, const char *file, const char *name)
{
    const char *dir = folder_of(a, file);
    return dir ? vqp_arena_printf(a, "%s/%s", dir, name) : NULL;
}

const char *vqp_inside_path(struct vqp_arena *a, const char *path)
{
    char file[PATH_MAX];
    const char *name;
    enum vqp_original_part part;
    return split(path, file, &name) && !part_of_name(name, &part) ? beside(a, file, name) : path;
}

/* ---- parts in files of their own --------------------------------------------------------------------------------- */

static struct vqp_tensor_list list_of(const struct vqp_weights *w)
{
    return (struct vqp_tensor_list){vqp_weights_at(w, 0), vqp_weights_count(w)};
}

static vqp_status no_memory(const char *path, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", path);
}

/* The first of names that is there, in the first of folders ("" or "X/", relative to the file's) that has one; NULL. */
static const char *look(struct vqp_arena *a, const char *file, const char *const *folders, const char *const *names)
{
    for (; *folders; folders++)
        for (const char *const *n = names; *n; n++) {
            const char *name = vqp_arena_printf(a, "%s%s", *folders, *n), *path = name ? beside(a, file, name) : NULL;
            if (path && is_file(path))
                return path;
        }
    return NULL;
}

/* Reads taming_vqvae_K.pt and takes the codes that it keeps. */
static vqp_status map_codes(struct vqp_weight_cache *c, const char *checkpoint, struct vqp_inside *in, uint32_t used,
                            struct vqp_error *err)
{
    static const char *const folders[] = {"", "help_folder/statistics/", "../../help_folder/statistics/", NULL};
    char name[48];
    const char *names[] = {name, NULL};
    uint32_t codes = vqp_original_codebook(&in->list);
    struct vqp_weights *w;
    struct vqp_error e = {0};
    if (!codes || codes == used)
        return VQP_OK;
    snprintf(name, sizeof name, "taming_vqvae_%u.pt", used);
    const char *path = look(&in->arena, checkpoint, folders, names);
    if (!path)
        return vqp_fail(err, VQP_E_IO,
                        "%.200s: its transformer predicts %u codes and its VQ-VAE has %u, but there is no %s to tell "
                        "which they are; put that file of microsoft/VQ-Diffusion (help_folder/statistics) beside it",
                        checkpoint, used, codes, name);
    if (vqp_weights_open(c, path, NULL, &w, &e))
        return vqp_fail(err, e.code, "%s", e.msg);
    const struct vqp_tensor *t = vqp_weights_count(w) == 1 ? vqp_weights_at(w, 0) : NULL;
    vqp_status s = VQP_OK;
    int32_t *row = vqp_arena_alloc(&in->arena, used, sizeof *row);
    if (!row)
        s = no_memory(path, err);
    else if (!t || strcmp(t->file_dtype, "I64") || t->shape.rank != 1 || t->shape.dim[0] != codes)
        s = vqp_fail(err, VQP_E_FORMAT, "%.240s: is not one list of %u whole numbers (int64), a code each", path,
                     codes);
    else if (!(s = vqp_weights_ready(w, t, err)) && (s = vqp_original_invert(t->data, codes, row, used, &e)))
        vqp_fail(err, s, "%.240s: %s", path, e.msg);
    else if (!s)
        vqp_original_use_codes(&in->list, row, used);
    vqp_weights_close(c, w);
    return s;
}

/* The VQ-VAE in a file of its own, beside `checkpoint`. */
static vqp_status open_codec(struct vqp_weight_cache *c, const char *checkpoint, struct vqp_inside *in,
                             struct vqp_error *err)
{
    static const char *const folders[] = {"taming_dvae/", "", NULL};
    static const char *const names[] = {"ithq_vqvae.pth", "taming_f8_8192_openimages_last.pth",
                                        "vqgan_imagenet_f16_16384.pth", "vqgan_ffhq_f16_1024.pth", NULL};
    static const struct {
        uint32_t codes;
        const char *name[2];
    } released[] = {{4096, {"ithq_vqvae.pth"}},
                    {2887, {"taming_f8_8192_openimages_last.pth"}},
                    {974, {"vqgan_imagenet_f16_16384.pth"}},
                    {1024, {"vqgan_ffhq_f16_1024.pth"}}};
    struct vqp_tensor_list whole = list_of(in->file);
    uint32_t used = vqp_original_codes(&whole);
    const char *path = NULL;
    for (size_t i = 0; !path && i < sizeof released / sizeof *released; i++)
        if (released[i].codes == used)
            path = look(&in->arena, checkpoint, folders, released[i].name);
    path = path ? path : look(&in->arena, checkpoint, folders, names);
    vqp_weights_close(c, in->file);
    in->file = NULL;
    if (!path)
        return vqp_fail(err, VQP_E_IO,
                        "%.200s: holds no VQ-VAE, and neither is %s, %s, %s or %s beside it or in taming_dvae; put the "
                        "one of this model there, or give components.vq_decoder.path",
                        checkpoint, names[0], names[1], names[2], names[3]);
    vqp_status s = vqp_weights_open(c, path, NULL, &in->file, err);
    if (s)
        return s;
    struct vqp_tensor_list codec = list_of(in->file);
    if (vqp_original_has(&codec, VQP_ORIGINAL_VQVAE)) {
        struct vqp_error e = {0};
        if ((s = vqp_original_list(&codec, VQP_ORIGINAL_VQVAE, &in->arena, &in->list, &e)))
            return vqp_fail(err, s, "%.240s: %s", path, e.msg);
    } else {
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: holds no VQ-VAE; is it the file of that name?", path);
    }
    in->shown = path;
    return used ? map_codes(c, checkpoint, in, used, err) : VQP_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* `file` given by itself: the one part that it is. */
static int sole_part(const struct vqp_tensor_list *l, enum vqp_original_part *part)
{
    *part = VQP_ORIGINAL_VQVAE;
    return vqp_original_has(l, VQP_ORIGINAL_VQVAE) && !vqp_original_has(l, VQP_ORIGINAL_TRANSFORMER);
}

static vqp_status open_part(struct vqp_weight_cache *c, const char *file, enum vqp_original_part part,
                            struct vqp_inside *in, const char **folder, struct vqp_error *err)
{
    struct vqp_tensor_list l = list_of(in->file);
    const char *name = vqp_original_part_name(part);
    struct vqp_error e = {0};
    if (vqp_original_has(&l, part)) {
        vqp_status s = vqp_original_list(&l, part, &in->arena, &in->list, &e);
        if (s)
            return vqp_fail(err, s, "%.240s: %s", file, e.msg);
        uint32_t used = part == VQP_ORIGINAL_VQVAE ? vqp_original_codes(&l) : 0;
        return used ? map_codes(c, file, in, used, err) : VQP_OK;
    }
    if (!vqp_original_has(&l, VQP_ORIGINAL_TRANSFORMER))
        return vqp_fail(err, VQP_E_FORMAT,
                        "%.240s: is no checkpoint of microsoft/VQ-Diffusion: it has no tensor "
                        "ema.transformer.content_emb.emb.weight, nor one of model.transformer",
                        file);
    if (!(*folder = beside(&in->arena, file, name)))
        return no_memory(file, err);
    if (is_folder(*folder))
        return VQP_OK;
    if (part == VQP_ORIGINAL_VQVAE)
        return open_codec(c, file, in, err);
    return part == VQP_ORIGINAL_NULL
               ? VQP_OK
               : vqp_fail(err, VQP_E_IO, "%.240s: holds no %s, and there is no folder %.160s; put that there", file,
                          name, *folder);
}

int vqp_inside_open(struct vqp_weight_cache *c, const char *path, struct vqp_inside *out, const char **folder,
                    vqp_status *status, struct vqp_error *err)
{
    char file[PATH_MAX];
    const char *name = NULL;
    enum vqp_original_part part;
    int inside = split(path, file, &name) && part_of_name(name, &part);
    *out = (struct vqp_inside){0};
    *folder = NULL;
    if (!inside && (!is_file(path) || strlen(path) >= sizeof file))
        return 0;
    if (!inside)
        strcpy(file, path);
    *status = vqp_weights_open(c, file, NULL, &out->file, inside ? err : NULL);
    if (*status && !inside)
        *status = VQP_OK; /* whoever reads the file as what it is will say what is wrong */
    if (!out->file)
        return inside;
    struct vqp_tensor_list l = list_of(out->file);
    if (!inside && !sole_part(&l, &part)) {
        vqp_weights_close(c, out->file);
        return 0;
    }
    *status = (out->shown = vqp_arena_strdup(&out->arena, file)) ? open_part(c, file, part, out, folder, err)
                                                                 : no_memory(file, err);
    if (!*status && out->list.tensors) {
        *folder = NULL;
    } else {
        vqp_weights_close(c, out->file);
        out->file = NULL;
    }
    if (*status)
        vqp_arena_free(&out->arena);
    return 1;
}

/* ---- as weights -------------------------------------------------------------------------------------------------- */

static const struct vqp_tensor *source(const void *ctx, uint32_t i)
{
    return ((const struct vqp_inside *)ctx)->list.sources[i].from;
}

static vqp_status make(void *ctx, uint32_t i, struct vqp_error *err)
{
    struct vqp_inside *in = ctx;
    return vqp_original_make(&in->list, &in->list.tensors[i], &in->arena, err);
}

static void destroy(void *ctx)
{
    struct vqp_inside *in = ctx;
    vqp_arena_free(&in->arena);
    free(in);
}

vqp_status vqp_inside_weights(struct vqp_weight_cache *c, const char *dir, const char *variant,
                              struct vqp_weights **out, struct vqp_error *err)
{
    struct vqp_inside in;
    const char *folder;
    vqp_status status;
    if (!vqp_inside_open(c, dir, &in, &folder, &status, err))
        return vqp_weights_open(c, dir, variant, out, err);
    if (status)
        return status;
    struct vqp_inside *kept = in.file ? malloc(sizeof *kept) : NULL;
    if (kept) {
        *kept = in;
        return vqp_weights_derive(
            c, &(struct vqp_derived){in.file, in.shown, in.list.tensors, in.list.n, kept, source, make, destroy}, out,
            err);
    }
    status = in.file ? no_memory(dir, err) : vqp_weights_open(c, folder, variant, out, err);
    vqp_weights_close(c, in.file);
    vqp_arena_free(&in.arena);
    return status;
}

int vqp_inside_config(const char *path, struct vqp_arena *a, const char **folder, json_t **config, vqp_status *status,
                      struct vqp_error *err)
{
    struct vqp_weight_cache *c = NULL;
    struct vqp_inside in;
    char file[PATH_MAX];
    const char *name;
    enum vqp_original_part part;
    *config = NULL;
    *folder = NULL;
    if (!split(path, file, &name) && !is_file(path))
        return 0;
    if (!split(path, file, &name) || !part_of_name(name, &part))
        part = VQP_ORIGINAL_VQVAE;
    if ((*status = vqp_weight_cache_create(&c, err)))
        return 1;
    int here = vqp_inside_open(c, path, &in, folder, status, err);
    if (here && !*status) {
        if (in.file && !(*config = vqp_original_config(&in.list, part)))
            *status = no_memory(path, err);
        const char *beside = *folder;
        *folder = beside && is_folder(beside) ? vqp_arena_strdup(a, beside) : NULL;
        vqp_weights_close(c, in.file);
        vqp_arena_free(&in.arena);
    }
    vqp_weight_cache_destroy(c);
    return here && (*status || *config);
}
