#include "descriptor.h"
#include "json.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    MAX_BYTES = 256 * 1024,
    MAX_DEPTH = 16,
    MAX_KEYS = 1024, /* of one map; keeps the search for duplicates short */
    NAME_TEXT = 200, /* a longer path keeps its end in messages */
    ORIGIN_TEXT = NAME_TEXT + 32
};

char *vqp_origin_text(const struct vqp_origin *o, char *buf, size_t n)
{
    const char *name = o->name ? o->name : "?";
    char quoted[NAME_TEXT];
    size_t len = strlen(name), room = NAME_TEXT - 8;
    const char *dots = "";
    if (len > room) {
        name += len - room;
        while (((unsigned char)*name & 0xC0) == 0x80)
            name++;
        dots = "...";
    }
    vqp_quote(name, strlen(name), quoted, sizeof quoted);
    if (o->line)
        snprintf(buf, n, "%s%s:%u:%u: ", dots, quoted, o->line, o->col);
    else
        snprintf(buf, n, "%s%s: ", dots, quoted);
    return buf;
}

/* In parentheses: the analyzer has a macro of that name. */
vqp_status(vqp_refuse_at)(struct vqp_error *err, vqp_status code, const struct vqp_origin *o, const char *fmt, ...)
{
    char where[ORIGIN_TEXT], what[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return vqp_fail(err, code, "%s%s", vqp_origin_text(o, where, sizeof where), what);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted when the next is fetched */
    struct vqp_arena *arena;
    struct vqp_error *err;
    struct vqp_origin base;
    int is_file; /* positions are worth telling */
    const char *text;
    size_t n;
    size_t byte, index; /* byte offset of character number `index`: libyaml counts characters */
};

static struct vqp_origin at_mark(const struct reader *r, yaml_mark_t m)
{
    struct vqp_origin o = r->base;
    if (r->is_file) {
        o.line = (uint32_t)m.line + 1;
        o.col = (uint32_t)m.column + 1;
    }
    return o;
}

static struct vqp_origin at_byte(const struct reader *r, size_t offset)
{
    yaml_mark_t m = {0};
    for (size_t i = 0; i < offset && i < r->n; i++) {
        if (r->text[i] == '\n') {
            m.line++;
            m.column = 0;
        } else if (((unsigned char)r->text[i] & 0xC0) != 0x80) {
            m.column++;
        }
    }
    return at_mark(r, m);
}

#define REFUSE(r, mark, ...)                                                                                           \
    vqp_refuse_at((r)->err, VQP_E_ARG, (const struct vqp_origin[]){at_mark((r), (mark))}, __VA_ARGS__)

static vqp_status no_memory(const struct reader *r)
{
    return vqp_refuse_at(r->err, VQP_E_NOMEM, &r->base, "out of memory while reading it");
}

/* The character at a mark; marks are asked for in ascending order. 0 at the end. */
static char char_at(struct reader *r, yaml_mark_t m)
{
    if (m.index < r->index)
        r->byte = r->index = 0;
    while (r->byte < r->n && r->index < m.index) {
        do
            r->byte++;
        while (r->byte < r->n && ((unsigned char)r->text[r->byte] & 0xC0) == 0x80);
        r->index++;
    }
    if (r->byte >= r->n)
        return 0;
    return r->text[r->byte];
}

/* What libyaml says, in our form. */
static vqp_status syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    if (p->error == YAML_READER_ERROR) {
        struct vqp_origin o = at_byte(r, p->problem_offset);
        return vqp_refuse_at(r->err, VQP_E_ARG, &o,
                             "a control character stands here; remove it, or write it as an escape"
                             " in double quotes");
    }
    if (char_at(r, p->problem_mark) == '\t')
        return REFUSE(r, p->problem_mark, "a tab stands here; YAML indents with spaces alone");
    const char *problem = p->problem ? p->problem : "unreadable";
    if (p->context && r->is_file)
        return REFUSE(r, p->problem_mark,
                      "not valid YAML: %s %s that begins in line %zu; check indentation, quotes and"
                      " brackets",
                      problem, p->context, p->context_mark.line + 1);
    return REFUSE(r, p->problem_mark, "not valid YAML: %s; check indentation, quotes and brackets", problem);
}

