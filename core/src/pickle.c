#include "pickle.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OPS = 1000000, /* bounds memory and time: an operation makes at most one value */
    MAX_TEXT = 65536,
    MAX_GLOBAL = 128
};

/* ---- names ------------------------------------------------------------------------------------------------------ */

enum {
    ORDERED_DICT,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    SIZE,
    DEVICE,
    DTYPE,
    STORAGE
};
static const struct global {
    const char *module, *name;
    uint32_t what, bytes;
    const char *dtype;
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0, NULL},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0, NULL},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0, NULL},
    {"torch", "Size", SIZE, 0, NULL},
    {"torch", "device", DEVICE, 0, NULL},
    {"torch", "float32", DTYPE, 0, NULL},
    {"torch", "float16", DTYPE, 0, NULL},
    {"torch", "bfloat16", DTYPE, 0, NULL},
    {"torch", "float64", DTYPE, 0, NULL},
    {"torch", "int64", DTYPE, 0, NULL},
    {"torch", "int32", DTYPE, 0, NULL},
    {"torch", "uint8", DTYPE, 0, NULL},
    {"torch", "bool", DTYPE, 0, NULL},
    {"torch", "FloatStorage", STORAGE, 4, "F32"},
    {"torch", "HalfStorage", STORAGE, 2, "F16"},
    {"torch", "BFloat16Storage", STORAGE, 2, "BF16"},
    {"torch", "DoubleStorage", STORAGE, 8, "F64"},
    {"torch", "LongStorage", STORAGE, 8, "I64"},
    {"torch", "IntStorage", STORAGE, 4, "I32"},
    {"torch", "ShortStorage", STORAGE, 2, "I16"},
    {"torch", "CharStorage", STORAGE, 1, "I8"},
    {"torch", "ByteStorage", STORAGE, 1, "U8"},
    {"torch", "BoolStorage", STORAGE, 1, "BOOL"},
};

/* ---- the machine ------------------------------------------------------------------------------------------------ */

struct pointers { /* grows by doubling */
    struct vqp_pickle_value **at;
    size_t n, room;
};
struct machine {
    const char *what;
    const unsigned char *data;
    uint64_t size, at, op_at; /* op_at: of the operation in progress */
    struct vqp_arena *arena;
    struct pointers stack, memo; /* a mark on the stack is NULL */
    struct vqp_error *err;
};

/* As an expression, so that the compiler sees that it is never VQP_OK. */
#define REFUSE(...) (refuse(__VA_ARGS__), (vqp_status)VQP_E_FORMAT)
__attribute__((format(printf, 2, 3))) static void refuse(const struct machine *m, const char *fmt, ...)
{
    char why[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    vqp_fail(m->err, VQP_E_FORMAT, "%.200s, byte %llu: %s", m->what, (unsigned long long)m->op_at, why);
}

static vqp_status no_memory(const struct machine *m)
{
    return vqp_fail(m->err, VQP_E_NOMEM, "%.240s: no memory left to read it", m->what);
}

static vqp_status grow(const struct machine *m, struct pointers *p, size_t n)
{
    if (n <= p->room)
        return VQP_OK;
    size_t room = p->room ? p->room : 64;
    while (room < n)
        room *= 2;
    struct vqp_pickle_value **at = realloc(p->at, room * sizeof(void *));
    if (!at)
        return no_memory(m);
    memset(at + p->room, 0, (room - p->room) * sizeof(void *));
    p->at = at;
    p->room = room;
    return VQP_OK;
}

static vqp_status push(struct machine *m, struct vqp_pickle_value *v)
{
    vqp_status status = grow(m, &m->stack, m->stack.n + 1);
    if (!status)
        m->stack.at[m->stack.n++] = v;
    return status;
}

static vqp_status push_new(struct machine *m, struct vqp_pickle_value value)
{
    struct vqp_pickle_value *v = vqp_arena_alloc(m->arena, 1, sizeof *v);
    if (!v)
        return no_memory(m);
    *v = value;
    return push(m, v);
}

/* The n topmost values, none of them a mark, still on the stack. */
static vqp_status top(const struct machine *m, size_t n, struct vqp_pickle_value ***out)
{
    if (m->stack.n < n)
        return REFUSE(m, "takes more from the stack than there is");
    *out = m->stack.at + m->stack.n - n;
    for (size_t i = 0; i < n; i++)
        if (!(*out)[i])
            return REFUSE(m, "takes a mark for a value");
    return VQP_OK;
}

/* The values above the last mark; both leave the stack, whose memory stays. */
static vqp_status pop_to_mark(struct machine *m, struct vqp_pickle_value ***items, size_t *n)
{
    size_t at = m->stack.n;
    while (at && m->stack.at[at - 1])
        at--;
    if (!at)
        return REFUSE(m, "needs a mark on the stack, and there is none");
    *items = m->stack.at + at;
    *n = m->stack.n - at;
    m->stack.n = at - 1;
    return VQP_OK;
}

static vqp_status take(struct machine *m, uint64_t n, const unsigned char **out)
{
    if (n > m->size - m->at)
        return REFUSE(m, "needs %llu bytes, and %llu are left", (unsigned long long)n,
                      (unsigned long long)(m->size - m->at));
    *out = m->data + m->at;
    m->at += n;
    return VQP_OK;
}

/* A little-endian number of n <= 8 bytes. */
static vqp_status number(struct machine *m, uint32_t n, uint64_t *out)
{
    const unsigned char *p;
    vqp_status status = take(m, n, &p);
    *out = 0;
    for (uint32_t i = 0; !status && i < n; i++)
        *out |= (uint64_t)p[i] << 8 * i;
    return status;
}

static vqp_status push_int(struct machine *m, uint32_t bytes, int is_signed)
{
    uint64_t x;
    vqp_status status = number(m, bytes, &x);
    if (status)
        return status;
    if (is_signed && bytes && bytes < 8 && x >> (8 * bytes - 1))
        x |= ~UINT64_C(0) << 8 * bytes;
    return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_INT, .v.integer = (int64_t)x});
}

