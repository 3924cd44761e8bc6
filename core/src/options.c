#include "options.h"
#include "inside.h"
#include "json.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_TEXT = 60, /* of a value shown in a message */
    MAX_PATH = 240,
    RANGE_TEXT = 64
};

/* The config file of one folder, read at most once. */
struct config {
    const char *dir, *file; /* file NULL: the folder has none */
    json_t *root;
    struct config *next;
};
struct filler {
    const struct vqp_options_args *a;
    unsigned char *opts;
    struct config *configs;
    const struct config *from; /* the config file that gave the value in hand; NULL: descriptor or default */
    struct vqp_error *err;
};

static vqp_status no_memory(const struct filler *f)
{
    return vqp_fail(f->err, VQP_E_NOMEM, "%s: out of memory while reading its options", f->a->owner);
}

/* "FILE:3:5: scheduler (vq-diffusion): steps: WHAT" */
#define REFUSE(f, node, fmt, ...)                                                                                      \
    vqp_refuse_at((f)->err, (f)->from ? VQP_E_FORMAT : VQP_E_ARG, &(node)->at, "%s: %s: " fmt, (f)->a->owner,          \
                  (node)->key ? (node)->key : "value", __VA_ARGS__)

/* ---- one value, by type ----------------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [VQP_OPT_INT] = "whole number",   [VQP_OPT_FLOAT] = "number",
    [VQP_OPT_BOOL] = "true or false", [VQP_OPT_STRING] = "text",
    [VQP_OPT_PATH] = "path",          [VQP_OPT_CHOICE] = "choice",
    [VQP_OPT_INTS] = "whole numbers", [VQP_OPT_STRINGS] = "list of text",
};

static int parse_int(const char *s, int64_t *out)
{
    int negative = *s == '-';
    s += negative;
    if (*s == '0' && s[1])
        return 0;
    int64_t v = 0;
    const char *digits = s;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v)) /* INT64_MIN fits this way */
            return 0;
    if (*s || s == digits || (!negative && v == INT64_MIN))
        return 0;
    *out = negative ? v : -v;
    return 1;
}

/* strtod takes more than we mean: blanks, '+', hexadecimal, "inf" and "nan". */
static int parse_float(const char *s, double *out)
{
    const char *p = s + (*s == '-');
    size_t whole = strspn(p, "0123456789"), part = 0;
    p += whole;
    if (*p == '.')
        part = strspn(++p, "0123456789");
    p += part;
    if (!whole && !part)
        return 0;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        size_t n = strspn(p, "0123456789");
        p += n;
        if (!n)
            return 0;
    }
    if (*p)
        return 0;
    *out = strtod(s, NULL);
    return isfinite(*out);
}

static const char *range_text(const struct vqp_option *o, char buf[RANGE_TEXT])
{
    if (o->min < o->max)
        snprintf(buf, RANGE_TEXT, " in %.12g..%.12g", o->min, o->max);
    else
        buf[0] = 0;
    return buf;
}

static vqp_status store_number(struct filler *f, const struct vqp_option *o, const struct vqp_node *v, void *to)
{
    int whole = o->type == VQP_OPT_INT || o->type == VQP_OPT_INTS;
    int64_t i = 0;
    double d = 0;
    char text[MAX_TEXT], range[RANGE_TEXT];
    vqp_quote(v->text, v->text_len, text, sizeof text);
    if (!(whole ? parse_int(v->text, &i) : parse_float(v->text, &d)))
        return REFUSE(f, v, "'%s' is not a %s; give one%s, in decimal digits", text,
                      whole ? "whole number" : "finite number", range_text(o, range));
    if (v->quoted)
        return REFUSE(f, v, "'%s' is text because it stands in quotes; remove them to give a number", text);
    if (whole)
        d = (double)i;
    if (o->min < o->max && (d < o->min || d > o->max))
        return REFUSE(f, v, "%s is out of range; give a %snumber%s", text, whole ? "whole " : "", range_text(o, range));
    if (whole)
        memcpy(to, &i, sizeof i);
    else
        memcpy(to, &d, sizeof d);
    return VQP_OK;
}

static vqp_status store_bool(struct filler *f, const struct vqp_node *v, void *to)
{
    int32_t b = !strcmp(v->text, "true");
    if (v->quoted || (!b && strcmp(v->text, "false"))) {
        char text[MAX_TEXT];
        vqp_quote(v->text, v->text_len, text, sizeof text);
        return REFUSE(f, v, "'%s' is neither true nor false; write one of them, without quotes", text);
    }
    memcpy(to, &b, sizeof b);
    return VQP_OK;
}

