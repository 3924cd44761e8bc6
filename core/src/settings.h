/* From a descriptor and --set to effective values. */
#ifndef VQP_SETTINGS_H
#define VQP_SETTINGS_H
#include "arena.h"
#include "descriptor.h"
#include "settings_tables.h"

enum {
    VQP_N_COMPONENTS = 5
}; /* tokenizer .. vq_decoder: index = interface - 1 */

/* A descriptor with what was set since. */
struct vqp_source {
    struct vqp_arena arena;
    const char *given, *file, *dir;     /* the descriptor as it was named; and with its folder, absolute */
    struct vqp_node *root, *as_written; /* with and without overrides */
};

/* An effective value, for print_settings and vqpipe_get. */
struct vqp_setting {
    struct vqp_setting *next;
    const char *key, *value, *origin;
};
struct vqp_settings {
    struct vqp_arena arena;
    struct vqp_run_settings run;
    struct vqp_output_settings output;
    const char *name, *model, *variant;                     /* variant: NULL where none is asked for */
    struct vqp_node *component[VQP_N_COMPONENTS], *backend; /* maps, or NULL */
    struct vqp_setting *list, **tail;
};
/* Reads the core's own keys. What it gives out points into `src` and its own arena. */
vqp_status vqp_settings_read(const struct vqp_source *src, struct vqp_settings *out, struct vqp_error *err);
void vqp_settings_free(struct vqp_settings *s);
void vqp_settings_note(struct vqp_settings *s, const char *key, const char *value, const char *origin);
/* The same as a `settled` callback of options.h; ctx is a struct vqp_section. */
struct vqp_section {
    struct vqp_settings *settings;
    const char *name; /* "run", "components.scheduler": goes before every key */
};
void vqp_settings_settled(void *ctx, const char *key, const char *value, const char *origin);
/* The value of a core key of a component or backend map, NULL where absent; refuses lists and maps. */
vqp_status vqp_settings_core_key(const struct vqp_node *map, const char *section, const char *key,
                                 const struct vqp_node **out, struct vqp_error *err);
/* Absolute path of a node's text: relative to the current directory or to base. */
const char *vqp_settings_path(struct vqp_arena *a, const struct vqp_node *node, const char *base);

#endif