/* LONG1: a length of one byte, and as many bytes in two's complement. */
static vqp_status push_long(struct machine *m)
{
    uint64_t n;
    vqp_status status = number(m, 1, &n);
    if (!status && n > 8)
        status = REFUSE(m, "a number of %llu bytes; 8 at most are read", (unsigned long long)n);
    return status ? status : push_int(m, (uint32_t)n, 1);
}

static vqp_status push_text(struct machine *m)
{
    uint64_t n;
    const unsigned char *p;
    vqp_status status = number(m, 4, &n);
    if (!status && n > MAX_TEXT)
        status = REFUSE(m, "a text of %llu bytes; %d at most are read", (unsigned long long)n, MAX_TEXT);
    if (!status)
        status = take(m, n, &p);
    if (!status && vqp_utf8_check((const char *)p, n) != n)
        status = REFUSE(m, "a text that is not UTF-8, or holds a NUL");
    return status ? status
                  : push_new(m, (struct vqp_pickle_value){
                                    .kind = VQP_PICKLE_TEXT, .n = (uint32_t)n, .v.text = (const char *)p});
}

static vqp_status line(struct machine *m, const char **out, size_t *n)
{
    const unsigned char *p = m->data + m->at, *end = memchr(p, '\n', m->size - m->at);
    if (!end || end - p > MAX_GLOBAL)
        return REFUSE(m, "a name that does not end");
    *out = (const char *)p;
    *n = (size_t)(end - p);
    m->at += *n + 1;
    return VQP_OK;
}

static int is_text(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(s, word, n);
}

static vqp_status push_global(struct machine *m)
{
    const char *module, *name;
    size_t module_bytes, name_bytes;
    vqp_status status = line(m, &module, &module_bytes);
    if (!status)
        status = line(m, &name, &name_bytes);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (is_text(module, module_bytes, globals[i].module) && is_text(name, name_bytes, globals[i].name))
            return push_new(
                m, (struct vqp_pickle_value){.kind = globals[i].what == DTYPE ? VQP_PICKLE_OTHER : VQP_PICKLE_GLOBAL,
                                             .global = (uint16_t)i});
    char a[80], b[80];
    return REFUSE(m,
                  "it asks for '%s.%s', which no list of tensors needs; refused, nothing was imported or run. Save the "
                  "state_dict alone",
                  vqp_quote(module, module_bytes, a, sizeof a), vqp_quote(name, name_bytes, b, sizeof b));
}

/* ---- containers ------------------------------------------------------------------------------------------------- */

