#include "stages.h"
#include "npy.h"
#include "shape.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static vqp_status put(const struct vqp_stages *st, const char *name, uint32_t dtype, struct vqp_shape shape,
                      const void *data, struct vqp_error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s.npy", st->dump_dir, name) >= (int)sizeof path)
        return vqp_fail(err, VQP_E_OUTPUT, "%s: the path is too long", st->dump_dir);
    return vqp_npy_save(path, dtype, &shape, data, err);
}

vqp_status vqp_stages_open(struct vqp_stages *st, struct vqp_error *err)
{
    if (st->dump_dir && mkdir(st->dump_dir, 0777) && errno != EEXIST)
        return vqp_fail(err, VQP_E_OUTPUT, "%s: cannot make the folder: %s", st->dump_dir, strerror(errno));
    return VQP_OK;
}

/* text_states, and with guidance negative_states before it, are the two halves of one value. */
vqp_status vqp_stages_text(struct vqp_stages *st, const int32_t *prompt_ids, uint32_t n_prompts, struct vqp_error *err)
{
    const struct vqp_slot *slot = vqp_session_find(st->session, "cond.states.l2");
    const struct vqp_session_key *key = &st->session->key;
    uint32_t length = st->session->assembly->context_length;
    if (!st->dump_dir || !length)
        return VQP_OK;
    vqp_status s = put(st, "input_ids", VQP_I32, vqp_shape2(n_prompts, length), prompt_ids, err);
    if (s || !slot)
        return s;
    float *states = malloc(slot->bytes);
    if (!s && !states)
        s = vqp_fail(err, VQP_E_NOMEM, "dump: out of memory");
    if (!s)
        s = vqp_session_download(st->session, slot->name, states, slot->bytes, err);
    struct vqp_shape half = slot->shape;
    half.dim[0] = key->batch;
    size_t floats = slot->bytes / sizeof *states;
    if (!s && key->guided)
        s = put(st, "negative_states", VQP_F32, half, states, err);
    if (!s)
        s = put(st, "text_states", VQP_F32, half, states + (key->guided ? floats / 2 : 0), err);
    free(states);
    return s;
}

/* The programs keep [B,N,C]; the reference dumps [B,C,N]. */
static vqp_status put_logp(struct vqp_stages *st, uint32_t eval, struct vqp_error *err)
{
    const struct vqp_slot *slot = vqp_session_find(st->session, "logp");
    int64_t B = slot->shape.dim[0], N = slot->shape.dim[1], C = slot->shape.dim[2];
    float *in = malloc(slot->bytes), *out = malloc(slot->bytes);
    char name[32];
    vqp_status s = in && out ? vqp_session_download(st->session, "logp", in, slot->bytes, err)
                             : vqp_fail(err, VQP_E_NOMEM, "dump: out of memory");
    if (!s) {
        for (int64_t b = 0; b < B; b++)
            for (int64_t n = 0; n < N; n++)
                for (int64_t c = 0; c < C; c++)
                    out[(b * C + c) * N + n] = in[(b * N + n) * C + c];
        snprintf(name, sizeof name, "logp-%03u", eval);
        s = put(st, name, VQP_F32, vqp_shape3(B, C, N), out, err);
    }
    free(in);
    free(out);
    return s;
}

static vqp_status feed(struct vqp_stages *st, uint32_t eval, int32_t *tokens, struct vqp_error *err)
{
    const struct vqp_slot *slot = vqp_session_find(st->session, "tokens");
    int32_t limit = (int32_t)st->session->assembly->denoiser.n_vocab, *ids;
    struct vqp_shape shape;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/tokens-%03u.npy", st->feed_dir, eval);
    vqp_status s = vqp_npy_load(path, VQP_I32, VQP_E_ARG, &shape, (void **)&ids, err);
    if (s)
        return s;
    if (!vqp_shape_equal(&shape, &slot->shape)) {
        char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
        s = vqp_fail(err, VQP_E_ARG, "%s holds %s ids, this run has %s", path, vqp_shape_text(&shape, have),
                     vqp_shape_text(&slot->shape, want));
    }
    for (uint64_t i = 0; !s && i < slot->bytes / sizeof *ids; i++)
        if (ids[i] < 0 || ids[i] >= limit)
            s = vqp_fail(err, VQP_E_ARG, "%s: id %d at %llu is outside 0..%d", path, ids[i], (unsigned long long)i,
                         limit - 1);
    if (!s) {
        memcpy(tokens, ids, slot->bytes);
        s = vqp_session_upload(st->session, "tokens", tokens, slot->bytes, err);
    }
    free(ids);
    return s;
}

vqp_status vqp_stages_step(struct vqp_stages *st, uint32_t eval, int32_t *tokens, struct vqp_error *err)
{
    char name[32];
    vqp_status s = VQP_OK;
    if (st->dump_dir) {
        const struct vqp_slot *slot = vqp_session_find(st->session, "tokens");
        snprintf(name, sizeof name, "tokens-%03u", eval);
        s = put_logp(st, eval, err);
        if (!s)
            s = put(st, name, VQP_I32, slot->shape, tokens, err);
    }
    if (!s && st->feed_dir)
        s = feed(st, eval, tokens, err);
    return s;
}

vqp_status vqp_stages_image(struct vqp_stages *st, const float *image, struct vqp_error *err)
{
    const struct vqp_slot *slot = vqp_session_find(st->session, "image");
    return st->dump_dir ? put(st, "image", VQP_F32, slot->shape, image, err) : VQP_OK;
}