static vqp_status next_event(struct reader *r)
{
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? VQP_OK : syntax_error(r);
}

static vqp_status read_node(struct reader *r, unsigned depth, struct vqp_node **out);

/* Anchors, tags and NULs are refused wherever they stand. */
static vqp_status check_properties(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    yaml_mark_t m = r->event.start_mark;
    if (anchor)
        return REFUSE(r, m, "anchors (&name) are not accepted; write the value out where it is used");
    /* libyaml drops a lone "!" before a scalar, so the text is asked too. */
    if (tag || (r->event.type == YAML_SCALAR_EVENT && char_at(r, m) == '!'))
        return REFUSE(r, m, "tags (!name) are not accepted; types come from the key. Quote text that begins with '!'");
    return VQP_OK;
}

static vqp_status read_scalar(struct reader *r, struct vqp_node *node)
{
    const yaml_event_t *e = &r->event;
    vqp_status s = check_properties(r, e->data.scalar.anchor, e->data.scalar.tag);
    if (s != VQP_OK)
        return s;
    if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
        return REFUSE(r, e->start_mark, "the text holds a NUL (\\0); remove it");
    node->kind = VQP_NODE_SCALAR;
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text_len = e->data.scalar.length;
    node->text = vqp_arena_memdup(r->arena, e->data.scalar.value, e->data.scalar.length);
    return node->text ? VQP_OK : no_memory(r);
}

static vqp_status read_list(struct reader *r, unsigned depth, struct vqp_node *node)
{
    vqp_status s = check_properties(r, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag);
    if (s != VQP_OK)
        return s;
    if (!r->is_file && r->event.data.sequence_start.style != YAML_FLOW_SEQUENCE_STYLE)
        return REFUSE(r, r->event.start_mark, "the value reads as a block list; write [a, b], or quote it");
    node->kind = VQP_NODE_LIST;
    for (struct vqp_node **tail = &node->child;; tail = &(*tail)->next) {
        if ((s = next_event(r)) != VQP_OK || r->event.type == YAML_SEQUENCE_END_EVENT)
            return s;
        if ((s = read_node(r, depth + 1, tail)) != VQP_OK)
            return s;
    }
}

/* The current event as a key: its text and place; duplicates among the `first` siblings are refused. */
static vqp_status read_key(struct reader *r, const struct vqp_node *first, struct vqp_node *key)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return REFUSE(r, r->event.start_mark, "a key must be plain text, not a list, map or alias");
    key->at = at_mark(r, r->event.start_mark);
    vqp_status s = read_scalar(r, key);
    if (s != VQP_OK)
        return s;
    if (!key->text_len)
        return REFUSE(r, r->event.start_mark, "a key is missing before ':'; write KEY: VALUE");
    size_t n = 0;
    for (const struct vqp_node *c = first; c; c = c->next, n++) {
        if (strcmp(c->key, key->text))
            continue;
        char name[80];
        vqp_quote(key->text, key->text_len, name, sizeof name);
        if (!r->is_file)
            return REFUSE(r, r->event.start_mark, "key '%s' is given twice; remove one", name);
        return REFUSE(r, r->event.start_mark, "key '%s' is given twice, first in line %u; remove one", name,
                      c->key_at.line);
    }
    if (n >= MAX_KEYS)
        return REFUSE(r, r->event.start_mark, "a map holds more than %d keys; shorten it", MAX_KEYS);
    return VQP_OK;
}

