/* What a pipeline says about itself: settings, summary, programs. */
#include "pipeline.h"
#include "shape.h"
#include "text.h"
#include <inttypes.h>
#include <string.h>

static void print_list(const struct vqp_settings *s, FILE *f)
{
    for (const struct vqp_setting *n = s->list; n; n = n->next)
        fprintf(f, "%-40s %-32s # %s\n", n->key, n->value, n->origin);
}

vqp_status vqpipe_print_settings(vqpipe *pipe, FILE *f, struct vqp_error *err)
{
    vqp_status st = vqpipe_load(pipe, err);
    if (st)
        return st;
    print_list(&pipe->assembly->settings, f);
    print_list(&pipe->assembly->parts, f);
    return VQP_OK;
}

vqp_status vqpipe_print_summary(vqpipe *pipe, FILE *f, struct vqp_error *err)
{
    vqp_status st = vqpipe_load(pipe, err);
    if (st)
        return st;
    const struct vqp_assembly *a = pipe->assembly;
    fprintf(f, "pipeline      %s (%s)\n", a->settings.name, pipe->src.file);
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++) {
        const struct vqp_instance *c = &a->component[i];
        if (!c->self)
            continue;
        fprintf(f, "%-13s %s", c->key, c->use);
        if (c->backend)
            fprintf(f, " on %s %s", c->backend->name, c->backend->precision);
        for (uint32_t k = 0; k < c->n_folders; k++)
            fprintf(f, "%s%s", k ? ", " : "; ", vqp_weights_file(c->folder[k].weights));
        fputc('\n', f);
    }
    for (const struct vqp_backend_instance *b = a->backends; b; b = b->next)
        fprintf(f, "backend       %s %s: %s\n", b->name, b->precision, b->info.name);
    fprintf(f, "grid          %u x %u tokens, %u codes and the mask; pictures of %u x %u\n", a->denoiser.grid_w,
            a->denoiser.grid_h, a->denoiser.n_codes, a->denoiser.grid_w * a->decoder.scale,
            a->denoiser.grid_h * a->decoder.scale);
    fprintf(f, "run           %u image%s, %u evaluations%s\n", a->n_images, a->n_images == 1 ? "" : "s", a->n_evals,
            a->guided ? ", guided" : "");
    return VQP_OK;
}

static void print_values(const struct vqp_piece *p, const vqp_val *v, uint32_t n, FILE *f)
{
    char text[VQP_SHAPE_TEXT];
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "%s%%%u %s%s", i ? ", " : "", p->view->vals[v[i]].root, vqp_dtype_name(p->view->vals[v[i]].dtype),
                vqp_shape_text(&p->view->vals[v[i]].shape, text));
}

static void print_host_call(const struct vqp_piece *p, const char *phase, FILE *f)
{
    const struct vqp_host_piece *h = p->host;
    char name[96];
    fprintf(f, "# piece of %s on the host: a function of %s\n%s (", phase, h->scope,
            vqp_quote(h->call->name, strlen(h->call->name), name, sizeof name));
    print_values(p, p->view->ops->in, h->call->n_in, f);
    fputs(") -> ", f);
    print_values(p, p->view->ops->out, h->call->n_out, f);
    fputc('\n', f);
}

vqp_status vqpipe_print_programs(vqpipe *pipe, FILE *f, struct vqp_error *err)
{
    static const char *const phases[] = {"prepare", "step", "finish"};
    struct vqp_session *s;
    vqp_status st = vqpipe_load(pipe, err);
    if (st)
        return st;
    struct vqp_session_key key = vqp_pipe_key(pipe, vqp_pipe_batch(pipe, 0), 0);
    if ((st = vqp_pipe_session(pipe, &key, &s, err)))
        return st;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++) {
        for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next) {
            if (p->host) {
                print_host_call(p, phases[phase], f);
                continue;
            }
            fprintf(f, "# piece of %s on %s %s\n", phases[phase], p->backend->name, p->backend->precision);
            vqp_program_dump(p->view, f);
        }
        if (vqp_session_crossing(s, phase))
            fprintf(f, "# %s: %" PRIu64 " bytes cross through host memory each time\n", phases[phase],
                    vqp_session_crossing(s, phase));
    }
    return VQP_OK;
}
