#include "settings.h"
#include "options.h"
#include "settings_tables.h"
#include "text.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const top_keys[] = {"vqpipe",     "name", "model",  "variant", "backend",
                                       "components", "run",  "output", NULL};
static const char *const component_keys[] = {"tokenizer", "text_encoder", "denoiser", "scheduler", "vq_decoder", NULL};

void vqp_settings_note(struct vqp_settings *s, const char *key, const char *value, const char *origin)
{
    struct vqp_setting *n = vqp_arena_alloc(&s->arena, 1, sizeof *n);
    if (!n)
        return;
    n->key = vqp_arena_strdup(&s->arena, key);
    n->value = vqp_arena_strdup(&s->arena, value);
    size_t len = strlen(origin); /* an origin ends in ": " where a message would follow */
    n->origin = vqp_arena_memdup(&s->arena, origin, len > 2 && !strcmp(origin + len - 2, ": ") ? len - 2 : len);
    if (!n->key || !n->value || !n->origin)
        return;
    *(s->tail ? s->tail : &s->list) = n;
    s->tail = &n->next;
}

void vqp_settings_settled(void *ctx, const char *key, const char *value, const char *origin)
{
    const struct vqp_section *n = ctx;
    char full[160];
    snprintf(full, sizeof full, "%s.%s", n->name, key);
    vqp_settings_note(n->settings, full, value, origin);
}

static vqp_status unknown_key(const struct vqp_node *node, const char *where, const char *const *known,
                              struct vqp_error *err)
{
    char at[PATH_MAX + 64];
    struct vqp_nearest near = {.word = node->key};
    for (; *known; known++)
        vqp_nearest_offer(&near, *known);
    return vqp_fail(err, VQP_E_ARG, "%sunknown key '%s' in %s%s%s%s", vqp_origin_text(&node->key_at, at, sizeof at),
                    node->key, where, near.best ? "; did you mean '" : "; see docs/pipeline-yaml.md",
                    near.best ? near.best : "", near.best ? "'?" : "");
}

static vqp_status check_keys(const struct vqp_node *map, const char *where, const char *const *known,
                             struct vqp_error *err)
{
    char at[PATH_MAX + 64];
    if (map && map->kind != VQP_NODE_MAP)
        return vqp_fail(err, VQP_E_ARG, "%s%s is a map of keys, such as { use: ... }; give one",
                        vqp_origin_text(&map->at, at, sizeof at), where);
    for (const struct vqp_node *c = map ? map->child : NULL; c; c = c->next) {
        const char *const *k = known;
        while (*k && strcmp(*k, c->key))
            k++;
        if (!*k)
            return unknown_key(c, where, known, err);
    }
    return VQP_OK;
}

vqp_status vqp_settings_core_key(const struct vqp_node *map, const char *section, const char *key,
                                 const struct vqp_node **out, struct vqp_error *err)
{
    char at[PATH_MAX + 64];
    *out = NULL;
    for (const struct vqp_node *c = map ? map->child : NULL; c; c = c->next)
        if (!strcmp(c->key, key)) {
            if (c->kind != VQP_NODE_SCALAR || !c->text_len)
                return vqp_fail(err, VQP_E_ARG, "%s%s.%s takes one name or path; give one",
                                vqp_origin_text(&c->at, at, sizeof at), section, key);
            *out = c;
        }
    return VQP_OK;
}

const char *vqp_settings_path(struct vqp_arena *a, const struct vqp_node *node, const char *base)
{
    char cwd[PATH_MAX];
    if (node->text[0] == '/')
        return vqp_arena_strdup(a, node->text);
    if (node->at.from_command_line)
        base = getcwd(cwd, sizeof cwd) ? cwd : ".";
    return vqp_arena_printf(a, "%s/%s", base, node->text);
}

static vqp_status fill(const struct vqp_source *src, struct vqp_settings *s, const char *section,
                       const struct vqp_option *table, void *opts, size_t size, struct vqp_error *err)
{
    struct vqp_section n = {s, section};
    return vqp_options_fill(&(struct vqp_options_args){.owner = section,
                                                       .table = table,
                                                       .map = vqp_node_find(src->root, section),
                                                       .base_dir = src->dir,
                                                       .arena = &s->arena,
                                                       .settled = vqp_settings_settled,
                                                       .settled_ctx = &n},
                            opts, size, err);
}

vqp_status vqp_settings_read(const struct vqp_source *src, struct vqp_settings *out, struct vqp_error *err)
{
    *out = (struct vqp_settings){0};
    char origin[PATH_MAX + 64];
    const struct vqp_node *node;
    const struct vqp_node *components = vqp_node_find(src->root, "components");
    const struct vqp_node *backend = vqp_node_find(src->root, "backend");
    vqp_status st = check_keys(src->root, "the descriptor", top_keys, err);
    if (!st)
        st = check_keys(components, "components", component_keys, err);
    if (!st && backend && backend->kind != VQP_NODE_MAP)
        st = check_keys(backend, "backend", component_keys, err);
    if (!st)
        st = fill(src, out, "run", vqp_run_options, &out->run, sizeof out->run, err);
    if (!st)
        st = fill(src, out, "output", vqp_output_options, &out->output, sizeof out->output, err);
    if (!st)
        st = vqp_settings_core_key(src->root, "descriptor", "name", &node, err);
    if (!st) {
        out->name = node ? node->text : "unnamed";
        st = vqp_settings_core_key(src->root, "descriptor", "model", &node, err);
    }
    if (!st) {
        out->model = node ? vqp_settings_path(&out->arena, node, src->dir) : src->dir;
        if (!out->model)
            st = vqp_fail(err, VQP_E_NOMEM, "settings: out of memory");
    }
    const struct vqp_node *variant = NULL;
    if (!st)
        st = vqp_settings_core_key(src->root, "descriptor", "variant", &variant, err);
    if (!st) {
        vqp_settings_note(out, "name", out->name, src->file);
        vqp_settings_note(out, "model", out->model,
                          node ? vqp_origin_text(&node->at, origin, sizeof origin) : "default");
        if (variant) {
            out->variant = variant->text;
            vqp_settings_note(out, "variant", variant->text, vqp_origin_text(&variant->at, origin, sizeof origin));
        }
        out->backend = vqp_node_find(src->root, "backend");
        for (uint32_t i = 0; !st && i < VQP_N_COMPONENTS; i++) {
            char dotted[64];
            snprintf(dotted, sizeof dotted, "components.%s", component_keys[i]);
            out->component[i] = vqp_node_find(src->root, dotted);
            if (out->component[i] && out->component[i]->kind != VQP_NODE_MAP)
                st = check_keys(out->component[i], dotted, component_keys, err);
        }
    }
    if (st)
        vqp_settings_free(out);
    return st;
}

void vqp_settings_free(struct vqp_settings *s)
{
    vqp_arena_free(&s->arena);
    *s = (struct vqp_settings){0};
}
