#include "registry.h"
#include "arena.h"
#include "probe.h"
#include "process_state.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct vqp_registry {
    struct vqp_arena arena;
    const char **dirs; /* canonical where they exist */
    uint32_t n_dirs;
    struct vqp_plugin_entry *entries;
    uint32_t n, room, probe_ms;
};

/* ---- scanning --------------------------------------------------------------------------------------------------- */

static vqp_status no_memory(struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "out of memory while looking for plugins");
}

/* A second reason joins the first. */
static vqp_status add_reason(struct vqp_registry *r, struct vqp_plugin_entry *e, const char *what, const char *object)
{
    e->reason =
        vqp_arena_printf(&r->arena, "%s%s%s%s", e->reason ? e->reason : "", e->reason ? "; " : "", what, object);
    return e->reason ? VQP_OK : VQP_E_NOMEM;
}

static vqp_status append(struct vqp_registry *r, const char *path, uint32_t dir, struct vqp_plugin_entry **out)
{
    if (r->n == r->room) {
        uint32_t room = r->room ? 2 * r->room : 16;
        struct vqp_plugin_entry *grown = reallocarray(r->entries, room, sizeof *grown);
        if (!grown)
            return VQP_E_NOMEM;
        r->entries = grown;
        r->room = room;
    }
    struct vqp_plugin_entry *e = &r->entries[r->n];
    *e = (struct vqp_plugin_entry){.path = vqp_arena_strdup(&r->arena, path), .dir = dir};
    if (!e->path)
        return VQP_E_NOMEM;
    r->n++;
    *out = e;
    return VQP_OK;
}

/* A component name that two plugins have, or NULL. */
static const char *name_in_both(const struct vqp_plugin *a, const struct vqp_plugin *b)
{
    for (const struct vqp_component *const *x = a->components; *x; x++)
        for (const struct vqp_component *const *y = b->components; *y; y++)
            if (!strcmp((*x)->name, (*y)->name))
                return (*x)->name;
    return NULL;
}

/* Neither can be used where the other is meant as well. */
static vqp_status clash(struct vqp_registry *r, struct vqp_plugin_entry *a, struct vqp_plugin_entry *b,
                        const char *component)
{
    char what[128];
    snprintf(what, sizeof what, "refused on use, its %s%s%s is also that of ", component ? "component '" : "id",
             component ? component : "", component ? "'" : "");
    a->doubled = b->doubled = 1;
    vqp_status s = add_reason(r, a, what, b->path);
    return s == VQP_OK ? add_reason(r, b, what, a->path) : s;
}

/* Marks the newest entry where an earlier one stands in its way. */
static vqp_status compare_with_earlier(struct vqp_registry *r, struct vqp_plugin_entry *e)
{
    vqp_status s = VQP_OK;
    for (struct vqp_plugin_entry *p = r->entries; s == VQP_OK && p < e; p++) {
        if (!p->plugin || p->shadowed)
            continue;
        int same_file = p->plugin == e->plugin, same_id = same_file || !strcmp(p->plugin->id, e->plugin->id);
        if (same_file || (same_id && p->dir != e->dir)) {
            e->shadowed = 1;
            return add_reason(r, e, same_file ? "the same file as " : "shadowed by ", p->path);
        }
    }
    for (struct vqp_plugin_entry *p = r->entries; s == VQP_OK && p < e; p++) {
        if (!p->plugin || p->shadowed)
            continue;
        const char *component = name_in_both(p->plugin, e->plugin);
        if (!strcmp(p->plugin->id, e->plugin->id))
            s = clash(r, e, p, NULL);
        else if (component)
            s = clash(r, e, p, component);
    }
    return s;
}

static vqp_status open_entry(const struct vqp_registry *r, struct vqp_plugin_entry *e, struct vqp_error *why)
{
    vqp_status s = r->probe_ms ? vqp_probe(e->path, r->probe_ms, why) : VQP_OK;
    return s == VQP_OK ? vqp_loader_open(e->path, &e->plugin, why) : s;
}