/* Choice number i of "a|b|c" into buf; 0 where there is none. Longer ones never match: the table check refuses them. */
static int choice_at(const char *choices, int32_t i, char *buf, size_t n)
{
    for (; i > 0; i--) {
        choices += strcspn(choices, "|");
        if (!*choices++)
            return 0;
    }
    size_t len = strcspn(choices, "|");
    if (len >= n)
        return 0;
    memcpy(buf, choices, len);
    buf[len] = 0;
    return 1;
}

static vqp_status store_choice(struct filler *f, const struct vqp_option *o, const struct vqp_node *v, void *to)
{
    struct vqp_nearest near = {.word = v->text};
    char choice[64], text[MAX_TEXT];
    for (int32_t i = 0; choice_at(o->choices, i, choice, sizeof choice); i++) {
        if (!strcmp(choice, v->text)) {
            memcpy(to, &i, sizeof i);
            return VQP_OK;
        }
        const char *kept = vqp_arena_strdup(f->a->arena, choice);
        if (!kept)
            return no_memory(f);
        vqp_nearest_offer(&near, kept);
    }
    vqp_quote(v->text, v->text_len, text, sizeof text);
    if (near.best)
        return REFUSE(f, v, "'%s' is not one of %s; did you mean '%s'?", text, o->choices, near.best);
    return REFUSE(f, v, "'%s' is not one of its choices; give one of %s", text, o->choices);
}

static vqp_status store_path(struct filler *f, const struct vqp_node *v, void *to)
{
    const char *base = f->a->base_dir, *full = v->text;
    char *cwd = NULL, text[MAX_PATH];
    if (!v->text_len)
        return REFUSE(f, v, "the path is empty; give one%s", "");
    if (f->from)
        base = f->from->dir;
    if (*v->text != '/') {
        if (v->at.from_command_line || !base) {
            base = cwd = getcwd(NULL, 0);
            if (!cwd && errno == ENOMEM)
                return no_memory(f);
            if (!cwd)
                return REFUSE(f, v,
                              "'%s' cannot be made absolute, the current folder cannot be read: %s; give an absolute"
                              " path",
                              vqp_quote(v->text, v->text_len, text, sizeof text), strerror(errno));
        }
        full = vqp_arena_printf(f->a->arena, "%s/%s", base, v->text);
        free(cwd);
        if (!full)
            return no_memory(f);
    }
    memcpy(to, &full, sizeof full);
    return VQP_OK;
}

static vqp_status store_scalar(struct filler *f, const struct vqp_option *o, const struct vqp_node *v, void *to)
{
    int is_text = o->type == VQP_OPT_STRING || o->type == VQP_OPT_STRINGS;
    if (v->kind != VQP_NODE_SCALAR)
        return REFUSE(f, v, "a %s stands where one %s is expected", v->kind == VQP_NODE_LIST ? "list" : "map",
                      is_text ? "text" : type_names[o->type]);
    if (!v->text_len && !v->quoted && !is_text)
        return REFUSE(f, v, "there is no value (%s expected); write one, or remove the key", type_names[o->type]);
    if (f->from && !v->quoted && (is_text || o->type == VQP_OPT_PATH || o->type == VQP_OPT_CHOICE))
        return REFUSE(f, v, "%s stands where a JSON string is expected", v->text);
    switch (o->type) {
    case VQP_OPT_INT:
    case VQP_OPT_INTS:
    case VQP_OPT_FLOAT: return store_number(f, o, v, to);
    case VQP_OPT_BOOL: return store_bool(f, v, to);
    case VQP_OPT_CHOICE: return store_choice(f, o, v, to);
    case VQP_OPT_PATH: return store_path(f, v, to);
    default: memcpy(to, &v->text, sizeof v->text); return VQP_OK;
    }
}

/* A single value is a list of one in YAML, where brackets are easily forgotten; a config file is written by programs. */
static vqp_status store_list(struct filler *f, const struct vqp_option *o, const struct vqp_node *v, void *to)
{
    size_t size = o->type == VQP_OPT_INTS ? sizeof(int64_t) : sizeof(char *);
    const struct vqp_node *item = v->kind == VQP_NODE_LIST ? v->child : v;
    struct vqp_list list = {0};
    if (v->kind == VQP_NODE_MAP || (f->from && v->kind != VQP_NODE_LIST))
        return REFUSE(f, v, "a list of %s is expected; write [a, b]",
                      o->type == VQP_OPT_INTS ? "whole numbers" : "texts");
    for (const struct vqp_node *c = item; c; c = v->kind == VQP_NODE_LIST ? c->next : NULL)
        list.n++;
    unsigned char *items = list.n ? vqp_arena_alloc(f->a->arena, list.n, size) : NULL;
    if (list.n && !items)
        return no_memory(f);
    for (uint32_t i = 0; i < list.n; i++, item = item->next) {
        struct vqp_node one = *item;
        one.key = v->key;
        vqp_status s = store_scalar(f, o, &one, items + i * size);
        if (s != VQP_OK)
            return s;
    }
    list.items = items;
    memcpy(to, &list, sizeof list);
    return VQP_OK;
}

