/* Recording: values, names, scopes and the first error. Which ops fit is verify.c's to say. */
#include "builder.h"
#include "arena.h"
#include "shape.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

struct scope {
    const struct scope *up;
    const char *path; /* from the owner on: "denoiser/blocks.7/attn2" */
};
/* What output() was told. */
struct given {
    const char *name, *scope;
    vqp_val val;
};
/* What the builder alone knows of a value. */
struct extra {
    const char *owner; /* WEIGHT: who asked for it, "" for core */
    const void *init;  /* STATE */
};

struct vqp_program {
    struct vqp_arena mem; /* names, scopes, constants, and what the view shows */
    struct vqp_builder_env env;
    const char *name, *owner;  /* owner: "" for core */
    const struct scope *scope; /* innermost open one */
    struct vqp_val_info *vals;
    struct extra *extra;
    struct vqp_op *ops;
    const char **op_scope;
    struct given *given;
    struct vqp_host_call *calls;
    uint32_t n_vals, n_ops, n_given, n_calls;
    uint32_t cap_vals, cap_extra, cap_ops, cap_scope, cap_given, cap_calls;
    struct vqp_error error; /* code VQP_OK: none yet */
    struct vqp_program_view view;
    int sealed;
};

enum {
    NAME_TEXT = 200
};

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static const char *path(const vqp_program *p)
{
    return p->scope ? p->scope->path : p->owner;
}

/* Keeps the first failure, under the place where it happened. */
__attribute__((format(printf, 3, 4))) static void poison(vqp_program *p, vqp_status code, const char *fmt, ...)
{
    char msg[sizeof p->error.msg];
    va_list ap;
    if (p->error.code)
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    vqp_fail(&p->error, code, "%s%s%s: %s", p->name, *path(p) ? "/" : "", path(p), msg);
}

static void poison_nomem(vqp_program *p)
{
    poison(p, VQP_E_NOMEM, "out of memory");
}

/* Nonzero if recording may go on. */
static int recording(vqp_program *p)
{
    if (p->sealed)
        poison(p, VQP_E_SHAPE, "recorded after the program was sealed");
    return !p->error.code;
}

#define QUOTED(name) vqp_quote((name), strlen(name), (char[NAME_TEXT]){0}, NAME_TEXT)

/* ---- growing ----------------------------------------------------------------------------------------------------- */

/* Room for one more entry of `size` bytes after `n`. */
static int reserve(void *array, uint32_t *cap, uint32_t n, size_t size)
{
    void **at = array;
    if (n < *cap)
        return 0;
    if (n >= UINT32_MAX / 2)
        return -1;
    uint32_t room = n ? 2 * n : 32;
    void *grown = reallocarray(*at, room, size);
    if (!grown)
        return -1;
    *at = grown;
    *cap = room;
    return 0;
}

static vqp_val add_value(vqp_program *p, const struct vqp_val_info *info, const struct extra *extra)
{
    if (reserve(&p->vals, &p->cap_vals, p->n_vals, sizeof *p->vals) ||
        reserve(&p->extra, &p->cap_extra, p->n_vals, sizeof *p->extra)) {
        poison_nomem(p);
        return 0;
    }
    vqp_val v = p->n_vals++;
    p->vals[v] = *info;
    p->extra[v] = extra ? *extra : (struct extra){"", NULL};
    if (!info->root)
        p->vals[v].root = v;
    return v;
}

/* Appends op with n outputs of these dtypes and shapes, which are possible ones; returns out[0]. */
static vqp_val append_op(vqp_program *p, struct vqp_op *op, const char *scope, int n, const uint32_t *dtype,
                         const struct vqp_shape *shape)
{
    if (reserve(&p->ops, &p->cap_ops, p->n_ops, sizeof *p->ops) ||
        reserve(&p->op_scope, &p->cap_scope, p->n_ops, sizeof *p->op_scope)) {
        poison_nomem(p);
        return 0;
    }
    for (int i = 0; i < n; i++) {
        struct vqp_val_info info = {.dtype = dtype[i], .role = VQP_VAL_TEMP, .shape = shape[i]};
        vqp_shape_bytes(&shape[i], dtype[i], &info.bytes);
        op->out[i] = add_value(p, &info, NULL);
    }
    if (p->error.code)
        return 0;
    p->ops[p->n_ops] = *op;
    p->op_scope[p->n_ops++] = scope;
    return op->out[0];
}