static vqp_status read_map(struct reader *r, unsigned depth, struct vqp_node *node)
{
    vqp_status s = check_properties(r, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag);
    if (s != VQP_OK)
        return s;
    if (!r->is_file && r->event.data.mapping_start.style != YAML_FLOW_MAPPING_STYLE)
        return REFUSE(r, r->event.start_mark,
                      "the value reads as a map; write {key: value}, or quote it if it is text");
    node->kind = VQP_NODE_MAP;
    for (struct vqp_node **tail = &node->child;; tail = &(*tail)->next) {
        struct vqp_node key = {0}, *value = NULL;
        if ((s = next_event(r)) != VQP_OK || r->event.type == YAML_MAPPING_END_EVENT)
            return s;
        if ((s = read_key(r, node->child, &key)) != VQP_OK || (s = next_event(r)) != VQP_OK ||
            (s = read_node(r, depth + 1, &value)) != VQP_OK)
            return s;
        value->key = key.text;
        value->key_at = key.at;
        *tail = value;
    }
}

/* The node that begins with the current event; on success the current event is its last. */
static vqp_status read_node(struct reader *r, unsigned depth, struct vqp_node **out)
{
    yaml_event_type_t type = r->event.type;
    yaml_mark_t m = r->event.start_mark;
    if (type == YAML_ALIAS_EVENT)
        return REFUSE(r, m, "aliases (*name) are not accepted; write the value out. Quote text that begins with '*'");
    if (type != YAML_SCALAR_EVENT && depth > MAX_DEPTH)
        return REFUSE(r, m, "maps and lists are nested deeper than %d; a descriptor needs 4", MAX_DEPTH);
    struct vqp_node *node = vqp_arena_alloc(r->arena, 1, sizeof *node);
    if (!node)
        return no_memory(r);
    node->at = at_mark(r, m);
    *out = node;
    switch (type) {
    case YAML_SCALAR_EVENT: return read_scalar(r, node);
    case YAML_SEQUENCE_START_EVENT: return read_list(r, depth, node);
    case YAML_MAPPING_START_EVENT: return read_map(r, depth, node);
    default: return REFUSE(r, m, "not valid YAML: a value is missing");
    }
}

/* What libyaml would accept or guess about. */
static vqp_status check_bytes(const struct reader *r)
{
    const char *what = NULL;
    size_t offset = 0;
    if (r->n > MAX_BYTES)
        what = "the text is longer than 256 KB; a descriptor is a page or two";
    else if (r->n >= 2 && (!memcmp(r->text, "\xFF\xFE", 2) || !memcmp(r->text, "\xFE\xFF", 2)))
        what = "the text is UTF-16; save it as UTF-8";
    else if (r->n >= 3 && !memcmp(r->text, "\xEF\xBB\xBF", 3))
        what = "the text begins with a byte order mark; save it as UTF-8 without one";
    else if ((offset = vqp_utf8_check(r->text, r->n)) < r->n)
        what = r->text[offset] ? "the text is not valid UTF-8 from here on; save it as UTF-8"
                               : "a NUL byte stands here; save the text as UTF-8 without NUL";
    if (!what)
        return VQP_OK;
    struct vqp_origin o = at_byte(r, offset);
    return vqp_refuse_at(r->err, VQP_E_ARG, &o, "%s", what);
}

static vqp_status read_document(struct reader *r, struct vqp_node **out)
{
    vqp_status s = next_event(r); /* stream start */
    if (s != VQP_OK || (s = next_event(r)) != VQP_OK)
        return s;
    *out = NULL;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return VQP_OK;
    if (r->event.data.document_start.tag_directives.start != r->event.data.document_start.tag_directives.end)
        return REFUSE(r, r->event.start_mark, "%%TAG directives are not accepted; remove the line");
    if ((s = next_event(r)) != VQP_OK || (s = read_node(r, 1, out)) != VQP_OK ||
        (s = next_event(r)) != VQP_OK || /* document end */
        (s = next_event(r)) != VQP_OK)
        return s;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return REFUSE(r, r->event.start_mark, "a second document begins; keep one document, without '---' in it");
    return VQP_OK;
}