static vqp_status push_tuple(struct machine *m, struct vqp_pickle_value **items, size_t n)
{
    struct vqp_pickle_value **own = n ? vqp_arena_alloc(m->arena, n, sizeof(void *)) : NULL;
    if (n && !own)
        return no_memory(m);
    if (n)
        memcpy(own, items, n * sizeof(void *));
    return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_TUPLE, .n = (uint32_t)n, .v.items = own});
}

static vqp_status push_top_tuple(struct machine *m, size_t n)
{
    struct vqp_pickle_value **items;
    vqp_status status = top(m, n, &items);
    if (!status) {
        m->stack.n -= n;
        status = push_tuple(m, items, n);
    }
    return status;
}

static vqp_status push_marked_tuple(struct machine *m)
{
    struct vqp_pickle_value **items;
    size_t n;
    vqp_status status = pop_to_mark(m, &items, &n);
    if (status)
        return status;
    /* push_tuple copies the items before its push writes over the first */
    return push_tuple(m, items, n);
}

/* Room is a power of two from 4 on, so that the count alone tells when to double. */
static vqp_status append(struct machine *m, struct vqp_pickle_value *to, struct vqp_pickle_value *item)
{
    if (to->n == 0 || (to->n >= 4 && !(to->n & (to->n - 1)))) {
        struct vqp_pickle_value **items = vqp_arena_alloc(m->arena, to->n ? 2 * (size_t)to->n : 4, sizeof(void *));
        if (!items)
            return no_memory(m);
        if (to->n)
            memcpy(items, to->v.items, to->n * sizeof(void *));
        to->v.items = items;
    }
    to->v.items[to->n++] = item;
    return VQP_OK;
}

/* APPEND, APPENDS, SETITEM, SETITEMS: n values, into the list or dict below them. */
static vqp_status extend(struct machine *m, struct vqp_pickle_value **items, size_t n, uint8_t kind)
{
    struct vqp_pickle_value **target;
    vqp_status status = top(m, 1, &target);
    if (!status && (*target)->kind != kind)
        status = REFUSE(m, kind == VQP_PICKLE_DICT ? "sets an item of what is no dict" : "appends to what is no list");
    if (!status && kind == VQP_PICKLE_DICT && n % 2)
        status = REFUSE(m, "sets a key without a value");
    for (size_t i = 0; !status && i < n; i++) {
        if (kind == VQP_PICKLE_DICT && i % 2 == 0 && items[i]->kind != VQP_PICKLE_TEXT &&
            items[i]->kind != VQP_PICKLE_INT)
            status = REFUSE(m, "a key that is neither text nor a whole number");
        else
            status = append(m, *target, items[i]);
    }
    return status;
}

static vqp_status extend_top(struct machine *m, size_t n, uint8_t kind)
{
    struct vqp_pickle_value **items;
    vqp_status status = top(m, n, &items);
    if (!status) {
        m->stack.n -= n;
        status = extend(m, items, n, kind);
    }
    return status;
}

static vqp_status extend_marked(struct machine *m, uint8_t kind)
{
    struct vqp_pickle_value **items;
    size_t n;
    vqp_status status = pop_to_mark(m, &items, &n);
    return status ? status : extend(m, items, n, kind);
}

/* ---- the memo --------------------------------------------------------------------------------------------------- */

static vqp_status put(struct machine *m, uint32_t bytes)
{
    uint64_t index;
    struct vqp_pickle_value **v;
    vqp_status status = number(m, bytes, &index);
    if (!status)
        status = top(m, 1, &v);
    if (!status && index >= MAX_OPS)
        status = REFUSE(m, "memo entry %llu; fewer than %d are possible", (unsigned long long)index, MAX_OPS);
    if (!status)
        status = grow(m, &m->memo, index + 1);
    if (!status)
        m->memo.at[index] = *v;
    return status;
}

