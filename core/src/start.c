#include "start.h"
#include "npy.h"
#include "shape.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static vqp_status check_ids(const int32_t *ids, uint64_t n, const char *what, int32_t least, uint32_t limit,
                            const char *why, struct vqp_error *err)
{
    for (uint64_t i = 0; i < n; i++)
        if (ids[i] < least || (ids[i] >= 0 && (uint32_t)ids[i] >= limit))
            return vqp_fail(err, VQP_E_ARG, "%s: id %" PRId32 " at index %" PRIu64 " is outside %" PRId32 "..%u%s",
                            what, ids[i], i, least, limit - 1, why);
    return VQP_OK;
}

static vqp_status read_latents(const struct vqpipe *pipe, uint64_t want, int32_t *out, struct vqp_error *err)
{
    const struct vqp_assembly *a = pipe->assembly;
    const char *path = a->settings.run.latents;
    const int32_t *ids = pipe->latents;
    uint64_t n = pipe->n_latents;
    int32_t *loaded = NULL;
    vqp_status st = VQP_OK;
    if (!ids && path && *path) {
        struct vqp_shape shape;
        if ((st = vqp_npy_load(path, VQP_I32, VQP_E_ARG, &shape, (void **)&loaded, err)))
            return st;
        n = 1;
        for (uint32_t i = 0; i < shape.rank; i++)
            n *= (uint64_t)shape.dim[i];
        ids = loaded;
    }
    const char *what = loaded ? path : "latents";
    if (!ids && a->first_eval)
        st = vqp_fail(err, VQP_E_ARG, "run.start_step is %u, but there are no ids to start from; give run.latents",
                      a->first_eval);
    else if (ids && n != want)
        st = vqp_fail(err, VQP_E_ARG, "%s: %" PRIu64 " ids, but %u images of %u tokens need %" PRIu64, what, n,
                      a->n_images, a->n_tokens, want);
    else if (ids && a->first_eval)
        st = check_ids(ids, n, what, 0, a->denoiser.n_codes, "; run.start_step needs clean ids, without masks", err);
    else if (ids)
        st = check_ids(ids, n, what, 0, a->denoiser.n_vocab, "", err);
    for (uint64_t i = 0; !st && i < want; i++)
        out[i] = ids ? ids[i] : (int32_t)a->denoiser.mask_id;
    free(loaded);
    return st;
}

static vqp_status read_pin(const struct vqp_assembly *a, uint32_t n_images, int32_t **pin, struct vqp_error *err)
{
    const char *path = a->settings.run.pin;
    struct vqp_shape shape, each = vqp_shape2(n_images, a->n_tokens), all = vqp_shape2(1, a->n_tokens);
    size_t row = a->n_tokens * sizeof **pin;
    int32_t *ids, *out = NULL;
    vqp_status st = vqp_npy_load(path, VQP_I32, VQP_E_ARG, &shape, (void **)&ids, err);
    if (st)
        return st;
    int shared = vqp_shape_equal(&shape, &all);
    if (!shared && !vqp_shape_equal(&shape, &each)) {
        char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
        st = vqp_fail(err, VQP_E_ARG, "%s holds %s ids, this run pins [1,%u] or %s", path, vqp_shape_text(&shape, have),
                      a->n_tokens, vqp_shape_text(&each, want));
    } else {
        st = check_ids(ids, (uint64_t)shape.dim[0] * a->n_tokens, path, -1, a->denoiser.n_codes,
                       "; pin codes, and give -1 where a place is free", err);
    }
    if (!st && !(out = calloc(n_images, row)))
        st = vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    for (uint32_t k = 0; !st && k < n_images; k++)
        memcpy(out + (size_t)k * a->n_tokens, ids + (shared ? 0 : (size_t)k * a->n_tokens), row);
    free(ids);
    *pin = out;
    return st;
}

vqp_status vqp_start_read(const struct vqpipe *pipe, uint32_t n_images, int32_t *ids, int32_t **pin,
                          struct vqp_error *err)
{
    const struct vqp_assembly *a = pipe->assembly;
    uint64_t n = (uint64_t)n_images * a->n_tokens;
    vqp_status st = read_latents(pipe, n, ids, err);
    if (st || !a->settings.run.pin || !*a->settings.run.pin)
        return st;
    st = read_pin(a, n_images, pin, err);
    for (uint64_t i = 0; !st && i < n; i++)
        ids[i] = (*pin)[i] < 0 ? ids[i] : (*pin)[i];
    return st;
}
