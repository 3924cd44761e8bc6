/* Option tables (plugin.h): from descriptor nodes and model configs into an options struct. */
#ifndef VQP_OPTIONS_H
#define VQP_OPTIONS_H
#include "arena.h"
#include "descriptor.h"
#include <vqpipe/plugin.h>

struct vqp_options_args {
    const char *owner;              /* "scheduler (vq-diffusion)": who, in messages */
    const struct vqp_option *table; /* may be NULL */
    const struct vqp_node *map;     /* the component's map in the descriptor; NULL: none */
    const char *const
        *core_keys;          /* keys in `map` that are core's ("use", "path", ...), NULL-terminated; skipped here */
    const char *base_dir;    /* relative PATH values from a file are relative to this */
    const char *path;        /* the component's folder for VQP_OPT_CONFIG; NULL: none */
    struct vqp_arena *arena; /* strings and lists live here */
    /* Told every key with its final value as text and where it comes from; may be NULL. */
    void (*settled)(void *ctx, const char *key, const char *value, const char *origin);
    void *settled_ctx;
};
/* Fills opts (opts_size bytes, zeroed first): descriptor > model config > default. Refuses unknown keys with the nearest known one, wrong types,
 * ranges, choices: VQP_E_ARG with file, line and column where the descriptor gave it, VQP_E_FORMAT naming the config file where that did.
 * Ints are decimal with an optional minus ("010", "0x10", "1e3", "+5" and " 10" are refused); floats by strtod in the C locale, finite. */
vqp_status vqp_options_fill(const struct vqp_options_args *a, void *opts, size_t opts_size, struct vqp_error *err);
/* The table as text: name, type, range, default, choices, help. */
void vqp_options_print(const struct vqp_option *table, FILE *f);

/* Checks the table itself (names unique, offsets inside opts_size, known types, defaults parse): the loader refuses a plugin whose table is
 * bad. Returns NULL or the reason in buf. */
const char *vqp_options_check(const struct vqp_option *table, size_t opts_size, char *buf, size_t n);

#endif