static vqp_status store(struct filler *f, const struct vqp_option *o, const struct vqp_node *v)
{
    void *to = f->opts + o->offset;
    return o->type == VQP_OPT_INTS || o->type == VQP_OPT_STRINGS ? store_list(f, o, v, to) : store_scalar(f, o, v, to);
}

/* ---- model configs ---------------------------------------------------------------------------------------------- */

/* The folder's config.json, or its one *_config.json; *file stays NULL where it has neither. */
static vqp_status find_config(struct filler *f, const char *dir, const char **file)
{
    static const char suffix[] = "_config.json";
    char shown[MAX_PATH];
    DIR *d = opendir(dir);
    if (!d && errno == ENOMEM)
        return no_memory(f);
    if (!d)
        return errno == ENOTDIR
                   ? VQP_OK /* the path is a file: a model without a config */
                   : vqp_fail(f->err, VQP_E_IO,
                              "%s: cannot open the model folder '%s': %s; check `path` and"
                              " `model`",
                              f->a->owner, vqp_quote(dir, strlen(dir), shown, sizeof shown), strerror(errno));
    vqp_status s = VQP_OK;
    const char *found = NULL;
    int plain = 0, n = 0;
    for (const struct dirent *e; s == VQP_OK && !plain && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        plain = !strcmp(e->d_name, "config.json");
        if (!plain && (len < sizeof suffix || strcmp(e->d_name + len - (sizeof suffix - 1), suffix)))
            continue;
        n++;
        found = vqp_arena_printf(f->a->arena, "%s/%s", dir, e->d_name);
        if (!found)
            s = no_memory(f);
    }
    closedir(d);
    if (s == VQP_OK && !plain && n > 1)
        return vqp_fail(f->err, VQP_E_FORMAT,
                        "%s: the model folder '%s' holds %d files called *_config.json and no"
                        " config.json; keep the one that is meant",
                        f->a->owner, vqp_quote(dir, strlen(dir), shown, sizeof shown), n);
    *file = found;
    return s;
}

static vqp_status load_config(struct filler *f, const char *dir, const struct config **out)
{
    struct config *c = f->configs;
    while (c && strcmp(c->dir, dir))
        c = c->next;
    *out = c;
    if (c)
        return VQP_OK;
    c = vqp_arena_alloc(f->a->arena, 1, sizeof *c);
    if (!c)
        return no_memory(f);
    c->dir = dir;
    const char *folder = NULL;
    vqp_status s = VQP_OK;
    if (vqp_inside_config(dir, f->a->arena, &folder, &c->root, &s, f->err))
        c->file = dir;
    else
        s = find_config(f, folder ? folder : dir, &c->file);
    if (s == VQP_OK && c->file && !c->root)
        s = vqp_json_load(c->file, &c->root, f->err);
    if (s != VQP_OK)
        return s;
    c->next = f->configs;
    f->configs = c;
    *out = c;
    return VQP_OK;
}

/* JSON as a descriptor node, so that both are judged by the same code: strings count as quoted, the rest keeps its spelling. */
static struct vqp_node *node_from_json(struct vqp_arena *a, const json_t *v, const char *file, const char *key)
{
    struct vqp_node *node = vqp_arena_alloc(a, 1, sizeof *node);
    if (!node)
        return NULL;
    node->key = key;
    node->at.name = file;
    node->kind = json_is_array(v) ? VQP_NODE_LIST : json_is_object(v) ? VQP_NODE_MAP : VQP_NODE_SCALAR;
    if (json_is_array(v)) {
        struct vqp_node **tail = &node->child;
        for (size_t i = 0; i < json_array_size(v); i++, tail = &(*tail)->next)
            if (!(*tail = node_from_json(a, json_array_get(v, i), file, key)))
                return NULL;
    } else if (json_is_string(v)) {
        node->quoted = 1;
        node->text = vqp_arena_memdup(a, json_string_value(v), json_string_length(v));
    } else if (!json_is_object(v)) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        node->text = text ? vqp_arena_strdup(a, text) : NULL;
        free(text);
    }
    if (node->kind == VQP_NODE_SCALAR && !node->text)
        return NULL;
    node->text_len = node->text ? strlen(node->text) : 0;
    return node;
}

