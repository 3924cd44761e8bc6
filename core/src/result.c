#include "result.h"
#include "npy.h"
#include "outfile.h"
#include "recorded.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

vqp_status vqp_result_create(const struct vqp_assembly *a, uint32_t n, uint32_t n_tokens, struct vqpipe_result **out,
                             struct vqp_error *err)
{
    struct vqpipe_result *r = calloc(1, sizeof *r);
    if (!r)
        return vqp_fail(err, VQP_E_NOMEM, "result: out of memory");
    r->n = n;
    r->n_tokens = n_tokens;
    r->torch_rng = a->settings.run.rng == VQP_RNG_TORCH_CPU;
    r->timings.struct_size = sizeof r->timings;
    r->ids = calloc((size_t)n * n_tokens, sizeof *r->ids);
    r->seeds = calloc(n, sizeof *r->seeds);
    r->prompts = calloc(n, sizeof *r->prompts);
    if (!r->ids || !r->seeds || !r->prompts) {
        vqpipe_result_destroy(r);
        return vqp_fail(err, VQP_E_NOMEM, "result: out of memory");
    }
    *out = r;
    return VQP_OK;
}

vqp_status vqp_result_room(struct vqpipe_result *r, uint32_t width, uint32_t height, struct vqp_error *err)
{
    size_t each, all;
    if (__builtin_mul_overflow((size_t)width * height, (size_t)3, &each) ||
        __builtin_mul_overflow(each, (size_t)r->n, &all))
        return vqp_fail(err, VQP_E_NOMEM, "result: %u images of %ux%u do not fit into memory", r->n, width, height);
    r->image = calloc(all, sizeof *r->image);
    r->rgb = calloc(all, 1);
    if (!r->image || !r->rgb)
        return vqp_fail(err, VQP_E_NOMEM, "result: no memory for %u images of %ux%u", r->n, width, height);
    r->width = width;
    r->height = height;
    return VQP_OK;
}

void vqpipe_result_destroy(vqpipe_result *r)
{
    if (!r)
        return;
    vqp_settings_free(&r->settings);
    vqp_arena_free(&r->arena);
    free(r->rgb);
    free(r->image);
    free(r->ids);
    free(r->seeds);
    free(r->prompts);
    free(r);
}

uint32_t vqpipe_result_images(const vqpipe_result *r)
{
    return r->n;
}
uint32_t vqpipe_result_width(const vqpipe_result *r)
{
    return r->width;
}
uint32_t vqpipe_result_height(const vqpipe_result *r)
{
    return r->height;
}
uint32_t vqpipe_result_tokens(const vqpipe_result *r)
{
    return r->n_tokens;
}
static size_t pixels(const vqpipe_result *r)
{
    return (size_t)r->width * r->height * 3;
}
const uint8_t *vqpipe_result_rgb(const vqpipe_result *r, uint32_t k)
{
    return k < r->n ? r->rgb + k * pixels(r) : NULL;
}
const float *vqpipe_result_float(const vqpipe_result *r, uint32_t k)
{
    return k < r->n ? r->image + k * pixels(r) : NULL;
}
const int32_t *vqpipe_result_ids(const vqpipe_result *r, uint32_t k)
{
    return k < r->n ? r->ids + (size_t)k * r->n_tokens : NULL;
}
uint64_t vqpipe_result_seed(const vqpipe_result *r, uint32_t k)
{
    return k < r->n ? r->seeds[k] : 0;
}
const char *vqpipe_result_prompt(const vqpipe_result *r, uint32_t k)
{
    return k < r->n ? r->prompts[k] : NULL;
}
void vqpipe_result_timings(const vqpipe_result *r, struct vqpipe_timings *out)
{
    uint32_t size = out->struct_size && out->struct_size < sizeof *out ? out->struct_size : sizeof *out;
    memcpy(out, &r->timings, size);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static vqp_status no_image(const vqpipe_result *r, uint32_t k, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_ARG, "image %u of %u does not exist", k, r->n);
}