static vqp_status load_entry(struct vqp_registry *r, struct vqp_plugin_entry *e)
{
    struct vqp_process_state state;
    struct vqp_error why = {0};
    char changed[VQP_STATE_TEXT];
    if (vqp_process_state_save(&state))
        return VQP_E_NOMEM;
    e->status = open_entry(r, e, &why);
    vqp_process_state_restore(&state, changed);
    vqp_status s = VQP_OK;
    if (e->status != VQP_OK)
        s = add_reason(r, e, why.msg, "");
    if (s == VQP_OK && *changed)
        s = add_reason(r, e, "while loading it changed (put back since): ", changed);
    return s == VQP_OK && e->plugin ? compare_with_earlier(r, e) : s;
}

static int is_so(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 3 && d->d_name[0] != '.' && !strcmp(d->d_name + n - 3, ".so");
}

/* Byte order, whatever the locale: the same search everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static vqp_status scan_file(struct vqp_registry *r, uint32_t dir, const char *name)
{
    char real[PATH_MAX];
    struct vqp_plugin_entry *e;
    char *path = NULL;
    if (asprintf(&path, "%s/%s", r->dirs[dir], name) < 0)
        return VQP_E_NOMEM;
    vqp_status s = append(r, realpath(path, real) ? real : path, dir, &e);
    free(path);
    return s == VQP_OK ? load_entry(r, e) : s;
}

static vqp_status scan_dir(struct vqp_registry *r, uint32_t dir)
{
    struct dirent **names = NULL;
    for (uint32_t i = 0; i < dir; i++)
        if (!strcmp(r->dirs[i], r->dirs[dir]))
            return VQP_OK; /* given twice */
    int n = scandir(r->dirs[dir], &names, is_so, by_name);
    if (n < 0) {
        struct vqp_plugin_entry *e;
        if (errno == ENOENT || errno == ENOTDIR)
            return VQP_OK;
        int why = errno;
        vqp_status s = why == ENOMEM ? VQP_E_NOMEM : append(r, r->dirs[dir], dir, &e);
        if (s != VQP_OK)
            return s;
        e->status = VQP_E_PLUGIN;
        return add_reason(r, e, "the folder cannot be read: ", strerror(why));
    }
    vqp_status s = VQP_OK;
    for (int i = 0; i < n; i++) {
        if (s == VQP_OK)
            s = scan_file(r, dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return s;
}

vqp_status vqp_registry_create(const char *const *dirs, uint32_t n_dirs, uint32_t probe_ms, struct vqp_registry **out,
                               struct vqp_error *err)
{
    struct vqp_registry *r = calloc(1, sizeof *r);
    if (!r)
        return no_memory(err);
    r->probe_ms = probe_ms;
    r->dirs = vqp_arena_alloc(&r->arena, n_dirs, sizeof *r->dirs);
    vqp_status s = r->dirs ? VQP_OK : VQP_E_NOMEM;
    for (uint32_t i = 0; s == VQP_OK && i < n_dirs; i++) {
        char real[PATH_MAX];
        r->dirs[i] = vqp_arena_strdup(&r->arena, realpath(dirs[i], real) ? real : dirs[i]);
        if (!r->dirs[i])
            s = VQP_E_NOMEM;
        else
            r->n_dirs++;
    }
    for (uint32_t i = 0; s == VQP_OK && i < n_dirs; i++)
        s = scan_dir(r, i);
    if (s != VQP_OK) {
        vqp_registry_destroy(r);
        return no_memory(err);
    }
    *out = r;
    return VQP_OK;
}

void vqp_registry_destroy(struct vqp_registry *r)
{
    if (!r)
        return;
    free(r->entries);
    vqp_arena_free(&r->arena);
    free(r);
}

uint32_t vqp_registry_count(const struct vqp_registry *r)
{
    return r->n;
}

const struct vqp_plugin_entry *vqp_registry_at(const struct vqp_registry *r, uint32_t i)
{
    return i < r->n ? &r->entries[i] : NULL;
}

uint32_t vqp_registry_dirs(const struct vqp_registry *r, const char *const **dirs)
{
    *dirs = r->dirs;
    return r->n_dirs;
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

/* The one of that interface, or else the first of that name: a plugin may give several parts of a pipeline one name. */
static const struct vqp_component *component_of(const struct vqp_plugin_entry *e, uint32_t iface, const char *name)
{
    const struct vqp_component *first = NULL;
    if (!e->plugin || e->shadowed)
        return NULL;
    for (const struct vqp_component *const *c = e->plugin->components; *c; c++) {
        if (strcmp((*c)->name, name))
            continue;
        if ((*c)->iface == iface)
            return *c;
        first = first ? first : *c;
    }
    return first;
}

/* Another usable file of the same folder with the same id, or NULL. */
static const struct vqp_plugin_entry *twin_of(const struct vqp_registry *r, const struct vqp_plugin_entry *e)
{
    for (const struct vqp_plugin_entry *p = r->entries; p < r->entries + r->n; p++)
        if (p != e && p->plugin && !p->shadowed && !strcmp(p->plugin->id, e->plugin->id))
            return p;
    return NULL;
}

/* A refused file whose name resembles `name`: "backend-cpu.so" for "cpu". */
static const struct vqp_plugin_entry *refused_like(const struct vqp_registry *r, const char *name)
{
    for (const struct vqp_plugin_entry *e = r->entries; e < r->entries + r->n; e++) {
        char stem[NAME_MAX + 1];
        const char *slash = strrchr(e->path, '/'), *file = slash ? slash + 1 : e->path;
        size_t n = strlen(file);
        if (e->status == VQP_OK || n < 4 || n > NAME_MAX)
            continue;
        memcpy(stem, file, n - 3);
        stem[n - 3] = 0;
        struct vqp_nearest near = {.word = name};
        vqp_nearest_offer(&near, stem);
        if (near.best || strstr(stem, name) || strstr(name, stem))
            return e;
    }
    return NULL;
}

static vqp_status not_found(const struct vqp_registry *r, uint32_t iface, const char *name, struct vqp_error *err)
{
    struct vqp_nearest near = {.word = name};
    char quoted[80], meant[100] = "", refused[300] = "", searched[300] = "no folder";
    for (const struct vqp_plugin_entry *e = r->entries; e < r->entries + r->n; e++)
        for (uint32_t i = 0; e->plugin && !e->shadowed && e->plugin->components[i]; i++)
            if (!iface || e->plugin->components[i]->iface == iface)
                vqp_nearest_offer(&near, e->plugin->components[i]->name);
    if (near.best)
        snprintf(meant, sizeof meant, "; did you mean '%s'?", near.best);
    const struct vqp_plugin_entry *e = refused_like(r, name);
    if (e)
        snprintf(refused, sizeof refused, "; %s was refused: %s", e->path, e->reason);
    for (uint32_t i = 0, at = 0; i < r->n_dirs && at < sizeof searched; i++)
        at += (uint32_t)snprintf(searched + at, sizeof searched - at, "%s%s", i ? ", " : "", r->dirs[i]);
    return vqp_fail(err, VQP_E_PLUGIN, "no %s is called '%s'%s%s (searched: %s)", vqp_iface_name(iface),
                    vqp_quote(name, strlen(name), quoted, sizeof quoted), meant, refused, searched);
}

vqp_status vqp_registry_find(const struct vqp_registry *r, uint32_t iface, const char *name,
                             const struct vqp_component **out, const struct vqp_plugin_entry **entry,
                             struct vqp_error *err)
{
    const struct vqp_plugin_entry *found = NULL;
    const struct vqp_component *c = NULL;
    for (const struct vqp_plugin_entry *e = r->entries; e < r->entries + r->n; e++) {
        const struct vqp_component *here = component_of(e, iface, name);
        if (!here)
            continue;
        if (found)
            return vqp_fail(err, VQP_E_PLUGIN, "'%s' is in two plugins, %s and %s; remove one of them", name,
                            found->path, e->path);
        found = e;
        c = here;
    }
    if (!found)
        return not_found(r, iface, name, err);
    const struct vqp_plugin_entry *twin = twin_of(r, found);
    if (twin)
        return vqp_fail(err, VQP_E_PLUGIN, "'%s' cannot be used: %s and %s have one id, %s; remove one of them", name,
                        found->path, twin->path, found->plugin->id);
    if (iface && c->iface != iface)
        return vqp_fail(err, VQP_E_PLUGIN, "'%s' is a %s, not a %s (%s); name another one", name,
                        vqp_iface_name(c->iface), vqp_iface_name(iface), found->path);
    *out = c;
    if (entry)
        *entry = found;
    return VQP_OK;
}
