/* Is an option table itself sound? Asked once for each component, before anything is stored through it. */
#include "options.h"
#include "text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OPTIONS = 256,
    MAX_STRING = 1024
};

static size_t type_size(uint32_t type, size_t *align)
{
    *align = 8;
    switch (type) {
    case VQP_OPT_INT:
    case VQP_OPT_FLOAT:
    case VQP_OPT_STRING:
    case VQP_OPT_PATH: return 8;
    case VQP_OPT_BOOL:
    case VQP_OPT_CHOICE: *align = 4; return 4;
    case VQP_OPT_INTS:
    case VQP_OPT_STRINGS: return sizeof(struct vqp_list);
    default: return 0;
    }
}

static int is_text(const char *s, size_t min)
{
    size_t n = strnlen(s, MAX_STRING);
    if (n < min || n == MAX_STRING || vqp_utf8_check(s, n) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return 0;
    return 1;
}

static int is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return n > 0 && n < 64 && !s[n];
}

static const char *check_choices(const struct vqp_option *o)
{
    if (!o->choices || !is_text(o->choices, 1))
        return "a CHOICE without choices";
    size_t len;
    for (const char *c = o->choices;; c += len + 1) {
        len = strcspn(c, "|");
        if (!len || len >= 64)
            return "its choices hold an empty name, or one longer than 63 bytes";
        for (const char *d = o->choices; d < c; d += strcspn(d, "|") + 1)
            if (strcspn(d, "|") == len && !memcmp(c, d, len))
                return "its choices hold a name twice";
        if (!c[len])
            return NULL;
    }
}

static const struct vqp_option *find_path(const struct vqp_option *table, const char *name, size_t n)
{
    for (; table->name; table++)
        if (table->type == VQP_OPT_PATH && !strncmp(table->name, name, n) && !table->name[n])
            return table;
    return NULL;
}

static const char *check_config(const struct vqp_option *table, const struct vqp_option *o)
{
    if (!o->config)
        return NULL;
    const char *colon = is_text(o->config, 1) ? strchr(o->config, ':') : NULL;
    if (!is_text(o->config, 1) || (colon && !colon[1]) || !(o->flags & VQP_OPT_CONFIG))
        return "`config` needs a key and the flag VQP_OPT_CONFIG";
    if (!colon)
        return NULL;
    if (!find_path(table, o->config, (size_t)(colon - o->config)))
        return "`config` names an option that is no PATH of this table";
    return o->type == VQP_OPT_PATH ? "a PATH cannot come from a folder that another PATH names" : NULL;
}

/* What can be judged of one option; the earlier ones are sound. */
static const char *check_layout(const struct vqp_option *table, const struct vqp_option *o, size_t opts_size)
{
    size_t align, other_align, size = type_size(o->type, &align);
    if (!is_name(o->name))
        return "its name is not made of letters, digits and '_' (at most 63)";
    if (o - table >= MAX_OPTIONS)
        return "it is number 257; is the table's end missing?";
    if (!size)
        return "its type is unknown";
    if (size > opts_size || o->offset > opts_size - size || o->offset % align)
        return "its offset lies outside the options struct, or is misaligned";
    for (const struct vqp_option *p = table; p < o; p++) {
        if (!strcmp(p->name, o->name))
            return "this name is given twice";
        if (o->offset < p->offset + type_size(p->type, &other_align) && p->offset < o->offset + size)
            return "it shares its place in the struct with an earlier option";
    }
    if (!isfinite(o->min) || !isfinite(o->max) || o->min > o->max)
        return "its range is not a range";
    if ((o->def && !is_text(o->def, 0)) || (o->help && !is_text(o->help, 0)))
        return "its default or help is not one line of UTF-8";
    if (o->def && (o->flags & VQP_OPT_REQUIRED))
        return "it is required and has a default";
    return o->type == VQP_OPT_CHOICE ? check_choices(o) : NULL;
}

/* The default goes through the very code that will store it. */
static const char *check_default(const struct vqp_option *o, size_t opts_size, struct vqp_error *err)
{
    unsigned char *opts = malloc(opts_size);
    if (!opts)
        return "out of memory";
    struct vqp_arena arena = {0};
    struct vqp_option alone[2] = {*o};
    alone[0].flags = 0;
    struct vqp_options_args a = {.owner = "default", .table = alone, .base_dir = "/", .arena = &arena};
    vqp_status s = vqp_options_fill(&a, opts, opts_size, err);
    vqp_arena_free(&arena);
    free(opts);
    return s == VQP_OK ? NULL : err->msg;
}

const char *vqp_options_check(const struct vqp_option *table, size_t opts_size, char *buf, size_t n)
{
    /* The layout of all comes first: the rest follows names and offsets. */
    for (int pass = 0; pass < 2; pass++)
        for (const struct vqp_option *o = table; o && o->name; o++) {
            struct vqp_error err = {0};
            const char *why = pass ? check_config(table, o) : check_layout(table, o, opts_size);
            if (!why && pass)
                why = check_default(o, opts_size, &err);
            if (!why)
                continue;
            char name[80];
            vqp_quote(o->name, strnlen(o->name, sizeof name), name, sizeof name);
            snprintf(buf, n, "option '%s': %s", name, why);
            return buf;
        }
    return NULL;
}
