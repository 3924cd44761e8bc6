#include "assembly.h"
#include "inside.h"
#include "options.h"
#include "shape.h"
#include "text.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const core_keys[] = {"use", "path", "precision", "backend", "device", "variant", NULL};

static struct vqp_arena *arena_of(struct vqp_assembly *a)
{
    return &a->parts.arena;
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* "scheduler" of "components.scheduler". */
static const char *short_name(const char *section)
{
    const char *dot = strrchr(section, '.');
    return dot ? dot + 1 : section;
}

static int listed(const char *key, const char *const *list)
{
    while (*list && strcmp(*list, key))
        list++;
    return *list != NULL;
}

static int in_table(const char *key, const struct vqp_option *table)
{
    while (table && table->name && strcmp(table->name, key))
        table++;
    return table && table->name;
}

/* A `use` changed on the command line leaves behind keys that the file wrote for another plugin: these are named and left
 * out of *map. Keys from the command line stay and are checked. The descriptor keeps all, for a later change back. */
static vqp_status drop_foreign_keys(struct vqp_assembly *a, const struct vqp_node *use, const char *section,
                                    struct vqp_node **map, const struct vqp_option *table, struct vqp_error *err)
{
    char dotted[96];
    snprintf(dotted, sizeof dotted, "%s.use", section);
    const struct vqp_node *before = vqp_node_find(a->src->as_written, dotted);
    if (!use->at.from_command_line || (before && before->kind == VQP_NODE_SCALAR && !strcmp(before->text, use->text)))
        return VQP_OK;
    struct vqp_node *kept = vqp_node_copy(arena_of(a), *map);
    if (!kept)
        return vqp_fail(err, VQP_E_NOMEM, "%s: out of memory", section);
    for (struct vqp_node **c = &kept->child, *n; (n = *c);) {
        if (n->at.from_command_line || listed(n->key, core_keys) || in_table(n->key, table)) {
            c = &n->next;
            continue;
        }
        vqp_context_log(a->ctx, VQP_LOG_WARN, "%s: %s: does not apply to %s", short_name(section), n->key, use->text);
        *c = n->next;
    }
    *map = kept;
    return VQP_OK;
}

static vqp_status fill_options(struct vqp_assembly *a, const struct vqp_component *comp, const char *section,
                               const struct vqp_node *map, const char *path, void **opts, struct vqp_error *err)
{
    struct vqp_section n = {&a->parts, section};
    *opts = vqp_arena_alloc(arena_of(a), 1, comp->opts_size ? comp->opts_size : 1);
    const char *owner = vqp_arena_printf(arena_of(a), "%s (%s)", short_name(section), comp->name);
    if (!*opts || !owner)
        return vqp_fail(err, VQP_E_NOMEM, "%s: out of memory", section);
    return vqp_options_fill(&(struct vqp_options_args){.owner = owner,
                                                       .table = comp->opts,
                                                       .map = map,
                                                       .core_keys = core_keys,
                                                       .base_dir = a->settings.model,
                                                       .path = path,
                                                       .arena = arena_of(a),
                                                       .settled = vqp_settings_settled,
                                                       .settled_ctx = &n},
                            *opts, comp->opts_size, err);
}

/* ---- backends --------------------------------------------------------------------------------------------------- */

static int usable_gpu(struct vqp_assembly *a, const struct vqp_component *c)
{
    struct vqp_device_info d[16];
    uint32_t n = 0;
    for (uint32_t i = 0; i < 16; i++)
        d[i].struct_size = sizeof d[i];
    if (!VQP_HAS(c->v.backend, devices) || c->v.backend->devices(&a->host->base, d, 16, &n, NULL))
        return 0;
    for (uint32_t i = 0; i < n && i < 16; i++)
        if (d[i].usable && !d[i].is_host)
            return 1;
    return 0;
}

/* `auto`: the first usable Vulkan device that is not a CPU, else cpu, else reference; never silently. */
static const char *choose_backend(struct vqp_assembly *a, struct vqp_registry *reg)
{
    const struct vqp_component *c;
    if (!vqp_registry_find(reg, VQP_IFACE_BACKEND, "vulkan", &c, NULL, NULL) && usable_gpu(a, c)) {
        vqp_context_log(a->ctx, VQP_LOG_WARN, "backend auto: took vulkan, which has a usable GPU");
        return "vulkan";
    }
    const char *name = vqp_registry_find(reg, VQP_IFACE_BACKEND, "cpu", &c, NULL, NULL) ? "reference" : "cpu";
    vqp_context_log(a->ctx, VQP_LOG_WARN, "backend auto: took %s, as there is no usable Vulkan GPU", name);
    return name;
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* The instance for that name, device and precision; components that agree in all three share one. */
static vqp_status get_backend(struct vqp_assembly *a, const char *use, const char *device, const char *precision,
                              struct vqp_backend_instance **out, struct vqp_error *err)
{
    struct vqp_registry *reg;
    const struct vqp_component *comp;
    const struct vqp_plugin_entry *entry;
    vqp_status st = vqp_context_registry(a->ctx, &reg, err);
    if (st)
        return st;
    if (!strcmp(use, "auto"))
        use = a->chosen = a->chosen ? a->chosen : choose_backend(a, reg);
    for (struct vqp_backend_instance *b = a->backends; b; b = b->next)
        if (!strcmp(b->name, use) && same_text(b->device, device) && same_text(b->precision, precision)) {
            *out = b;
            return VQP_OK;
        }
    if (a->n_backends == VQP_MAX_BACKENDS)
        return vqp_fail(err, VQP_E_ARG, "components name more than %d different backends; use fewer", VQP_MAX_BACKENDS);
    if ((st = vqp_registry_find(reg, VQP_IFACE_BACKEND, use, &comp, &entry, err)))
        return st;
    struct vqp_backend_instance *b = vqp_arena_alloc(arena_of(a), 1, sizeof *b);
    if (!b)
        return vqp_fail(err, VQP_E_NOMEM, "backend: out of memory");
    /* The options in the `backend` map belong to the backend named there. */
    struct vqp_node *map = a->settings.backend;
    const struct vqp_node *named = NULL;
    if ((st = vqp_settings_core_key(map, "backend", "use", &named, err)))
        return st;
    if (map && named && strcmp(named->text, use) && strcmp(named->text, "auto"))
        map = NULL;
    else if (map && named && (st = drop_foreign_keys(a, named, "backend", &map, comp->opts, err)))
        return st;
    *b = (struct vqp_backend_instance){.component = comp,
                                       .v = comp->v.backend,
                                       .name = comp->name,
                                       .device = device,
                                       .precision = precision,
                                       .index = a->n_backends};
    void *opts;
    if ((st = fill_options(a, comp, "backend", map, NULL, &opts, err)))
        return st;
    struct vqp_error e = {0};
    st = comp->create(&(struct vqp_create_args){.struct_size = sizeof(struct vqp_create_args),
                                                .host = &a->host->base,
                                                .instance = "backend",
                                                .plugin_path = entry->path,
                                                .precision = precision,
                                                .device = device,
                                                .opts = opts},
                      &b->self, &e);
    if (st)
        return vqp_fail(err, st, "backend (%s): %s", comp->name, e.msg);
    b->info.struct_size = sizeof b->info;
    b->v->info(b->self, &b->info);
    b->next = a->backends;
    a->backends = b;
    a->n_backends++;
    *out = b;
    return VQP_OK;
}

/* NAME[:DEVICE] */
vqp_status vqp_assembly_backend(struct vqp_assembly *a, const char *text, const char *precision,
                                struct vqp_backend_instance **out, struct vqp_error *err)
{
    const char *colon = strchr(text, ':');
    const char *name = vqp_arena_memdup(arena_of(a), text, colon ? (size_t)(colon - text) : strlen(text));
    const char *device = colon ? vqp_arena_strdup(arena_of(a), colon + 1) : NULL;
    if (!name || (colon && !device))
        return vqp_fail(err, VQP_E_NOMEM, "backend: out of memory");
    return get_backend(a, name, device, precision, out, err);
}

static vqp_status backend_of(struct vqp_assembly *a, const struct vqp_node *map, const char *section,
                             struct vqp_backend_instance **out, struct vqp_error *err)
{
    const struct vqp_node *use, *device, *precision, *own, *own_precision;
    vqp_status st = VQP_OK;
    if (!st)
        st = vqp_settings_core_key(a->settings.backend, "backend", "use", &use, err);
    if (!st)
        st = vqp_settings_core_key(a->settings.backend, "backend", "device", &device, err);
    if (!st)
        st = vqp_settings_core_key(a->settings.backend, "backend", "precision", &precision, err);
    if (!st)
        st = vqp_settings_core_key(map, section, "backend", &own, err);
    if (!st)
        st = vqp_settings_core_key(map, section, "precision", &own_precision, err);
    if (st)
        return st;
    const char *prec = own_precision ? own_precision->text : precision ? precision->text : "f32";
    if (own)
        return vqp_assembly_backend(a, own->text, prec, out, err);
    return get_backend(a, use ? use->text : "auto", device ? device->text : NULL, prec, out, err);
}

/* ---- components ------------------------------------------------------------------------------------------------- */

static vqp_status create_component(struct vqp_assembly *a, uint32_t iface, struct vqp_error *err)
{
    struct vqp_instance *inst = vqp_component_of(a, iface);
    struct vqp_node *map = a->settings.component[iface - 1];
    const char *section = vqp_arena_printf(arena_of(a), "components.%s", vqp_iface_name(iface));
    struct vqp_registry *reg;
    const struct vqp_plugin_entry *entry;
    const struct vqp_node *use, *path, *variant;
    char at[PATH_MAX + 64];
    if (!section)
        return vqp_fail(err, VQP_E_NOMEM, "components: out of memory");
    inst->key = vqp_iface_name(iface);
    vqp_status st = vqp_settings_core_key(map, section, "use", &use, err);
    if (!st)
        st = vqp_settings_core_key(map, section, "path", &path, err);
    if (!st && !use)
        return vqp_fail(err, VQP_E_ARG, "%s%s has no `use`; name a component (vqpipe plugins lists them)",
                        vqp_origin_text(&map->at, at, sizeof at), section);
    if (!st)
        st = vqp_context_registry(a->ctx, &reg, err);
    struct vqp_error e = {0};
    if (!st && (st = vqp_registry_find(reg, iface, use->text, &inst->component, &entry, &e)))
        vqp_fail(err, st, "%s%s", vqp_origin_text(&use->at, at, sizeof at), e.msg);
    if (st)
        return st;
    inst->use = use->text;
    if ((st = vqp_settings_core_key(map, section, "variant", &variant, err)))
        return st;
    inst->variant = variant ? variant->text : a->settings.variant;
    if (path && (inst->path = vqp_settings_path(arena_of(a), path, a->settings.model)))
        inst->path = vqp_inside_path(arena_of(a), inst->path);
    if (path && !inst->path)
        return vqp_fail(err, VQP_E_NOMEM, "components: out of memory");
    struct vqp_section noted = {&a->parts, section};
    vqp_settings_settled(&noted, "use", use->text, vqp_origin_text(&use->at, at, sizeof at));
    if ((st = drop_foreign_keys(a, use, section, &map, inst->component->opts, err)) ||
        (st = fill_options(a, inst->component, section, map, inst->path, &inst->opts, err)))
        return st;
    if (iface != VQP_IFACE_TOKENIZER && (st = backend_of(a, map, section, &inst->backend, err)))
        return st;
    st =
        inst->component->create(&(struct vqp_create_args){.struct_size = sizeof(struct vqp_create_args),
                                                          .host = &a->host->base,
                                                          .instance = inst->key,
                                                          .plugin_path = entry->path,
                                                          .path = inst->path,
                                                          .precision = inst->backend ? inst->backend->precision : "f32",
                                                          .opts = inst->opts},
                                &inst->self, &e);
    if (st)
        return vqp_fail(err, st, "%s (%s): %s", inst->key, inst->use, e.msg);
    return VQP_OK;
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* The opened folder at `dir`, or NULL with err. */
static struct vqp_folder *open_folder(struct vqp_assembly *a, struct vqp_instance *inst, const char *dir,
                                      struct vqp_error *err)
{
    for (uint32_t i = 0; i < inst->n_folders; i++)
        if (!strcmp(inst->folder[i].dir, dir))
            return &inst->folder[i];
    if (inst->n_folders == VQP_MAX_FOLDERS) {
        vqp_fail(err, VQP_E_PLUGIN, "reads tensors from more than %d folders", VQP_MAX_FOLDERS);
        return NULL;
    }
    struct vqp_folder *f = &inst->folder[inst->n_folders];
    if (vqp_inside_weights(a->ctx->weights, dir, inst->variant, &f->weights, err))
        return NULL;
    uint64_t bytes;
    for (uint32_t i = 0; vqp_weights_part(f->weights, i, &bytes); i++)
        vqp_context_log(a->ctx, VQP_LOG_INFO, "%s: took %s, %.1f MB", inst->key,
                        vqp_weights_part(f->weights, i, &bytes), (double)bytes * 1e-6);
    f->dir = dir;
    f->used = vqp_arena_alloc(arena_of(a), vqp_weights_count(f->weights) + 1, 1);
    if (!f->used) {
        vqp_weights_close(a->ctx->weights, f->weights);
        f->weights = NULL;
        vqp_fail(err, VQP_E_NOMEM, "out of memory");
        return NULL;
    }
    inst->n_folders++;
    return f;
}

static const char *path_option(const struct vqp_instance *inst, const char *name, size_t n)
{
    for (const struct vqp_option *o = inst->component->opts; o && o->name; o++)
        if (o->type == VQP_OPT_PATH && strlen(o->name) == n && !memcmp(o->name, name, n)) {
            const char *value;
            memcpy(&value, (const char *)inst->opts + o->offset, sizeof value);
            return value;
        }
    return NULL;
}

static const struct vqp_tensor *find_tensor(struct vqp_assembly *a, const char *owner, const char *name,
                                            struct vqp_folder **folder, struct vqp_error *err)
{
    struct vqp_instance *inst = NULL;
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++)
        if (a->component[i].key && !strcmp(a->component[i].key, owner))
            inst = &a->component[i];
    const char *colon = strchr(name, ':');
    const char *dir = !inst ? NULL : colon ? path_option(inst, name, (size_t)(colon - name)) : inst->path;
    if (colon)
        name = colon + 1;
    if (!dir) {
        vqp_fail(err, VQP_E_ARG, "no `path` to read the tensor '%s' from; give components.%s.path", name, owner);
        return NULL;
    }
    if (!(*folder = open_folder(a, inst, dir, err)))
        return NULL;
    const struct vqp_weights *w = (*folder)->weights;
    const struct vqp_tensor *t = vqp_weights_find(w, name);
    if (!t && err) {
        struct vqp_nearest near = {.word = name};
        for (uint32_t i = 0; i < vqp_weights_count(w); i++)
            vqp_nearest_offer(&near, vqp_weights_at(w, i)->name);
        vqp_fail(err, VQP_E_FORMAT, "%s has no tensor '%s'%s%s; is it the file of this config?", vqp_weights_file(w),
                 name, near.best ? ", the nearest is " : "", near.best ? near.best : "");
    }
    return t;
}

vqp_status vqp_assembly_weight(struct vqp_assembly *a, const char *owner, const char *name, struct vqp_tensor_view *out,
                               struct vqp_error *err)
{
    struct vqp_folder *folder;
    struct vqp_error e = {0};
    const struct vqp_tensor *t = find_tensor(a, owner, name, &folder, &e);
    if (!t)
        return vqp_fail(err, e.code, "%s", e.msg);
    if (!t->dtype)
        return vqp_fail(err, VQP_E_FORMAT,
                        "%s: tensor '%s' is %s, which vqpipe cannot use; convert it to F32, F16 or BF16",
                        vqp_weights_file(folder->weights), t->name, t->file_dtype);
    vqp_status st = a->settings.run.allow_nonfinite ? vqp_weights_ready(folder->weights, t, err)
                                                    : vqp_weights_check_finite(folder->weights, t, err);
    if (st)
        return st;
    vqp_weights_drop(folder->weights, t); /* a backend that copies it reads one weight at a time */
    folder->used[t - vqp_weights_at(folder->weights, 0)] = 1;
    *out = (struct vqp_tensor_view){.dtype = t->dtype, .shape = t->shape, .data = t->data, .bytes = t->bytes};
    return VQP_OK;
}

int32_t vqp_assembly_has_weight(struct vqp_assembly *a, const char *owner, const char *name)
{
    struct vqp_folder *folder;
    return find_tensor(a, owner, name, &folder, NULL) != NULL;
}

uint32_t vqp_assembly_unused(const struct vqp_instance *inst, const char **first)
{
    uint32_t n = 0;
    for (uint32_t f = 0; f < inst->n_folders; f++)
        for (uint32_t i = 0; i < vqp_weights_count(inst->folder[f].weights); i++) {
            const struct vqp_tensor *t = vqp_weights_at(inst->folder[f].weights, i);
            if (t->dtype && !inst->folder[f].used[i] && !n++)
                *first = t->name;
        }
    return n;
}

/* ---- the fit ---------------------------------------------------------------------------------------------------- */

static vqp_status check_conditioning(struct vqp_assembly *a, struct vqp_error *err)
{
    struct vqp_instance *tok = vqp_component_of(a, VQP_IFACE_TOKENIZER),
                        *text = vqp_component_of(a, VQP_IFACE_TEXT_ENCODER);
    if (!a->denoiser.n_conds)
        return VQP_OK;
    if (!tok->self || !text->self)
        return vqp_fail(err, VQP_E_ARG,
                        "denoiser (%s) needs the text '%s', but the descriptor has no %s; add components.%s",
                        vqp_component_of(a, VQP_IFACE_DENOISER)->use, a->denoiser.conds[0].name,
                        tok->self ? "text_encoder" : "tokenizer", tok->self ? "text_encoder" : "tokenizer");
    uint32_t vocab = 0;
    tok->component->v.tokenizer->info(tok->self, &a->context_length, &vocab);
    if (a->context_length != a->text.context_length)
        return vqp_fail(err, VQP_E_ARG,
                        "tokenizer (%s) gives %" PRIu32 " ids, text_encoder (%s) takes %" PRIu32
                        "; set components.tokenizer.model_max_length, or use the tokenizer of this model",
                        tok->use, a->context_length, text->use, a->text.context_length);
    if (vocab > a->text.vocab_size)
        return vqp_fail(err, VQP_E_ARG,
                        "tokenizer (%s) has a vocabulary of %" PRIu32 ", text_encoder (%s) of %" PRIu32
                        "; use the tokenizer of this model",
                        tok->use, vocab, text->use, a->text.vocab_size);
    for (uint32_t i = 0; i < a->denoiser.n_conds; i++) {
        const struct vqp_cond *want = &a->denoiser.conds[i], *have = NULL;
        char s1[VQP_SHAPE_TEXT], s2[VQP_SHAPE_TEXT];
        for (uint32_t k = 0; k < a->text.n_conds; k++)
            if (!strcmp(a->text.conds[k].name, want->name))
                have = &a->text.conds[k];
        if (!have)
            return vqp_fail(err, VQP_E_ARG,
                            "denoiser (%s) needs '%s', which text_encoder (%s) does not give; use another text encoder",
                            vqp_component_of(a, VQP_IFACE_DENOISER)->use, want->name, text->use);
        int fits = have->dtype == want->dtype && have->shape.rank == want->shape.rank;
        for (uint32_t d = 0; fits && d < want->shape.rank; d++)
            fits = want->shape.dim[d] == -1 || want->shape.dim[d] == have->shape.dim[d];
        if (!fits)
            return vqp_fail(err, VQP_E_ARG,
                            "'%s' is %s from text_encoder (%s) but %s in denoiser (%s); use parts of one model",
                            want->name, vqp_shape_text(&have->shape, s1), text->use, vqp_shape_text(&want->shape, s2),
                            vqp_component_of(a, VQP_IFACE_DENOISER)->use);
    }
    return VQP_OK;
}

static vqp_status check_fit(struct vqp_assembly *a, struct vqp_error *err)
{
    const struct vqp_denoiser_info *d = &a->denoiser;
    const struct vqp_vq_decoder_info *v = &a->decoder;
    const char *den = vqp_component_of(a, VQP_IFACE_DENOISER)->use,
               *dec = vqp_component_of(a, VQP_IFACE_VQ_DECODER)->use;
    uint64_t n = (uint64_t)d->grid_h * d->grid_w;
    if (a->text.n_conds > VQP_MAX_CONDS)
        return vqp_fail(err, VQP_E_PLUGIN, "text_encoder (%s) gives %u values; at most %d are possible",
                        vqp_component_of(a, VQP_IFACE_TEXT_ENCODER)->use, a->text.n_conds, VQP_MAX_CONDS);
    if (!n || n > 1u << 20 || !d->n_codes || d->n_codes > 1u << 24 || d->n_vocab < d->n_codes ||
        d->mask_id >= d->n_vocab || d->n_conds > VQP_MAX_CONDS)
        return vqp_fail(err, VQP_E_PLUGIN,
                        "denoiser (%s) describes an impossible model: grid %ux%u, %u codes, %u ids, mask %u", den,
                        d->grid_h, d->grid_w, d->n_codes, d->n_vocab, d->mask_id);
    a->n_tokens = (uint32_t)n;
    if (v->n_codes != d->n_codes)
        return vqp_fail(err, VQP_E_ARG,
                        "vq_decoder (%s) has %u codes, denoiser (%s) predicts %u; use parts of one model", dec,
                        v->n_codes, den, d->n_codes);
    if ((v->grid_h && v->grid_h != d->grid_h) || (v->grid_w && v->grid_w != d->grid_w))
        return vqp_fail(err, VQP_E_ARG,
                        "vq_decoder (%s) has a grid of %ux%u, denoiser (%s) of %ux%u; use parts of one model", dec,
                        v->grid_h, v->grid_w, den, d->grid_h, d->grid_w);
    if (!v->scale || v->scale > 256)
        return vqp_fail(err, VQP_E_PLUGIN, "vq_decoder (%s) says %u pixels per grid cell; 1 to 256 are possible", dec,
                        v->scale);
    return check_conditioning(a, err);
}

/* The list of evaluations, from the scheduler. */
static vqp_status plan_evaluations(struct vqp_assembly *a, struct vqp_error *err)
{
    const struct vqp_instance *s = vqp_component_of(a, VQP_IFACE_SCHEDULER);
    const struct vqp_scheduler_vtbl *v = s->component->v.scheduler;
    const struct vqp_run_settings *run = &a->settings.run;
    int64_t most = a->denoiser.train_steps ? a->denoiser.train_steps : 1024;
    if (run->steps > most)
        return vqp_fail(err, VQP_E_ARG,
                        "run.steps is %" PRId64 ", but the model has %" PRId64 " timesteps; give 1 to %" PRId64,
                        run->steps, most, most);
    struct vqp_plan_args args = {.struct_size = sizeof args,
                                 .steps = (uint32_t)run->steps,
                                 .train_steps = a->denoiser.train_steps,
                                 .n_tokens = a->n_tokens,
                                 .n_codes = a->denoiser.n_codes,
                                 .first_step = (uint32_t)run->start_step,
                                 .guidance = (float)run->guidance_scale};
    struct vqp_error e = {0};
    int32_t n = v->plan(s->self, &args, NULL, 0, &e);
    if (n < 0)
        return vqp_fail(err, n, "scheduler (%s): %s", s->use, e.msg);
    if (!n || n > 1 << 20)
        return vqp_fail(err, VQP_E_PLUGIN, "scheduler (%s) plans %" PRId32 " evaluations; 1 to 1048576 are possible",
                        s->use, n);
    a->evals = vqp_arena_alloc(&a->settings.arena, (size_t)n, sizeof *a->evals);
    if (!a->evals)
        return vqp_fail(err, VQP_E_NOMEM, "scheduler: out of memory");
    for (int32_t i = 0; i < n; i++)
        a->evals[i].guide = (float)run->guidance_scale;
    int32_t again = v->plan(s->self, &args, a->evals, (uint32_t)n, &e);
    if (again != n)
        return again < 0 ? vqp_fail(err, again, "scheduler (%s): %s", s->use, e.msg)
                         : vqp_fail(err, VQP_E_PLUGIN, "scheduler (%s) counts %d evaluations, then plans %d", s->use, n,
                                    again);
    a->n_evals = (uint32_t)n;
    a->first_eval = (uint32_t)run->start_step;
    if (a->first_eval >= a->n_evals)
        return vqp_fail(err, VQP_E_ARG,
                        "run.start_step is %" PRIu32 ", but there are %" PRId32 " evaluations; give 0 to %" PRId32,
                        a->first_eval, n, n - 1);
    if (a->first_eval && !VQP_HAS(v, record_start))
        return vqp_fail(err, VQP_E_ARG,
                        "scheduler (%s) cannot noise given ids, so that it starts at the beginning alone; leave out "
                        "run.start_step, or use another scheduler",
                        s->use);
    a->truncates = (v->flags & VQP_SCHED_TRUNCATES) || run->truncation_rate < 1.0;
    return VQP_OK;
}

/* What follows from the run's settings alone. */
static vqp_status apply_settings(struct vqp_assembly *a, struct vqp_error *err)
{
    const struct vqp_run_settings *run = &a->settings.run;
    uint64_t images = (run->prompt.n ? run->prompt.n : 1) * (uint64_t)run->images_per_prompt;
    if (images > 1 << 20)
        return vqp_fail(err, VQP_E_ARG, "%" PRIu64 " images in one run; at most 1048576 are possible", images);
    a->n_images = (uint32_t)images;
    vqp_status st = plan_evaluations(a, err);
    if (st)
        return st;
    const struct vqp_instance *text = vqp_component_of(a, VQP_IFACE_TEXT_ENCODER);
    const char *negative = a->settings.run.negative_prompt;
    int has_null = text->self && a->text.has_null && VQP_HAS(text->component->v.text_encoder, record_null);
    a->guided = a->settings.run.guidance_scale > 1.0 && a->denoiser.n_conds;
    a->encode_negative = a->guided && (!has_null || negative);
    if (a->guided && has_null && negative)
        vqp_context_log(a->ctx, VQP_LOG_WARN, "the negative prompt takes the place of the model's learned null text");
    for (uint32_t i = 0; !a->denoiser.n_conds && i < run->prompt.n; i++)
        if (*((const char *const *)run->prompt.items)[i]) {
            vqp_context_log(a->ctx, VQP_LOG_WARN, "this model draws without a prompt; what it says changes nothing");
            break;
        }
    return VQP_OK;
}

vqp_status vqp_assembly_create(struct vqpipe_context *ctx, const struct vqp_pipe_host *host,
                               const struct vqp_source *src, struct vqp_assembly **out, struct vqp_error *err)
{
    struct vqp_assembly *a = calloc(1, sizeof *a);
    if (!a)
        return vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    a->ctx = ctx;
    a->host = host;
    a->src = src;
    vqp_status st = vqp_settings_read(a->src, &a->settings, err);
    for (uint32_t iface = 1; !st && iface <= VQP_N_COMPONENTS; iface++) {
        if (a->settings.component[iface - 1])
            st = create_component(a, iface, err);
        else if (iface > VQP_IFACE_TEXT_ENCODER)
            st = vqp_fail(err, VQP_E_ARG, "%s: components.%s is missing; add it", a->src->file, vqp_iface_name(iface));
    }
    if (!st) {
        struct vqp_instance *text = vqp_component_of(a, VQP_IFACE_TEXT_ENCODER),
                            *den = vqp_component_of(a, VQP_IFACE_DENOISER),
                            *dec = vqp_component_of(a, VQP_IFACE_VQ_DECODER);
        a->text.struct_size = sizeof a->text;
        a->denoiser.struct_size = sizeof a->denoiser;
        a->decoder.struct_size = sizeof a->decoder;
        if (text->self)
            text->component->v.text_encoder->info(text->self, &a->text);
        den->component->v.denoiser->info(den->self, &a->denoiser);
        dec->component->v.vq_decoder->info(dec->self, &a->decoder);
        st = check_fit(a, err);
    }
    if (!st)
        st = apply_settings(a, err);
    if (st)
        vqp_assembly_destroy(a);
    else
        *out = a;
    return st;
}

vqp_status vqp_assembly_refresh(struct vqp_assembly *a, struct vqp_error *err)
{
    vqp_settings_free(&a->settings);
    vqp_status st = vqp_settings_read(a->src, &a->settings, err);
    return st ? st : apply_settings(a, err);
}

void vqp_assembly_destroy(struct vqp_assembly *a)
{
    if (!a)
        return;
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++) {
        struct vqp_instance *inst = &a->component[i];
        for (uint32_t f = 0; f < inst->n_folders; f++)
            vqp_weights_close(a->ctx->weights, inst->folder[f].weights);
        if (inst->self)
            inst->component->destroy(inst->self);
    }
    for (struct vqp_backend_instance *b = a->backends; b; b = b->next)
        if (b->self)
            b->component->destroy(b->self);
    vqp_settings_free(&a->settings);
    vqp_settings_free(&a->parts);
    free(a);
}
