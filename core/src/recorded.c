#include "recorded.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void note(struct vqpipe_result *r, const char *key, const char *value)
{
    vqp_settings_note(&r->settings, key, value, "");
}

static const char *effective(const struct vqp_settings *s, const char *key)
{
    const struct vqp_setting *n = s->list;
    while (n && strcmp(n->key, key))
        n = n->next;
    return n ? n->value : NULL;
}

/* The text of a key that the command line or a program set; NULL where the descriptor or nobody did. */
static const char *overridden(const struct vqpipe *pipe, const char *key)
{
    const struct vqp_node *n = vqp_node_find(pipe->src.root, key);
    return n && n->at.from_command_line && n->kind == VQP_NODE_SCALAR ? n->text : NULL;
}

static void note_overridden(struct vqpipe_result *r, const struct vqpipe *pipe, const char *key, const char *name)
{
    const char *text = overridden(pipe, key);
    if (text && *text)
        note(r, name, text);
}

static void note_run(struct vqpipe_result *r, const struct vqpipe *pipe)
{
    static const char *const always[] = {"steps", "guidance_scale", "truncation_rate", "rng"};
    const struct vqp_settings *s = &pipe->assembly->settings;
    char key[64], text[32];
    if (s->run.negative_prompt)
        note(r, "negative_prompt", s->run.negative_prompt);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        snprintf(key, sizeof key, "run.%s", always[i]);
        const char *value = effective(s, key);
        if (value)
            note(r, always[i], value);
    }
    if (s->run.start_step) {
        snprintf(text, sizeof text, "%" PRId64, s->run.start_step);
        note(r, "start_step", text);
    }
    if (pipe->latents)
        note(r, "start_ids", "given by the program");
    else
        note_overridden(r, pipe, "run.latents", "latents");
    note_overridden(r, pipe, "run.pin", "pin");
}

/* The scheduler, and every key of a component that the descriptor does not give. */
static void note_components(struct vqpipe_result *r, const struct vqpipe *pipe)
{
    static const char *const always[] = {"components.scheduler.use", "components.scheduler.spacing"};
    const struct vqp_settings *parts = &pipe->assembly->parts;
    const size_t prefix = strlen("components.");
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (effective(parts, always[i]))
            note(r, always[i] + prefix, effective(parts, always[i]));
    const struct vqp_node *components = vqp_node_find(pipe->src.root, "components");
    for (const struct vqp_node *c = components ? components->child : NULL; c; c = c->next)
        for (const struct vqp_node *k = c->child; k; k = k->next) {
            char key[160];
            snprintf(key, sizeof key, "components.%s.%s", c->key, k->key);
            int noted = !strcmp(key, always[0]) || !strcmp(key, always[1]);
            const char *value = k->kind == VQP_NODE_SCALAR ? k->text : effective(parts, key);
            if (k->at.from_command_line && !noted && value)
                note(r, key + prefix, value);
        }
}

/* "cpu f32"; where components run on several, "reference f32, cpu bf16": the descriptor says which on which. */
static void note_backend(struct vqpipe_result *r, const struct vqpipe *pipe)
{
    const struct vqp_assembly *a = pipe->assembly;
    const struct vqp_backend_instance *seen[VQP_N_COMPONENTS];
    uint32_t n = 0;
    char text[512] = "";
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++) {
        const struct vqp_backend_instance *b = a->component[i].backend;
        uint32_t k = 0;
        while (k < n && seen[k] != b)
            k++;
        if (!b || k < n)
            continue;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s", n ? ", " : "", b->name, b->precision);
        seen[n++] = b;
    }
    note(r, "backend", text);
    if (n > 1) {
        note_overridden(r, pipe, "backend.use", "backend.use");
        note_overridden(r, pipe, "backend.precision", "backend.precision");
    }
}

void vqp_recorded_run(struct vqpipe_result *r, const struct vqpipe *pipe, const struct vqpipe_run_params *params)
{
    const struct vqp_run_settings *run = &pipe->assembly->settings.run;
    note(r, "Software", "vqpipe " VQPIPE_VERSION);
    note(r, "pipeline", pipe->assembly->settings.name);
    note(r, "descriptor", pipe->src.given);
    note_overridden(r, pipe, "name", "name");
    note_overridden(r, pipe, "model", "model");
    note_run(r, pipe);
    note_components(r, pipe);
    note_backend(r, pipe);
    if (params->feed_dir)
        note(r, "feed", params->feed_dir);
    /* A file of ids has a row for each picture, so the place counts. */
    r->place_counts = r->n > 1 && (params->feed_dir || (run->latents && *run->latents) || (run->pin && *run->pin));
}

vqp_status vqp_recorded_picture(const struct vqpipe_result *r, uint32_t k, uint32_t scale, struct vqp_recorded *out,
                                struct vqp_error *err)
{
    uint32_t n = 8;
    for (const struct vqp_setting *s = r->settings.list; s; s = s->next)
        n++;
    *out = (struct vqp_recorded){.text = calloc(n, sizeof *out->text)};
    if (!out->text)
        return vqp_fail(err, VQP_E_NOMEM, "png: no memory left for the settings of a picture");
    out->text[out->n++] = (struct vqp_png_text){"prompt", r->prompts[k]};
    if (r->torch_rng) /* one generator drew for the whole batch */
        snprintf(out->seed, sizeof out->seed, "%" PRIu64 ", image %u of %u, torch-cpu", r->seeds[k], k, r->n);
    else
        snprintf(out->seed, sizeof out->seed, "%" PRIu64, r->seeds[k]);
    out->text[out->n++] = (struct vqp_png_text){"seed", out->seed};
    if (r->place_counts && !r->torch_rng) {
        snprintf(out->image, sizeof out->image, "%u of %u", k, r->n);
        out->text[out->n++] = (struct vqp_png_text){"image", out->image};
    }
    for (const struct vqp_setting *s = r->settings.list; s; s = s->next)
        out->text[out->n++] = (struct vqp_png_text){s->key, s->value};
    if (scale > 1) {
        snprintf(out->scale, sizeof out->scale, "%u", scale);
        out->text[out->n++] = (struct vqp_png_text){"scale", out->scale};
    }
    if (r->preview_of) {
        snprintf(out->preview, sizeof out->preview, "after evaluation %u of %u", r->preview_at, r->preview_of);
        out->text[out->n++] = (struct vqp_png_text){"preview", out->preview};
    }
    return VQP_OK;
}

void vqp_recorded_free(struct vqp_recorded *rec)
{
    free(rec->text);
    *rec = (struct vqp_recorded){0};
}