static const struct vqp_option *find_option(const struct vqp_option *table, const char *name, size_t n)
{
    for (; table && table->name; table++)
        if (!strncmp(table->name, name, n) && !table->name[n])
            return table;
    return NULL;
}

/* The value of option o in its config file; *out stays NULL where that has none. */
static vqp_status from_config(struct filler *f, const struct vqp_option *o, const struct vqp_node **out)
{
    const char *key = o->config ? o->config : o->name, *colon = strchr(key, ':'), *dir = f->a->path;
    if (colon) {
        const struct vqp_option *path = find_option(f->a->table, key, (size_t)(colon - key));
        key = colon + 1;
        dir = NULL;
        if (path)
            memcpy(&dir, f->opts + path->offset, sizeof dir);
    }
    const struct config *c = NULL;
    vqp_status s = dir ? load_config(f, dir, &c) : VQP_OK;
    const json_t *v = s == VQP_OK && c ? json_object_get(c->root, key) : NULL;
    if (!v || json_is_null(v))
        return s;
    f->from = c;
    *out = node_from_json(f->a->arena, v, c->file, key);
    return *out ? VQP_OK : no_memory(f);
}

/* ---- the whole table -------------------------------------------------------------------------------------------- */

static const char *float_text(struct vqp_arena *a, double d)
{
    char buf[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, d);
        if (strtod(buf, NULL) == d)
            break;
    }
    return vqp_arena_strdup(a, buf);
}

static const char *list_text(struct vqp_arena *a, const struct vqp_option *o, const struct vqp_list *list)
{
    const char *text = "[";
    for (uint32_t i = 0; text && i < list->n; i++) {
        const char *sep = i ? ", " : "";
        text = o->type == VQP_OPT_INTS
                   ? vqp_arena_printf(a, "%s%s%lld", text, sep, (long long)((const int64_t *)list->items)[i])
                   : vqp_arena_printf(a, "%s%s%s", text, sep, ((const char *const *)list->items)[i]);
    }
    return text ? vqp_arena_printf(a, "%s]", text) : NULL;
}

/* What the struct now holds, as text. */
static const char *value_text(struct vqp_arena *a, const struct vqp_option *o, const unsigned char *opts)
{
    union {
        int64_t i;
        double d;
        int32_t b;
        const char *s;
        struct vqp_list list;
    } v = {0};
    char choice[64];
    const unsigned char *from = opts + o->offset;
    switch (o->type) {
    case VQP_OPT_INT: memcpy(&v.i, from, sizeof v.i); return vqp_arena_printf(a, "%lld", (long long)v.i);
    case VQP_OPT_FLOAT: memcpy(&v.d, from, sizeof v.d); return float_text(a, v.d);
    case VQP_OPT_BOOL: memcpy(&v.b, from, sizeof v.b); return v.b ? "true" : "false";
    case VQP_OPT_CHOICE:
        memcpy(&v.b, from, sizeof v.b);
        return choice_at(o->choices, v.b, choice, sizeof choice) ? vqp_arena_strdup(a, choice) : "";
    case VQP_OPT_INTS:
    case VQP_OPT_STRINGS: memcpy(&v.list, from, sizeof v.list); return list_text(a, o, &v.list);
    default: memcpy(&v.s, from, sizeof v.s); return v.s ? v.s : "";
    }
}

static vqp_status tell(const struct filler *f, const struct vqp_option *o, const struct vqp_node *v)
{
    if (!f->a->settled)
        return VQP_OK;
    char where[300] = "default: ";
    if (v)
        vqp_origin_text(&v->at, where, sizeof where);
    const char *text = value_text(f->a->arena, o, f->opts);
    const char *origin = vqp_arena_memdup(f->a->arena, where, strlen(where) - 2); /* without ": " */
    if (!text || !origin)
        return no_memory(f);
    f->a->settled(f->a->settled_ctx, o->name, text, origin);
    return VQP_OK;
}

static vqp_status refuse_missing(const struct filler *f, const struct vqp_option *o)
{
    const char *help = o->help ? o->help : type_names[o->type];
    char shown[MAX_PATH];
    if ((o->flags & VQP_OPT_CONFIG) && f->a->path)
        return vqp_fail(
            f->err, VQP_E_FORMAT,
            "%s: key '%s' is missing in the config.json of %s; put it there or give it in the descriptor (%s)",
            f->a->owner, o->name, vqp_quote(f->a->path, strlen(f->a->path), shown, sizeof shown), help);
    if (f->a->map)
        return vqp_refuse_at(f->err, VQP_E_ARG, &f->a->map->at, "%s: key '%s' is missing; give it (%s)", f->a->owner,
                             o->name, help);
    return vqp_fail(f->err, VQP_E_ARG, "%s: key '%s' is missing; give it (%s)", f->a->owner, o->name, help);
}

