/* What report.c prints as text, as one JSON object. */
#include "pipeline.h"
#include "text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A file's name may be any bytes, JSON only UTF-8: \xNN for the rest. NULL: null. */
static json_t *string(const char *s)
{
    json_t *j = s ? json_string(s) : json_null();
    if (j || !s)
        return j;
    size_t n = strlen(s), room = 4 * n + 8;
    char *quoted = malloc(room);
    j = quoted ? json_string(vqp_quote(s, n, quoted, room)) : NULL;
    free(quoted);
    return j;
}

static json_t *number(uint32_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *settings(const struct vqp_assembly *a)
{
    json_t *all = json_array();
    const struct vqp_setting *const lists[] = {a->settings.list, a->parts.list};
    for (int i = 0; i < 2; i++)
        for (const struct vqp_setting *s = lists[i]; s; s = s->next)
            json_array_append_new(all, json_pack("{s:o,s:o,s:o}", "key", string(s->key), "value", string(s->value),
                                                 "origin", string(s->origin)));
    return all;
}

static json_t *component(const struct vqp_instance *c)
{
    json_t *files = json_array();
    for (uint32_t k = 0; k < c->n_folders; k++)
        json_array_append_new(files, string(vqp_weights_file(c->folder[k].weights)));
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "interface", string(c->key), "use", string(c->use), "backend",
                     string(c->backend ? c->backend->name : NULL), "precision",
                     string(c->backend ? c->backend->precision : NULL), "files", files);
}

static json_t *components(const struct vqp_assembly *a)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++)
        if (a->component[i].self)
            json_array_append_new(all, component(&a->component[i]));
    return all;
}

static json_t *backends(const struct vqp_assembly *a)
{
    json_t *all = json_array();
    for (const struct vqp_backend_instance *b = a->backends; b; b = b->next)
        json_array_append_new(all, json_pack("{s:o,s:o,s:o}", "use", string(b->name), "precision", string(b->precision),
                                             "device", string(b->info.name)));
    return all;
}

static json_t *pipeline(const vqpipe *pipe)
{
    const struct vqp_assembly *a = pipe->assembly;
    json_t *grid =
        json_pack("{s:o,s:o,s:o,s:o,s:o}", "width", number(a->denoiser.grid_w), "height", number(a->denoiser.grid_h),
                  "codes", number(a->denoiser.n_codes), "picture_width", number(a->denoiser.grid_w * a->decoder.scale),
                  "picture_height", number(a->denoiser.grid_h * a->decoder.scale));
    json_t *run = json_pack("{s:o,s:o,s:o}", "images", number(a->n_images), "evaluations", number(a->n_evals), "guided",
                            json_boolean(a->guided));
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", string(a->settings.name), "file", string(pipe->src.file),
                     "settings", settings(a), "components", components(a), "backends", backends(a), "grid", grid, "run",
                     run);
}

vqp_status vqpipe_print_json(vqpipe *pipe, FILE *f, struct vqp_error *err)
{
    vqp_status st = vqpipe_load(pipe, err);
    if (st)
        return st;
    json_t *j = pipeline(pipe);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory while writing JSON");
    fprintf(f, "%s\n", text);
    free(text);
    return VQP_OK;
}