/* Checks op and appends it under `scope`; returns out[0]. */
static vqp_val add_op(vqp_program *p, struct vqp_op *op, const char *scope)
{
    uint32_t dtype[VQP_OP_MAX_OUT];
    struct vqp_shape shape[VQP_OP_MAX_OUT];
    struct vqp_error err;
    int n = vqp_op_infer(op, p->vals, p->n_vals, dtype, shape, &err);
    if (n < 0) {
        poison(p, err.code, "%s", err.msg);
        return 0;
    }
    return append_op(p, op, scope, n, dtype, shape);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* The name with its owner before it; NULL after a failure. */
static const char *full_name(vqp_program *p, const char *what, const char *name)
{
    if (!name || !*name) {
        poison(p, VQP_E_SHAPE, "%s without a name", what);
        return NULL;
    }
    char *full = !*p->owner || !strncmp(name, "cond.", 5) ? vqp_arena_strdup(&p->mem, name)
                                                          : vqp_arena_printf(&p->mem, "%s.%s", p->owner, name);
    if (!full)
        poison_nomem(p);
    return full;
}

static struct given *find_given(const vqp_program *p, const char *name)
{
    for (uint32_t i = 0; i < p->n_given; i++)
        if (!strcmp(p->given[i].name, name))
            return &p->given[i];
    return NULL;
}

/* The INPUT or STATE of that full name. */
static vqp_val find_bound(const vqp_program *p, const char *name)
{
    for (vqp_val v = 1; v < p->n_vals; v++)
        if ((p->vals[v].role == VQP_VAL_INPUT || p->vals[v].role == VQP_VAL_STATE) && p->vals[v].root == v &&
            !strcmp(p->vals[v].name, name))
            return v;
    return 0;
}

/* One buffer is bound to one name, so inputs, states and outputs share their names. */
static int name_taken(vqp_program *p, const char *what, const char *name)
{
    if (!find_given(p, name) && !find_bound(p, name))
        return 0;
    poison(p, VQP_E_SHAPE, "%s \"%s\": the program already has an input, state or output of this name", what,
           QUOTED(name));
    return 1;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static int is_empty(const struct vqp_shape *s)
{
    for (uint32_t i = 0; i < s->rank && i < VQP_MAX_RANK; i++)
        if (!s->dim[i])
            return 1;
    return 0;
}

/* A shape that a value may have, its unused dims cleared. Nonzero after a failure, which names the value. */
static int check_shape(vqp_program *p, vqp_status code, const char *what, const char *name, uint32_t dtype,
                       const struct vqp_shape *s, struct vqp_val_info *info)
{
    char text[VQP_SHAPE_TEXT];
    if (!s)
        poison(p, code, "%s \"%s\" has no shape", what, QUOTED(name));
    else if (vqp_shape_bytes(s, dtype, &info->bytes) || is_empty(s) ||
             (dtype == VQP_Q8_0 && (s->rank != 2 || s->dim[1] % 32)))
        poison(p, code, "%s \"%s\" is %s%s: not a possible tensor", what, QUOTED(name), vqp_dtype_name(dtype),
               vqp_shape_text(s, text));
    if (!s || p->error.code)
        return -1;
    info->dtype = dtype;
    info->shape = (struct vqp_shape){.rank = s->rank};
    memcpy(info->shape.dim, s->dim, s->rank * sizeof *s->dim);
    return 0;
}

/* The same for values that ops compute on. */
static int check_value(vqp_program *p, const char *what, const char *name, uint32_t dtype, const struct vqp_shape *s,
                       struct vqp_val_info *info)
{
    if (dtype != VQP_F32 && dtype != VQP_I32 && dtype != VQP_U8) {
        poison(p, VQP_E_SHAPE, "%s \"%s\" is of dtype %u (%s), expected f32, i32 or u8", what, QUOTED(name), dtype,
               vqp_dtype_name(dtype));
        return -1;
    }
    return check_shape(p, VQP_E_SHAPE, what, name, dtype, s, info);
}

static const void *copy_data(vqp_program *p, const void *data, uint64_t bytes)
{
    void *copy = vqp_arena_memdup(&p->mem, data, (size_t)bytes);
    if (!copy)
        poison_nomem(p);
    return copy;
}

static vqp_val record_input(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s)
{
    struct vqp_val_info info = {.role = VQP_VAL_INPUT};
    if (!recording(p) || !(info.name = full_name(p, "input", name)) || name_taken(p, "input", info.name) ||
        check_value(p, "input", info.name, dtype, s, &info))
        return 0;
    return add_value(p, &info, NULL);
}

static vqp_val record_link(vqp_program *p, const char *name)
{
    struct vqp_val_info info = {.role = VQP_VAL_INPUT};
    uint32_t dtype = 0;
    struct vqp_shape shape = {0};
    if (!recording(p) || !(info.name = full_name(p, "link", name)))
        return 0;
    const struct given *here = find_given(p, info.name);
    vqp_val bound = here ? here->val : find_bound(p, info.name);
    if (bound)
        return bound;
    if (!p->env.find || !p->env.find(p->env.ctx, info.name, &dtype, &shape)) {
        struct vqp_nearest near = {.word = info.name};
        for (uint32_t i = 0; i < p->n_given; i++)
            vqp_nearest_offer(&near, p->given[i].name);
        poison(p, VQP_E_SHAPE, "link \"%s\": nothing recorded before was given out under this name%s%s%s",
               QUOTED(info.name), near.best ? "; did you mean \"" : "", near.best ? QUOTED(near.best) : "",
               near.best ? "\"?" : "");
        return 0;
    }
    return check_value(p, "link", info.name, dtype, &shape, &info) ? 0 : add_value(p, &info, NULL);
}

static vqp_val record_constant(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s,
                               const void *data)
{
    struct vqp_val_info info = {.role = VQP_VAL_CONSTANT};
    name = name ? name : "";
    if (!recording(p) || check_value(p, "constant", name, dtype, s, &info))
        return 0;
    if (!data) {
        poison(p, VQP_E_SHAPE, "constant \"%s\" has no data", QUOTED(name));
        return 0;
    }
    info.data = copy_data(p, data, info.bytes);
    return info.data ? add_value(p, &info, NULL) : 0;
}

static vqp_val record_state(vqp_program *p, const char *name, uint32_t dtype, const struct vqp_shape *s,
                            const void *init)
{
    struct vqp_val_info info = {.role = VQP_VAL_STATE};
    struct extra extra = {"", NULL};
    if (!recording(p) || !(info.name = full_name(p, "state", name)) || name_taken(p, "state", info.name) ||
        check_value(p, "state", info.name, dtype, s, &info))
        return 0;
    if (init && !(extra.init = copy_data(p, init, info.bytes)))
        return 0;
    return add_value(p, &info, &extra);
}

static vqp_val record_weight(vqp_program *p, const char *name)
{
    struct vqp_val_info info = {.role = VQP_VAL_WEIGHT};
    struct extra extra = {p->owner, NULL};
    struct vqp_tensor_view found = {0};
    struct vqp_error err = {0};
    if (!recording(p))
        return 0;
    if (!name || !*name) {
        poison(p, VQP_E_SHAPE, "weight without a name");
        return 0;
    }
    for (vqp_val v = 1; v < p->n_vals; v++)
        if (p->vals[v].role == VQP_VAL_WEIGHT && p->vals[v].root == v && !strcmp(p->vals[v].name, name) &&
            !strcmp(p->extra[v].owner, p->owner))
            return v;
    if (!p->env.weight) {
        poison(p, VQP_E_IO, "weight \"%s\": there are no model files here", QUOTED(name));
        return 0;
    }
    vqp_status status = p->env.weight(p->env.ctx, *p->owner ? p->owner : NULL, name, &found, &err);
    if (status) {
        poison(p, status, "%s", err.msg);
        return 0;
    }
    if (check_shape(p, VQP_E_FORMAT, "weight", name, found.dtype, &found.shape, &info))
        return 0;
    if (!found.data || found.bytes != info.bytes) {
        poison(p, VQP_E_FORMAT, "weight \"%s\" has %llu bytes of data, expected %llu", QUOTED(name),
               found.data ? (unsigned long long)found.bytes : 0, (unsigned long long)info.bytes);
        return 0;
    }
    info.data = found.data;
    info.name = vqp_arena_strdup(&p->mem, name);
    if (!info.name)
        poison_nomem(p);
    return info.name ? add_value(p, &info, &extra) : 0;
}

/* The scale of a q8_0 weight is the tensor NAME.scale beside it. */
static vqp_val scale_of(vqp_program *p, vqp_val weight)
{
    const char *name = p->vals[p->vals[weight].root].name, *owner = p->owner;
    char *full = vqp_arena_printf(&p->mem, "%s.scale", name);
    if (!full) {
        poison_nomem(p);
        return 0;
    }
    p->owner = p->extra[p->vals[weight].root].owner;
    vqp_val v = record_weight(p, full);
    p->owner = owner;
    return v;
}

static int32_t record_has_weight(vqp_program *p, const char *name)
{
    return !p->error.code && name && *name && p->env.has_weight &&
           p->env.has_weight(p->env.ctx, *p->owner ? p->owner : NULL, name);
}

static vqp_val record_view(vqp_program *p, vqp_val v, const struct vqp_shape *s)
{
    char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
    uint64_t bytes;
    if (!recording(p))
        return 0;
    if (!v || v >= p->n_vals || !s) {
        poison(p, VQP_E_SHAPE, "view: %s is missing", s ? "the value" : "the shape");
        return 0;
    }
    struct vqp_val_info info = p->vals[v];
    if (vqp_shape_equal(&info.shape, s))
        return v;
    if (vqp_shape_bytes(s, info.dtype, &bytes) || bytes != info.bytes) {
        poison(p, info.role == VQP_VAL_WEIGHT ? VQP_E_FORMAT : VQP_E_SHAPE,
               "view: %s%s%s has not as many elements as %s", vqp_shape_text(&info.shape, have),
               info.name ? " of " : "", info.name ? QUOTED(info.name) : "", vqp_shape_text(s, want));
        return 0;
    }
    info.shape = (struct vqp_shape){.rank = s->rank};
    memcpy(info.shape.dim, s->dim, s->rank * sizeof *s->dim);
    info.name = NULL;
    return add_value(p, &info, NULL);
}

static const struct vqp_val_info *record_describe(vqp_program *p, vqp_val v)
{
    return &p->vals[v < p->n_vals ? v : 0];
}

/* ---- ops, outputs, scopes ---------------------------------------------------------------------------------------- */

static vqp_val record_emit(vqp_program *p, struct vqp_op *op)
{
    memset(op->out, 0, sizeof op->out);
    if (!recording(p))
        return 0;
    if (op->kind == VQP_OP_CONV2D) { /* backends need not know that 0 means 1 */
        op->u.conv.stride = op->u.conv.stride ? op->u.conv.stride : 1;
        op->u.conv.groups = op->u.conv.groups ? op->u.conv.groups : 1;
        op->u.conv.upsample = op->u.conv.upsample ? op->u.conv.upsample : 1;
    }
    vqp_val weight = op->in[1];
    if (op->kind == VQP_OP_LINEAR && weight < p->n_vals && p->vals[weight].dtype == VQP_Q8_0 && !op->in[5] &&
        !(op->in[5] = scale_of(p, weight)))
        return 0;
    return add_op(p, op, path(p));
}

static void record_output(vqp_program *p, const char *name, vqp_val v)
{
    if (!recording(p) || !(name = full_name(p, "output", name)) || name_taken(p, "output", name))
        return;
    if (!v || v >= p->n_vals)
        poison(p, VQP_E_SHAPE, "output \"%s\": the value is missing", QUOTED(name));
    else if (reserve(&p->given, &p->cap_given, p->n_given, sizeof *p->given))
        poison_nomem(p);
    else
        p->given[p->n_given++] = (struct given){name, path(p), v};
}

static void record_scope(vqp_program *p, const char *name)
{
    if (!recording(p))
        return;
    if (!name) {
        if (p->scope)
            p->scope = p->scope->up;
        else
            poison(p, VQP_E_SHAPE, "a scope is closed that was not opened");
        return;
    }
    struct scope *s = vqp_arena_alloc(&p->mem, 1, sizeof *s);
    if (s) {
        s->up = p->scope;
        s->path = *path(p) ? vqp_arena_printf(&p->mem, "%s/%s", path(p), name) : vqp_arena_strdup(&p->mem, name);
    }
    if (s && s->path)
        p->scope = s;
    else
        poison_nomem(p);
}

static void check_scopes_closed(vqp_program *p)
{
    if (p->scope)
        poison(p, VQP_E_SHAPE, "this scope is still open at the end; close it with scope(p, NULL)");
}

static void record_fail(vqp_program *p, vqp_status code, const char *msg)
{
    poison(p, code < 0 ? code : VQP_E_PLUGIN, "%s", msg && *msg ? msg : "the component failed and does not say why");
}

/* The caller's struct may be shorter than ours, never the other way round: it grows at its end. */
static int check_call(vqp_program *p, struct vqp_host_call *c)
{
    struct vqp_val_info info = {0};
    if (!c->name || !*c->name) {
        poison(p, VQP_E_SHAPE, "host_call without a name");
        return -1;
    }
    if (!c->fn)
        poison(p, VQP_E_SHAPE, "host_call \"%s\" has no function", QUOTED(c->name));
    else if (c->n_in > VQP_OP_MAX_IN || c->n_out > VQP_OP_MAX_OUT)
        poison(p, VQP_E_SHAPE, "host_call \"%s\" has %u inputs and %u outputs, expected at most %d and %d",
               QUOTED(c->name), c->n_in, c->n_out, VQP_OP_MAX_IN, VQP_OP_MAX_OUT);
    for (uint32_t i = 0; !p->error.code && i < c->n_in; i++)
        if (!c->in[i] || c->in[i] >= p->n_vals)
            poison(p, VQP_E_SHAPE, "host_call \"%s\": input %u is missing", QUOTED(c->name), i);
    for (uint32_t i = 0; !p->error.code && i < c->n_out; i++)
        if (!check_value(p, "output of host_call", c->name, c->out_dtype[i], &c->out_shape[i], &info))
            c->out_shape[i] = info.shape;
    return p->error.code;
}

static vqp_val record_host_call(vqp_program *p, const struct vqp_host_call *call, vqp_val *out)
{
    struct vqp_host_call c = {0};
    uint32_t size = call ? call->struct_size : 0;
    for (uint32_t i = 0; out && call && i < call->n_out && i < VQP_OP_MAX_OUT; i++)
        out[i] = 0;
    if (!recording(p))
        return 0;
    if (call)
        memcpy(&c, call, size < sizeof c ? size : sizeof c);
    if (check_call(p, &c))
        return 0;
    struct vqp_op op = {.kind = VQP_OP_HOST_CALL, .u.raw = {p->n_calls}};
    memcpy(op.in, c.in, c.n_in * sizeof *op.in);
    c.name = vqp_arena_strdup(&p->mem, c.name);
    if (!c.name || reserve(&p->calls, &p->cap_calls, p->n_calls, sizeof *p->calls)) {
        poison_nomem(p);
        return 0;
    }
    p->calls[p->n_calls++] = c;
    append_op(p, &op, path(p), (int)c.n_out, c.out_dtype, c.out_shape);
    for (uint32_t i = 0; out && i < c.n_out; i++)
        out[i] = p->error.code ? 0 : op.out[i];
    return p->error.code ? 0 : op.out[0];
}

const struct vqp_program_api vqp_program_api_table = {
    .struct_size = sizeof(struct vqp_program_api),
    .input = record_input,
    .link = record_link,
    .constant = record_constant,
    .state = record_state,
    .weight = record_weight,
    .has_weight = record_has_weight,
    .view = record_view,
    .describe = record_describe,
    .emit = record_emit,
    .output = record_output,
    .scope = record_scope,
    .fail = record_fail,
    .host_call = record_host_call,
};

/* ---- what core does ---------------------------------------------------------------------------------------------- */

vqp_program *vqp_program_create(const char *name, const struct vqp_builder_env *env)
{
    vqp_program *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (env)
        p->env = *env;
    p->owner = "";
    p->name = vqp_arena_strdup(&p->mem, name);
    if (p->name)
        add_value(p, &(struct vqp_val_info){0}, NULL); /* value 0, which is none */
    if (!p->n_vals) {
        vqp_program_destroy(p);
        return NULL;
    }
    return p;
}

void vqp_program_destroy(vqp_program *p)
{
    if (!p)
        return;
    free(p->vals);
    free(p->extra);
    free(p->ops);
    free(p->op_scope);
    free(p->given);
    free(p->calls);
    vqp_arena_free(&p->mem);
    free(p);
}

void vqp_program_set_owner(vqp_program *p, const char *owner)
{
    check_scopes_closed(p);
    if (!recording(p))
        return;
    const char *copy = vqp_arena_strdup(&p->mem, owner ? owner : "");
    if (copy)
        p->owner = copy;
    else
        poison_nomem(p);
}

vqp_val vqp_program_find_output(const vqp_program *p, const char *full_name)
{
    const struct given *g = find_given(p, full_name);
    return g ? g->val : 0;
}

vqp_val vqp_program_take_output(vqp_program *p, const char *full_name)
{
    struct given *g = recording(p) ? find_given(p, full_name) : NULL;
    if (!g)
        return 0;
    vqp_val v = g->val;
    size_t after = (size_t)(&p->given[--p->n_given] - g);
    memmove(g, g + 1, after * sizeof *g);
    return v;
}

vqp_status vqp_program_error(const vqp_program *p, struct vqp_error *err)
{
    if (p->error.code && err)
        *err = p->error;
    return p->error.code;
}

/* Makes a given value an OUTPUT root: itself, or a copy. */
static void give_out(vqp_program *p, struct given *g)
{
    const struct vqp_val_info *info = &p->vals[g->val];
    if (info->role != VQP_VAL_TEMP || info->root != g->val) {
        uint32_t dtype = info->dtype == VQP_I32 || info->dtype == VQP_U8 ? info->dtype : VQP_F32;
        struct vqp_op op = {.kind = VQP_OP_CAST, .in = {g->val}, .u.cast.dtype = dtype};
        g->val = add_op(p, &op, g->scope);
    }
    if (g->val) {
        p->vals[g->val].role = VQP_VAL_OUTPUT;
        p->vals[g->val].name = g->name;
    }
}

/* The ops that are needed, each with its scope, into the view. */
static void keep_live(vqp_program *p)
{
    struct vqp_op *ops = vqp_arena_alloc(&p->mem, p->n_ops, sizeof *ops);
    const char **scope = vqp_arena_alloc(&p->mem, p->n_ops, sizeof *scope);
    uint32_t n = UINT32_MAX;
    if (ops && scope) {
        if (p->n_ops)
            memcpy(ops, p->ops, p->n_ops * sizeof *ops);
        n = vqp_plan_drop_dead(ops, p->n_ops, p->vals, p->n_vals);
    }
    if (n == UINT32_MAX) {
        poison_nomem(p);
        return;
    }
    /* Ops that can be dropped have outputs of their own, so that the first equal op is the right one. */
    for (uint32_t from = 0, to = 0; to < n; from++)
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): they are copies, of equal bytes */
        if (!memcmp(&p->ops[from], &ops[to], sizeof *ops))
            scope[to++] = p->op_scope[from];
    p->view.ops = ops;
    p->view.op_scope = scope;
    p->view.n_ops = n;
}

vqp_status vqp_program_seal(vqp_program *p, struct vqp_error *err)
{
    if (p->sealed)
        return vqp_program_error(p, err);
    check_scopes_closed(p);
    for (uint32_t i = 0; i < p->n_given && !p->error.code; i++)
        give_out(p, &p->given[i]);
    for (vqp_val v = 1; v < p->n_vals; v++)
        p->vals[v].role = p->vals[p->vals[v].root].role;
    if (!p->error.code)
        keep_live(p);
    struct vqp_error plan;
    if (!p->error.code && vqp_plan_arena(p->view.ops, p->view.n_ops, p->vals, p->n_vals, &p->view.arena_bytes, &plan))
        poison(p, plan.code, "%s", plan.msg);
    if (p->error.code)
        return vqp_program_error(p, err);
    p->view.struct_size = sizeof p->view;
    p->view.name = p->name;
    p->view.n_vals = p->n_vals;
    p->view.vals = p->vals;
    p->sealed = 1;
    return VQP_OK;
}

const struct vqp_program_view *vqp_program_view(const vqp_program *p)
{
    return p->sealed ? &p->view : NULL;
}

const struct vqp_host_call *vqp_program_host_call(const vqp_program *p, uint32_t i)
{
    return &p->calls[i];
}

const void *vqp_program_state_init(const vqp_program *p, vqp_val v)
{
    return v < p->n_vals ? p->extra[v].init : NULL;
}