static vqp_status read_text(struct reader *r, struct vqp_node **out)
{
    vqp_status s = check_bytes(r);
    if (s != VQP_OK)
        return s;
    if (!yaml_parser_initialize(&r->parser)) {
        yaml_parser_delete(&r->parser);
        return no_memory(r);
    }
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, r->n);
    s = read_document(r, out);
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    return s;
}

static vqp_status check_version(const struct reader *r, const struct vqp_node *root)
{
    if (root->kind != VQP_NODE_MAP)
        return vqp_refuse_at(r->err, VQP_E_ARG, &root->at,
                             "a descriptor is a map of keys, and this is a %s; begin with"
                             " 'vqpipe: 1'",
                             root->kind == VQP_NODE_LIST ? "list" : "single value");
    const struct vqp_node *v = root->child;
    while (v && strcmp(v->key, "vqpipe"))
        v = v->next;
    if (!v)
        return vqp_refuse_at(r->err, VQP_E_ARG, &root->at,
                             "'vqpipe: 1' is missing; add it as the first line, so that the"
                             " descriptor's version is known");
    if (v->kind == VQP_NODE_SCALAR && !v->quoted && !strcmp(v->text, "1"))
        return VQP_OK;
    char text[40] = "";
    if (v->kind == VQP_NODE_SCALAR)
        vqp_quote(v->text, v->text_len, text, sizeof text);
    return vqp_refuse_at(r->err, VQP_E_ARG, &v->at,
                         "descriptor version '%s' is not known, this vqpipe reads version 1;"
                         " write 'vqpipe: 1', or use a newer vqpipe",
                         text);
}

vqp_status vqp_descriptor_parse(struct vqp_arena *a, const char *path, const char *text, size_t n,
                                struct vqp_node **root, struct vqp_error *err)
{
    struct reader r = {.arena = a, .err = err, .base = {.name = path}, .is_file = 1, .text = text, .n = n};
    struct vqp_node *tree = NULL;
    r.base.name = vqp_arena_strdup(a, path);
    if (!r.base.name)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory while reading %s", path);
    vqp_status s = read_text(&r, &tree);
    if (s != VQP_OK)
        return s;
    if (!tree)
        return REFUSE(&r, (yaml_mark_t){0}, "the descriptor is empty; begin with 'vqpipe: 1'");
    if ((s = check_version(&r, tree)) == VQP_OK)
        *root = tree;
    return s;
}

vqp_status vqp_descriptor_read(struct vqp_arena *a, const char *path, struct vqp_node **root, struct vqp_error *err)
{
    char *text = NULL;
    size_t n = 0;
    vqp_status s = vqp_read_file(path, MAX_BYTES, &text, &n, err);
    if (s != VQP_OK) { /* the user's file, not the model's */
        s = s == VQP_E_NOMEM ? s : VQP_E_ARG;
        if (err)
            err->code = s;
        return s;
    }
    s = vqp_descriptor_parse(a, path, text, n, root, err);
    free(text);
    return s;
}

vqp_status vqp_descriptor_value(struct vqp_arena *a, const struct vqp_origin *origin, const char *text,
                                struct vqp_node **out, struct vqp_error *err)
{
    struct reader r = {.arena = a, .err = err, .base = *origin, .text = text, .n = strlen(text)};
    struct vqp_node *node = NULL;
    r.base.name = origin->name ? vqp_arena_strdup(a, origin->name) : "?";
    if (!r.base.name)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory while reading a value");
    vqp_status s = read_text(&r, &node);
    if (s != VQP_OK)
        return s;
    if (!node) { /* nothing but blanks is the empty text, as after "key:" */
        if (text[strspn(text, " \t\n")])
            return REFUSE(&r, (yaml_mark_t){0}, "the value reads as a YAML comment; quote it");
        node = vqp_arena_alloc(a, 1, sizeof *node);
        if (!node)
            return no_memory(&r);
        node->kind = VQP_NODE_SCALAR;
        node->text = "";
        node->at = r.base;
    }
    *out = node;
    return VQP_OK;
}