static vqp_status get(struct machine *m, uint32_t bytes)
{
    uint64_t index;
    vqp_status status = number(m, bytes, &index);
    if (!status && (index >= m->memo.room || !m->memo.at[index]))
        status = REFUSE(m, "memo entry %llu was never set", (unsigned long long)index);
    return status ? status : push(m, m->memo.at[index]);
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

/* BINPERSID on ('storage', torch.FloatStorage, '17', 'cpu', numel). */
static vqp_status push_storage(struct machine *m)
{
    struct vqp_pickle_value **t;
    vqp_status status = top(m, 1, &t);
    if (status)
        return status;
    struct vqp_pickle_value *const *item = (*t)->v.items;
    if ((*t)->kind != VQP_PICKLE_TUPLE || (*t)->n != 5 || item[0]->kind != VQP_PICKLE_TEXT ||
        !is_text(item[0]->v.text, item[0]->n, "storage") || item[1]->kind != VQP_PICKLE_GLOBAL ||
        globals[item[1]->global].what != STORAGE || item[2]->kind != VQP_PICKLE_TEXT ||
        item[3]->kind != VQP_PICKLE_TEXT || item[4]->kind != VQP_PICKLE_INT || item[4]->v.integer < 0)
        return REFUSE(m, "a persistent id that is no storage of torch's");
    struct vqp_pickle_storage *s = vqp_arena_alloc(m->arena, 1, sizeof *s);
    if (!s)
        return no_memory(m);
    *s = (struct vqp_pickle_storage){.dtype = globals[item[1]->global].dtype,
                                     .element_bytes = globals[item[1]->global].bytes,
                                     .key = item[2]->v.text,
                                     .key_bytes = item[2]->n,
                                     .numel = (uint64_t)item[4]->v.integer};
    m->stack.n--;
    return push_new(m,
                    (struct vqp_pickle_value){.kind = VQP_PICKLE_STORAGE, .global = item[1]->global, .v.storage = s});
}

static int numbers(const struct vqp_pickle_value *t, uint32_t n, uint64_t *out)
{
    if (t->kind != VQP_PICKLE_TUPLE || t->n != n)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        if (t->v.items[i]->kind != VQP_PICKLE_INT || t->v.items[i]->v.integer < 0)
            return 0;
        out[i] = (uint64_t)t->v.items[i]->v.integer;
    }
    return 1;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]) */
static vqp_status push_tensor(struct machine *m, const struct vqp_pickle_value *args)
{
    struct vqp_pickle_value *const *a = args->v.items;
    if (args->n < 6 || args->n > 7 || a[0]->kind != VQP_PICKLE_STORAGE || a[1]->kind != VQP_PICKLE_INT ||
        a[1]->v.integer < 0 || a[2]->kind != VQP_PICKLE_TUPLE || a[4]->kind != VQP_PICKLE_BOOL)
        return REFUSE(m, "a tensor with arguments that torch does not write");
    if (a[2]->n > VQP_PICKLE_MAX_RANK)
        return REFUSE(m, "a tensor of %u dimensions; %d at most are possible", a[2]->n, VQP_PICKLE_MAX_RANK);
    if (args->n == 7 && (a[6]->kind != VQP_PICKLE_DICT || a[6]->n))
        return REFUSE(m, "a tensor with a conjugate or negative bit; save it resolved");
    struct vqp_pickle_tensor *t = vqp_arena_alloc(m->arena, 1, sizeof *t);
    if (!t)
        return no_memory(m);
    *t = (struct vqp_pickle_tensor){.storage = a[0]->v.storage, .rank = a[2]->n, .offset = (uint64_t)a[1]->v.integer};
    if (!numbers(a[2], t->rank, t->size) || !numbers(a[3], t->rank, t->stride))
        return REFUSE(m, "a tensor whose sizes or strides are no %u numbers of 0 or more", t->rank);
    return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_TENSOR, .v.tensor = t});
}

/* The callables of the allow-list, each for what it makes of its arguments. */
static vqp_status reduce(struct machine *m)
{
    struct vqp_pickle_value **v;
    vqp_status status = top(m, 2, &v);
    if (status)
        return status;
    struct vqp_pickle_value *callee = v[0], *args = v[1];
    if (callee->kind != VQP_PICKLE_GLOBAL || args->kind != VQP_PICKLE_TUPLE)
        return REFUSE(m, "calls what is no function, or with what are no arguments");
    m->stack.n -= 2;
    const struct global *g = &globals[callee->global];
    struct vqp_pickle_value *const *a = args->v.items;
    switch (g->what) {
    case ORDERED_DICT:
        if (!args->n)
            return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_DICT, .global = 1});
        break;
    case REBUILD_TENSOR: return push_tensor(m, args);
    case REBUILD_PARAMETER:
        if (args->n == 3 && a[0]->kind == VQP_PICKLE_TENSOR && a[1]->kind == VQP_PICKLE_BOOL)
            return push(m, a[0]);
        break;
    case SIZE:
        if (args->n == 1 && a[0]->kind == VQP_PICKLE_TUPLE)
            return push(m, a[0]);
        break;
    case DEVICE:
        if (args->n >= 1 && a[0]->kind == VQP_PICKLE_TEXT)
            return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_OTHER});
        break;
    default: break;
    }
    return REFUSE(m, "'%s.%s' with arguments that torch does not write", g->module, g->name);
}