static vqp_status settle(struct filler *f, const struct vqp_option *o)
{
    static const struct vqp_origin from_table = {.name = "default"};
    const struct vqp_node *v = f->a->map ? f->a->map->child : NULL;
    vqp_status s = VQP_OK;
    while (v && strcmp(v->key, o->name))
        v = v->next;
    f->from = NULL;
    if (!v && (o->flags & VQP_OPT_CONFIG))
        s = from_config(f, o, &v);
    if (s == VQP_OK && !v && (o->flags & VQP_OPT_REQUIRED))
        s = refuse_missing(f, o);
    if (s == VQP_OK && !v && o->def) {
        struct vqp_node *def = NULL;
        s = vqp_descriptor_value(f->a->arena, &from_table, o->def, &def, f->err);
        if (def)
            def->key = o->name;
        v = def;
    }
    if (s == VQP_OK && v)
        s = store(f, o, v);
    return s == VQP_OK ? tell(f, o, v) : s;
}

static int is_core_key(const char *const *keys, const char *key)
{
    while (keys && *keys && strcmp(*keys, key))
        keys++;
    return keys && *keys;
}

static vqp_status check_keys(const struct filler *f)
{
    const struct vqp_options_args *a = f->a;
    if (a->map && a->map->kind != VQP_NODE_MAP)
        return vqp_refuse_at(f->err, VQP_E_ARG, &a->map->at, "%s: a map of keys is expected; write { use: NAME }",
                             a->owner);
    for (const struct vqp_node *c = a->map ? a->map->child : NULL; c; c = c->next) {
        if (is_core_key(a->core_keys, c->key) || find_option(a->table, c->key, strlen(c->key)))
            continue;
        struct vqp_nearest near = {.word = c->key};
        for (const struct vqp_option *o = a->table; o && o->name; o++)
            vqp_nearest_offer(&near, o->name);
        for (const char *const *k = a->core_keys; k && *k; k++)
            vqp_nearest_offer(&near, *k);
        char key[MAX_TEXT];
        vqp_quote(c->key, strlen(c->key), key, sizeof key);
        if (near.best)
            return vqp_refuse_at(f->err, VQP_E_ARG, &c->key_at, "%s: unknown key '%s'; did you mean '%s'?", a->owner,
                                 key, near.best);
        return vqp_refuse_at(f->err, VQP_E_ARG, &c->key_at,
                             "%s: unknown key '%s'; remove it ('vqpipe inspect' lists the"
                             " keys)",
                             a->owner, key);
    }
    return VQP_OK;
}

vqp_status vqp_options_fill(const struct vqp_options_args *a, void *opts, size_t opts_size, struct vqp_error *err)
{
    struct filler f = {.a = a, .opts = opts, .err = err};
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* the caller's may have decimal commas */
    if (!c)
        return no_memory(&f);
    locale_t before = uselocale(c);
    if (opts_size)
        memset(opts, 0, opts_size);
    vqp_status s = check_keys(&f);
    /* Paths first: a config file may lie in a folder that one of them names. */
    for (int paths = 1; paths >= 0; paths--)
        for (const struct vqp_option *o = a->table; s == VQP_OK && o && o->name; o++)
            if ((o->type == VQP_OPT_PATH) == paths)
                s = settle(&f, o);
    for (struct config *config = f.configs; config; config = config->next)
        json_decref(config->root);
    uselocale(before);
    freelocale(c);
    return s;
}

void vqp_options_print(const struct vqp_option *table, FILE *f)
{
    for (const struct vqp_option *o = table; o && o->name; o++) {
        char range[RANGE_TEXT];
        fprintf(f, "  %-20s %s%s", o->name, type_names[o->type], range_text(o, range));
        if (o->type == VQP_OPT_CHOICE)
            fprintf(f, " of %s", o->choices);
        if (o->flags & VQP_OPT_REQUIRED)
            fprintf(f, ", required");
        else if (o->def)
            fprintf(f, ", default %s", o->def);
        if (o->flags & VQP_OPT_CONFIG)
            fprintf(f, ", else from the model's config (%s)", o->config ? o->config : o->name);
        fprintf(f, "\n");
        if (o->help)
            fprintf(f, "  %-20s %s\n", "", o->help);
    }
}