/* ---- the tree --------------------------------------------------------------------------------------------------- */

/* The link that holds the child with key `name`, or the empty link at the end. */
static struct vqp_node **find_link(struct vqp_node *map, const char *name, size_t n)
{
    struct vqp_node **link = &map->child;
    while (*link && (strncmp((*link)->key, name, n) || (*link)->key[n]))
        link = &(*link)->next;
    return link;
}

struct vqp_node *vqp_node_find(struct vqp_node *root, const char *dotted)
{
    struct vqp_node *node = root;
    for (const char *at = dotted; node; at++) {
        size_t n = strcspn(at, ".");
        if (node->kind != VQP_NODE_MAP || !n)
            return NULL;
        node = *find_link(node, at, n);
        at += n;
        if (!*at)
            break;
    }
    return node;
}

struct vqp_node *vqp_node_copy(struct vqp_arena *a, const struct vqp_node *node)
{
    struct vqp_node *copy = vqp_arena_alloc(a, 1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *node;
    copy->next = copy->child = NULL;
    struct vqp_node **end = &copy->child;
    for (const struct vqp_node *c = node->child; c; c = c->next, end = &(*end)->next)
        if (!(*end = vqp_node_copy(a, c)))
            return NULL;
    return copy;
}

vqp_status vqp_node_set(struct vqp_arena *a, struct vqp_node *root, const char *dotted, struct vqp_node *value,
                        struct vqp_error *err)
{
    char name[100];
    vqp_quote(dotted, strlen(dotted), name, sizeof name);
    if (!*dotted || *dotted == '.' || strstr(dotted, "..") || dotted[strlen(dotted) - 1] == '.')
        return vqp_refuse_at(err, VQP_E_ARG, &value->at,
                             "'%s' is not a key; write names with single dots between them,"
                             " such as run.steps",
                             name);
    struct vqp_node *map = root;
    const char *at = dotted;
    for (unsigned depth = 1;; depth++) {
        size_t n = strcspn(at, ".");
        if (map->kind != VQP_NODE_MAP) {
            char where[ORIGIN_TEXT], part[100];
            vqp_quote(dotted, (size_t)(at - dotted) - 1, part, sizeof part);
            vqp_origin_text(&map->at, where, sizeof where);
            where[strlen(where) - 2] = 0;
            return vqp_refuse_at(err, VQP_E_ARG, &value->at,
                                 "'%s' cannot be set: '%s' (%s) is a value without keys of"
                                 " its own",
                                 name, part, where);
        }
        if (depth > MAX_DEPTH)
            return vqp_refuse_at(err, VQP_E_ARG, &value->at, "'%s' is nested deeper than %d", name, MAX_DEPTH);
        struct vqp_node **link = find_link(map, at, n), *old = *link, *new = old;
        int last = !at[n];
        if (last)
            new = value;
        else if (!old)
            new = vqp_arena_alloc(a, 1, sizeof *new);
        if (new &&new != old) {
            const char *key = vqp_arena_memdup(a, at, n);
            if (!key)
                return vqp_fail(err, VQP_E_NOMEM, "out of memory while setting %s", name);
            if (!last) {
                new->kind = VQP_NODE_MAP;
                new->at = value->at;
            }
            new->key = key;
            new->key_at = value->at;
            new->next = old ? old->next : NULL;
            *link = new;
        }
        if (!new)
            return vqp_fail(err, VQP_E_NOMEM, "out of memory while setting %s", name);
        if (last)
            return VQP_OK;
        map = new;
        at += n + 1;
    }
}