/* An OrderedDict's attributes (a state_dict's _metadata) are dropped unread. */
static vqp_status build(struct machine *m)
{
    struct vqp_pickle_value **v;
    vqp_status status = top(m, 2, &v);
    if (!status && (v[0]->kind != VQP_PICKLE_DICT || !v[0]->global || v[1]->kind != VQP_PICKLE_DICT))
        status = REFUSE(m, "sets attributes of what is no OrderedDict");
    if (!status)
        m->stack.n--;
    return status;
}

/* ---- operations ------------------------------------------------------------------------------------------------- */

static vqp_status skip_float(struct machine *m)
{
    const unsigned char *p;
    vqp_status status = take(m, 8, &p);
    return status ? status : push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_FLOAT});
}

static vqp_status protocol(struct machine *m)
{
    uint64_t version;
    vqp_status status = number(m, 1, &version);
    if (!status && m->op_at)
        status = REFUSE(m, "a second pickle begins");
    if (!status && version != 2)
        status = REFUSE(m, "pickle protocol %llu; only torch's own, 2, is read: save with pickle_protocol=2",
                        (unsigned long long)version);
    return status;
}

static vqp_status operation(struct machine *m, unsigned char op)
{
    switch (op) {
    case 0x80: return protocol(m);
    case '(': return push(m, NULL);
    case 'N': return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_NONE});
    case 0x88: return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_BOOL, .v.integer = 1});
    case 0x89: return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_BOOL});
    case 'J': return push_int(m, 4, 1);
    case 'K': return push_int(m, 1, 0);
    case 'M': return push_int(m, 2, 0);
    case 0x8A: return push_long(m);
    case 'G': return skip_float(m);
    case 'X': return push_text(m);
    case 'c': return push_global(m);
    case ')': return push_tuple(m, NULL, 0);
    case ']': return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_LIST});
    case '}': return push_new(m, (struct vqp_pickle_value){.kind = VQP_PICKLE_DICT});
    case 't': return push_marked_tuple(m);
    case 0x85: return push_top_tuple(m, 1);
    case 0x86: return push_top_tuple(m, 2);
    case 0x87: return push_top_tuple(m, 3);
    case 'a': return extend_top(m, 1, VQP_PICKLE_LIST);
    case 'e': return extend_marked(m, VQP_PICKLE_LIST);
    case 's': return extend_top(m, 2, VQP_PICKLE_DICT);
    case 'u': return extend_marked(m, VQP_PICKLE_DICT);
    case 'q': return put(m, 1);
    case 'r': return put(m, 4);
    case 'h': return get(m, 1);
    case 'j': return get(m, 4);
    case 'Q': return push_storage(m);
    case 'R': return reduce(m);
    case 'b': return build(m);
    default: return REFUSE(m, "operation 0x%02x, which torch.save does not write", op);
    }
}

static vqp_status run(struct machine *m)
{
    for (uint32_t ops = 0;; ops++) {
        m->op_at = m->at;
        if (ops > MAX_OPS)
            return REFUSE(m, "more than %d operations", MAX_OPS);
        if (m->at == m->size)
            return REFUSE(m, "the end of the pickle is missing");
        unsigned char op = m->data[m->at++];
        if (ops == 0 && op != 0x80)
            return REFUSE(m, "no pickle begins like this");
        if (op == '.')
            break;
        vqp_status status = operation(m, op);
        if (status)
            return status;
    }
    if (m->at != m->size)
        return REFUSE(m, "%llu bytes lie behind the end of the pickle", (unsigned long long)(m->size - m->at));
    if (m->stack.n != 1 || !m->stack.at[0])
        return REFUSE(m, "ends with %zu values on the stack instead of one", m->stack.n);
    return VQP_OK;
}

vqp_status vqp_pickle_read(const char *what, const void *data, uint64_t size, struct vqp_arena *a,
                           struct vqp_pickle_value **root, struct vqp_error *err)
{
    struct machine m = {.what = what, .data = data, .size = size, .arena = a, .err = err};
    vqp_status status = run(&m);
    if (!status)
        *root = m.stack.at[0];
    free(m.stack.at);
    free(m.memo.at);
    return status;
}
