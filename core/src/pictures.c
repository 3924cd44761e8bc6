#include "pictures.h"

vqp_status vqp_pictures_take(struct vqpipe_result *r, struct vqp_session *s, uint32_t first, struct vqp_error *err)
{
    uint64_t pixels = (uint64_t)s->image_h * s->image_w * 3, n = s->key.batch * pixels;
    vqp_status st = vqp_session_download(s, "image", r->image + first * pixels, n * sizeof *r->image, err);
    return st ? st : vqp_session_download(s, "rgb", r->rgb + first * pixels, n, err);
}

int vqp_preview_due(const struct vqpipe_run_params *params, const struct vqp_assembly *a, uint32_t eval)
{
    return params->preview && params->preview_steps && (eval + 1) % params->preview_steps == 0 &&
           eval + 1 != a->n_evals;
}

static vqp_status tell(const struct vqpipe_run_params *params, struct vqpipe_result *r, const struct vqp_session *s,
                       const struct vqp_moment *m, uint32_t finished, double seconds, struct vqp_error *err)
{
    struct vqpipe_preview_event ev = {.struct_size = sizeof ev,
                                      .eval = m->eval,
                                      .n_evals = s->assembly->n_evals,
                                      .first_eval = s->assembly->first_eval,
                                      .first_image = m->first_image,
                                      .n_images = s->key.batch,
                                      .images_total = r->n,
                                      .finished = finished,
                                      .so_far = r,
                                      .seconds = seconds,
                                      .eval_seconds = m->eval_seconds,
                                      .elapsed = vqp_now() - m->start};
    int32_t stop = params->preview(params->preview_ctx, &ev);
    return stop ? vqp_fail(err, VQP_E_CANCELLED, "cancelled by the preview callback") : VQP_OK;
}

vqp_status vqp_preview_make(const struct vqpipe_run_params *params, struct vqpipe_result *r, struct vqp_session *s,
                            const struct vqp_moment *m, struct vqp_error *err)
{
    double before = vqp_now();
    vqp_status st = vqp_session_run(s, VQP_FINISH, 1, err);
    if (!st)
        st = vqp_pictures_take(r, s, m->first_image, err);
    if (!st) {
        r->preview_at = m->eval + 1;
        r->preview_of = s->assembly->n_evals;
        st = tell(params, r, s, m, 0, vqp_now() - before, err);
        r->preview_at = r->preview_of = 0;
    }
    r->timings.previews += vqp_now() - before;
    r->timings.n_previews++;
    return st;
}

vqp_status vqp_preview_finish(const struct vqpipe_run_params *params, struct vqpipe_result *r, struct vqp_session *s,
                              const struct vqp_moment *m, struct vqp_error *err)
{
    double before = vqp_now();
    if (!params->preview || !params->preview_steps)
        return VQP_OK;
    vqp_status st = tell(params, r, s, m, 1, 0, err);
    r->timings.previews += vqp_now() - before;
    return st;
}
