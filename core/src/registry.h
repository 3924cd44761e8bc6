/* Plugins: found, judged as data, kept; and their components by name. loader.c opens one file, registry.c keeps them all. */
#ifndef VQP_REGISTRY_H
#define VQP_REGISTRY_H
#include <vqpipe/backend.h>
#include <vqpipe/components.h>
#include <vqpipe/plugin.h>

/* ---- loader.c --------------------------------------------------------------------------------------------------- */

/* Opens a canonical absolute path and checks everything that can be checked without running plugin code (docs/architecture.md): safe
 * file and folder, ELF of our class and machine, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE, the symbol and its major version, sizes, names, option
 * tables, mandatory functions. VQP_E_PLUGIN with the reason. Never unloads. */
vqp_status vqp_loader_open(const char *path, const struct vqp_plugin **out, struct vqp_error *err);

/* ---- registry.c ------------------------------------------------------------------------------------------------- */

struct vqp_registry;
struct vqp_plugin_entry {
    const char *path;                /* canonical */
    uint32_t dir;                    /* index of the search folder */
    vqp_status status;               /* VQP_OK or VQP_E_PLUGIN */
    const char *reason;              /* of a refusal, or "shadowed by PATH" */
    const struct vqp_plugin *plugin; /* NULL where refused */
    uint32_t shadowed, doubled;      /* doubled: refused on use, as an id or a component is in another file too */
};
/* dirs: search folders in order; one that does not exist is skipped. Every *.so in each is tried, in name order. Quiet for files without any
 * vqp_plugin symbol (entry with reason, no log). Same id in two folders: the first wins, the other is shadowed. Same id twice in ONE
 * folder, or one component name from two plugin ids: both refused-on-use with VQP_E_PLUGIN naming both files (vqp_registry_find
 * reports it). probe_ms: above 0, each file is tried in a child process first (probe.h), and refused where that fails. */
vqp_status vqp_registry_create(const char *const *dirs, uint32_t n_dirs, uint32_t probe_ms, struct vqp_registry **out,
                               struct vqp_error *err);
void vqp_registry_destroy(struct vqp_registry *r);
uint32_t vqp_registry_count(const struct vqp_registry *r);
const struct vqp_plugin_entry *vqp_registry_at(const struct vqp_registry *r, uint32_t i);
uint32_t vqp_registry_dirs(const struct vqp_registry *r, const char *const **dirs);
/* The component `name` of interface `iface` (0: any). VQP_E_PLUGIN: "no scheduler is called 'halten'; did you mean 'halton'? (searched: ...)"; names
 * refused files that might have been meant, and says so where the name exists with another interface. *entry (may be NULL) is the plugin's. */
vqp_status vqp_registry_find(const struct vqp_registry *r, uint32_t iface, const char *name,
                             const struct vqp_component **out, const struct vqp_plugin_entry **entry,
                             struct vqp_error *err);
const char *vqp_iface_name(uint32_t iface); /* "tokenizer" .. "backend" */

#endif