vqp_status vqpipe_result_write_png(const vqpipe_result *r, uint32_t k, int32_t metadata, uint32_t scale, FILE *f,
                                   struct vqp_error *err)
{
    struct vqp_recorded rec = {0};
    if (k >= r->n)
        return no_image(r, k, err);
    vqp_status st = metadata ? vqp_recorded_picture(r, k, scale, &rec, err) : VQP_OK;
    if (!st)
        st = vqp_png_write(f, vqpipe_result_rgb(r, k), r->width, r->height, scale, rec.text, rec.n, err);
    vqp_recorded_free(&rec);
    return st;
}

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* The pattern with {index} and {seed} replaced; where that leaves several images one name, "-k" before the extension. */
static char *file_name(const vqpipe_result *r, const char *pattern, const char *extension, uint32_t k)
{
    int numbered = !strcmp(extension, ".png") && r->n > 1 && !strstr(pattern, "{index}") &&
                   !(strstr(pattern, "{seed}") && r->seeds_differ);
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return NULL;
    const char *tail = pattern + strlen(pattern) - strlen(extension);
    for (const char *s = pattern; *s;) {
        if (s == tail && numbered)
            fprintf(f, "-%u", k);
        if (!strncmp(s, "{index}", 7)) {
            fprintf(f, "%u", k);
            s += 7;
        } else if (!strncmp(s, "{seed}", 6)) {
            fprintf(f, "%" PRIu64, r->seeds[k]);
            s += 6;
        } else {
            fputc(*s++, f);
        }
    }
    if (fclose(f)) {
        free(out);
        return NULL;
    }
    return out;
}

vqp_status vqpipe_result_save_png(const vqpipe_result *r, uint32_t k, int32_t metadata, uint32_t scale,
                                  const char *path, struct vqp_error *err)
{
    struct vqp_outfile o;
    struct vqp_error e = {0};
    if (k >= r->n)
        return no_image(r, k, err);
    vqp_status st = vqp_outfile_open(&o, path, err);
    if (st)
        return st;
    if ((st = vqpipe_result_write_png(r, k, metadata, scale, o.f, &e))) {
        vqp_outfile_abort(&o);
        return vqp_fail(err, st, "%s: %s", path, e.msg);
    }
    return vqp_outfile_commit(&o, err);
}

/* NULL after a refusal: VQP_E_ARG. */
static const char *extension_of(const char *pattern, struct vqp_error *err)
{
    static const char *const known[] = {".ids.npy", ".npy", ".png"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ends_with(pattern, known[i]))
            return known[i];
    vqp_fail(err, VQP_E_ARG, "%s: the name ends in none of .png, .npy, .ids.npy; give one of these", pattern);
    return NULL;
}

vqp_status vqpipe_result_name(const vqpipe_result *r, uint32_t k, const char *pattern, char *buf, size_t size,
                              struct vqp_error *err)
{
    if (k >= r->n)
        return no_image(r, k, err);
    const char *extension = extension_of(pattern, err);
    if (!extension)
        return VQP_E_ARG;
    vqp_status st = VQP_OK;
    char *name = file_name(r, pattern, extension, k);
    if (!name)
        return vqp_fail(err, VQP_E_NOMEM, "output: out of memory");
    if ((size_t)snprintf(buf, size, "%s", name) >= size)
        st = vqp_fail(err, VQP_E_OUTPUT, "%s: the name of image %u is too long", pattern, k);
    free(name);
    return st;
}

vqp_status vqpipe_result_save(const vqpipe_result *r, const char *pattern, int32_t metadata, uint32_t scale,
                              void (*written)(void *ctx, const char *path, uint32_t image), void *ctx,
                              struct vqp_error *err)
{
    const char *extension = extension_of(pattern, err);
    vqp_status st = VQP_OK;
    if (!extension)
        return VQP_E_ARG;
    if (!scale || scale > 8)
        return vqp_fail(err, VQP_E_ARG, "scale is %u; give 1 to 8", scale);
    if (strcmp(extension, ".png")) {
        struct vqp_shape shape =
            extension[1] == 'i' ? vqp_shape2(r->n, r->n_tokens) : vqp_shape4(r->n, r->height, r->width, 3);
        char *path = file_name(r, pattern, extension, 0);
        if (!path)
            return vqp_fail(err, VQP_E_NOMEM, "output: out of memory");
        st = vqp_npy_save(path, extension[1] == 'i' ? VQP_I32 : VQP_F32, &shape,
                          extension[1] == 'i' ? (const void *)r->ids : r->image, err);
        if (!st && written)
            written(ctx, path, 0);
        free(path);
        return st;
    }
    for (uint32_t k = 0; k < r->n; k++) {
        char *path = file_name(r, pattern, extension, k);
        st = path ? vqpipe_result_save_png(r, k, metadata, scale, path, err)
                  : vqp_fail(err, VQP_E_NOMEM, "output: out of memory");
        if (!st && written)
            written(ctx, path, k);
        free(path);
        if (st)
            return st;
    }
    return VQP_OK;
}
