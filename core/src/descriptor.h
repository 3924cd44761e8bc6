/* Pipeline descriptors: YAML through libyaml's events into a small tree that remembers where everything stood. */
#ifndef VQP_DESCRIPTOR_H
#define VQP_DESCRIPTOR_H
#include "arena.h"
#include <vqpipe/base.h>

enum {
    VQP_NODE_SCALAR = 1,
    VQP_NODE_LIST,
    VQP_NODE_MAP
};

/* Where a value was written: file:line:col, or a flag ("--set", "--steps"), or "default". */
struct vqp_origin {
    const char *name;           /* path or flag */
    uint32_t line, col;         /* 1-based; 0: not a file */
    uint32_t from_command_line; /* relative paths are relative to the current directory, not the descriptor's folder */
};
struct vqp_node {
    uint32_t kind, quoted; /* quoted: the scalar stood in quotes, so it is a string whatever it looks like */
    const char *key;       /* in a map; else NULL */
    const char *text;      /* scalar */
    size_t text_len;
    struct vqp_node *child, *next; /* first child; next sibling */
    struct vqp_origin at, key_at;
};

/* Reads and checks the syntax: at most 256 KB, depth <= 16, one document, UTF-8 without BOM or NUL, no anchors, aliases, tags or duplicate
 * keys; the root is a map with `vqpipe: 1`. Every message begins "FILE:LINE:COL: ". VQP_E_ARG throughout (exit 2), file not found included. */
vqp_status vqp_descriptor_read(struct vqp_arena *a, const char *path, struct vqp_node **root, struct vqp_error *err);
/* The same rules for a text; `path` names it in messages. */
vqp_status vqp_descriptor_parse(struct vqp_arena *a, const char *path, const char *text, size_t n,
                                struct vqp_node **root, struct vqp_error *err);
/* Parses one flow value ("7", "[1, 2]", "strided") as the value of a key given by `origin`. */
vqp_status vqp_descriptor_value(struct vqp_arena *a, const struct vqp_origin *origin, const char *text,
                                struct vqp_node **out, struct vqp_error *err);
/* The node at a dotted path ("components.scheduler.use"), or NULL. */
struct vqp_node *vqp_node_find(struct vqp_node *root, const char *dotted);
/* Sets or replaces it, making maps on the way; refuses to go through a scalar. */
vqp_status vqp_node_set(struct vqp_arena *a, struct vqp_node *root, const char *dotted, struct vqp_node *value,
                        struct vqp_error *err);
/* A copy of the node and all below it, without its siblings; texts are shared. NULL when memory is out. */
struct vqp_node *vqp_node_copy(struct vqp_arena *a, const struct vqp_node *node);
/* "FILE:LINE:COL: " or "--set: " into buf; returns buf. */
char *vqp_origin_text(const struct vqp_origin *o, char *buf, size_t n);
/* vqp_fail with the origin before the sentence. */
__attribute__((format(printf, 4, 5))) vqp_status vqp_refuse_at(struct vqp_error *err, vqp_status code,
                                                               const struct vqp_origin *o, const char *fmt, ...);
#ifdef __clang_analyzer__ /* as with vqp_fail */
#define vqp_refuse_at(err, code, ...) ((void)(vqp_refuse_at)((err), (code), __VA_ARGS__), (code))
#endif

#endif
