#include "host_backend.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *name_of(const void *self)
{
    return ((const struct vqp_hb *)self)->cls->name;
}

struct vqp_buffer {
    uint64_t bytes;
    _Alignas(64) unsigned char data[];
};
enum {
    LARGE_PAGE = 1 << 21
};

void *vqp_hb_memory(uint64_t bytes)
{
    if (bytes > (uint64_t)INT64_MAX - LARGE_PAGE)
        return NULL;
    uint64_t align = bytes < LARGE_PAGE ? 64 : LARGE_PAGE;
    void *p = aligned_alloc(align, (bytes / align + 1) * align);
#ifdef MADV_HUGEPAGE
    if (p && bytes >= LARGE_PAGE) /* but for the rest, of which a large page would waste most */
        madvise(p, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
    return p;
}

void *vqp_hb_zeroed(uint64_t bytes)
{
    void *p = vqp_hb_memory(bytes);
    return p ? memset(p, 0, bytes ? bytes : 1) : NULL;
}

/* ---- devices and buffers ---- */

void vqp_hb_describe(const struct vqp_hb_class *cls, struct vqp_device_info *out)
{
    uint32_t size = out->struct_size;
    struct vqp_device_info info = {.struct_size = size, .is_host = 1, .usable = 1, .alignment = 1};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    snprintf(info.name, sizeof info.name, "host processor");
    snprintf(info.driver, sizeof info.driver, "%s", cls->driver);
    if (pages > 0 && page > 0)
        info.memory_bytes = (uint64_t)pages * (uint64_t)page;
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
}

void vqp_hb_info(void *self, struct vqp_device_info *out)
{
    vqp_hb_describe(((struct vqp_hb *)self)->cls, out);
}

vqp_status vqp_hb_buffer_create(void *self, uint64_t bytes, vqp_buffer **out, struct vqp_error *err)
{
    struct vqp_buffer *b = bytes <= INT64_MAX / 2 ? vqp_hb_zeroed(sizeof *b + bytes) : NULL;
    if (!b)
        return vqp_fail(err, VQP_E_NOMEM, "%s: no memory for a buffer of %llu bytes", name_of(self),
                        (unsigned long long)bytes);
    b->bytes = bytes;
    *out = b;
    return VQP_OK;
}

void vqp_hb_buffer_destroy(void *self, vqp_buffer *b)
{
    (void)self;
    free(b);
}

static vqp_status check_range(const void *self, const char *what, const vqp_buffer *b, uint64_t off, uint64_t n,
                              struct vqp_error *err)
{
    if (off <= b->bytes && n <= b->bytes - off)
        return VQP_OK;
    return vqp_fail(err, VQP_E_INTERNAL, "%s: %s of %llu bytes at %llu, but the buffer has %llu bytes", name_of(self),
                    what, (unsigned long long)n, (unsigned long long)off, (unsigned long long)b->bytes);
}

vqp_status vqp_hb_upload(void *self, vqp_buffer *b, uint64_t off, const void *src, uint64_t n, struct vqp_error *err)
{
    vqp_status st = check_range(self, "upload", b, off, n, err);
    if (st == VQP_OK && n)
        memcpy(b->data + off, src, n);
    return st;
}

vqp_status vqp_hb_download(void *self, vqp_buffer *b, uint64_t off, void *dst, uint64_t n, struct vqp_error *err)
{
    vqp_status st = check_range(self, "download", b, off, n, err);
    if (st == VQP_OK && n)
        memcpy(dst, b->data + off, n);
    return st;
}

/* ---- programs ---- */

static uint32_t activation(const struct vqp_op *op)
{
    switch (op->kind) {
    case VQP_OP_LINEAR: return op->u.linear.act;
    case VQP_OP_CONV2D: return op->u.conv.act;
    case VQP_OP_GROUP_NORM: return op->u.norm.act;
    default: return VQP_ACT_NONE;
    }
}

int32_t vqp_hb_supports(void *self, const struct vqp_program_view *p, uint32_t i)
{
    const struct vqp_hb_kind *kinds = ((struct vqp_hb *)self)->cls->kinds;
    const struct vqp_op *op = &p->ops[i];
    if (op->kind >= VQP_OP_PLAIN_END || !kinds[op->kind].run || op->flags || activation(op) > VQP_ACT_SILU)
        return 0;
    if (kinds[op->kind].packs && p->vals[op->in[1]].role != VQP_VAL_WEIGHT &&
        p->vals[op->in[1]].role != VQP_VAL_CONSTANT)
        return 0;
    for (int k = 0; k < VQP_OP_MAX_IN; k++) {
        uint32_t dtype = op->in[k] ? p->vals[op->in[k]].dtype : VQP_F32;
        int q8 = dtype == VQP_Q8_0 && op->kind == VQP_OP_LINEAR && k == 1 && kinds[op->kind].takes_q8_0;
        if ((dtype < VQP_F32 || dtype > VQP_BF16) && !q8)
            return 0;
    }
    return 1;
}

/* What compile() holds while it works. */
struct compile {
    struct vqp_hb_prepare c;
    struct vqp_hb_exec *x;
    void **at;       /* where each value's storage begins */
    uint32_t *dtype; /* how each root is stored */
};

vqp_status vqp_hb_no_memory(const struct vqp_hb_prepare *c)
{
    return vqp_fail(c->err, VQP_E_NOMEM, "%s: no memory to compile the program %s", name_of(c->self), c->p->name);
}

static vqp_status bind(struct compile *k, const struct vqp_binding *bindings, uint32_t n)
{
    const struct vqp_program_view *p = k->c.p;
    for (uint32_t i = 0; i < n; i++) {
        vqp_val v = bindings[i].val;
        if (v == 0 || v >= p->n_vals || !bindings[i].buffer || bindings[i].buffer->bytes < p->vals[v].bytes)
            return vqp_fail(k->c.err, VQP_E_INTERNAL,
                            "%s: %s: binding %u has no such value, no buffer, or one that is too small",
                            name_of(k->c.self), p->name, (unsigned)i);
        k->at[v] = bindings[i].buffer->data;
    }
    return VQP_OK;
}

/* Fills k->at for every root that has no binding, then for the views. CONSTANT data is copied: it is gone after compile. */
static vqp_status place_values(struct compile *k)
{
    const struct vqp_program_view *p = k->c.p;
    const struct vqp_val_info *vals = p->vals;
    uint64_t constants = 0, off = 0;
    for (uint32_t v = 1; v < p->n_vals; v++)
        if (vals[v].role == VQP_VAL_CONSTANT && vals[v].root == v)
            constants += (vals[v].bytes + 63) / 64 * 64;
    k->x->constants = vqp_hb_zeroed(constants);
    k->x->arena = vqp_hb_zeroed(p->arena_bytes);
    if (!k->x->constants || !k->x->arena)
        return vqp_hb_no_memory(&k->c);
    for (uint32_t v = 1; v < p->n_vals; v++) {
        if (vals[v].root != v)
            continue;
        k->dtype[v] = vals[v].dtype;
        if (vals[v].role == VQP_VAL_TEMP) {
            k->at[v] = k->x->arena + vals[v].arena_offset;
        } else if (vals[v].role == VQP_VAL_WEIGHT) {
            k->at[v] = (void *)vals[v].data; /* nothing writes through it: no op has a weight as its result */
        } else if (vals[v].role == VQP_VAL_CONSTANT) {
            k->at[v] = k->x->constants + off;
            memcpy(k->at[v], vals[v].data, vals[v].bytes);
            off += (vals[v].bytes + 63) / 64 * 64;
        }
    }
    for (uint32_t v = 1; v < p->n_vals; v++)
        k->at[v] = k->at[vals[v].root];
    if (k->c.self->cls->storage)
        k->c.self->cls->storage(k->c.self, p, k->dtype);
    return VQP_OK;
}

static vqp_status resolve(const struct compile *k, vqp_val v, int as_stored, struct vqp_hb_arg *out)
{
    if (!v)
        return VQP_OK;
    const struct vqp_val_info *val = &k->c.p->vals[v];
    *out = (struct vqp_hb_arg){.data = k->at[v], .dtype = k->dtype[val->root], .rank = val->shape.rank, .count = 1};
    for (uint32_t i = 0; i < out->rank; i++) {
        out->dim[i] = val->shape.dim[i];
        out->count *= (uint64_t)out->dim[i];
    }
    if (!out->data)
        return vqp_fail(k->c.err, VQP_E_INTERNAL, "%s: %s: value %%%u has no storage", name_of(k->c.self), k->c.p->name,
                        (unsigned)v);
    if (val->role == VQP_VAL_WEIGHT && !as_stored &&
        (val->dtype == VQP_F32 || val->dtype == VQP_F16 || val->dtype == VQP_BF16)) {
        out->data = (void *)vqp_hb_weights_f32(k->c.self->weights, out->data, val->dtype, out->count);
        out->dtype = VQP_F32;
        if (!out->data)
            return vqp_hb_no_memory(&k->c);
    }
    return VQP_OK;
}

static vqp_status prepare(struct compile *k, const struct vqp_op *op, struct vqp_hb_node *node, uint64_t *scratch)
{
    const struct vqp_hb_kind *kind = &k->c.self->cls->kinds[op->kind];
    vqp_status st = VQP_OK;
    node->op = *op;
    node->run = kind->run;
    node->release = kind->release;
    for (int i = 0; i < VQP_OP_MAX_IN && st == VQP_OK; i++)
        st = resolve(k, op->in[i], kind->packs && i == 1, &node->in[i]);
    for (int i = 0; i < VQP_OP_MAX_OUT && st == VQP_OK; i++)
        st = resolve(k, op->out[i], 0, &node->out[i]);
    k->c.weight_1 = k->c.p->vals[op->in[1]].role == VQP_VAL_WEIGHT;
    if (st == VQP_OK && kind->prepare)
        st = kind->prepare(&k->c, node);
    if (st == VQP_OK && kind->scratch) {
        uint64_t bytes = kind->scratch(node);
        *scratch = bytes > *scratch ? bytes : *scratch;
    }
    return st;
}

void vqp_hb_exec_destroy(void *self, vqp_exec *exec)
{
    (void)self;
    struct vqp_hb_exec *x = (struct vqp_hb_exec *)exec;
    if (!x)
        return;
    for (uint32_t i = 0; x->nodes && i < x->n_nodes; i++)
        if (x->nodes[i].own)
            x->nodes[i].release(x->nodes[i].own);
    free(x->nodes);
    free(x->ns);
    free(x->arena);
    free(x->constants);
    free(x->scratch);
    free(x);
}

vqp_status vqp_hb_compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                          vqp_exec **out, struct vqp_error *err)
{
    struct compile k = {.c = {.self = self, .p = p, .err = err},
                        .x = calloc(1, sizeof *k.x),
                        .at = calloc(p->n_vals + 1u, sizeof *k.at),
                        .dtype = calloc(p->n_vals + 1u, sizeof *k.dtype)};
    vqp_status st = k.x && k.at && k.dtype ? VQP_OK : vqp_hb_no_memory(&k.c);
    uint64_t scratch = 0;
    if (st == VQP_OK) {
        k.x->self = self;
        k.x->host = k.x->self->host;
        k.x->n_nodes = p->n_ops;
        k.x->nodes = calloc(p->n_ops + 1u, sizeof *k.x->nodes);
        k.x->ns = calloc(p->n_ops + 1u, sizeof *k.x->ns);
        st = k.x->nodes && k.x->ns ? bind(&k, b, n) : vqp_hb_no_memory(&k.c);
    }
    if (st == VQP_OK)
        st = place_values(&k);
    for (uint32_t i = 0; i < p->n_ops && st == VQP_OK; i++)
        st = vqp_hb_supports(self, p, i)
                 ? prepare(&k, &p->ops[i], &k.x->nodes[i], &scratch)
                 : vqp_fail(err, VQP_E_UNSUPPORTED, "%s: %s: op %u is of kind %u, which it lacks", name_of(self),
                            p->name, (unsigned)i, (unsigned)p->ops[i].kind);
    if (st == VQP_OK && !(k.x->scratch = vqp_hb_zeroed(scratch)))
        st = vqp_hb_no_memory(&k.c);
    free(k.at);
    free(k.dtype);
    if (st == VQP_OK)
        *out = (vqp_exec *)k.x;
    else
        vqp_hb_exec_destroy(self, (vqp_exec *)k.x);
    return st;
}

uint64_t vqp_hb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

vqp_status vqp_hb_run(void *self, vqp_exec *exec, uint32_t times, struct vqp_error *err)
{
    struct vqp_hb_exec *x = (struct vqp_hb_exec *)exec;
    atomic_store(&x->cancelled, 0);
    memset(x->ns, 0, x->n_nodes * sizeof *x->ns);
    uint64_t start = vqp_hb_now();
    for (uint32_t t = 0; t < times; t++)
        for (uint32_t i = 0; i < x->n_nodes; i++) {
            if (!vqp_hb_cancelled(x))
                x->nodes[i].run(x, &x->nodes[i]);
            if (atomic_load(&x->cancelled))
                return vqp_fail(err, VQP_E_CANCELLED, "%s: cancelled", name_of(self));
            uint64_t end = vqp_hb_now();
            x->ns[i] += end - start;
            start = end;
        }
    return VQP_OK;
}

vqp_status vqp_hb_profile(void *self, vqp_exec *exec, uint64_t *ns, uint32_t cap, uint32_t *n)
{
    (void)self;
    struct vqp_hb_exec *x = (struct vqp_hb_exec *)exec;
    *n = cap < x->n_nodes ? cap : x->n_nodes;
    memcpy(ns, x->ns, *n * sizeof *ns);
    return VQP_OK;
}

void vqp_hb_forget(void *self, const void *data)
{
    vqp_hb_weights_forget(((struct vqp_hb *)self)->weights, data);
}

/* ---- the instance ---- */

struct vqp_hb *vqp_hb_create(const struct vqp_hb_class *cls, size_t bytes, const struct vqp_create_args *args,
                             struct vqp_error *err)
{
    if (args->device && strcmp(args->device, "0") != 0) {
        vqp_fail(err, VQP_E_ARG, "%s: device %s: there is one device, 0; leave `device` out", cls->name, args->device);
        return NULL;
    }
    struct vqp_hb *hb = calloc(1, bytes);
    if (!hb || !(hb->weights = vqp_hb_weights_create(args->host))) {
        free(hb);
        vqp_fail(err, VQP_E_NOMEM, "%s: no memory to create the backend", cls->name);
        return NULL;
    }
    hb->cls = cls;
    hb->host = args->host;
    return hb;
}

void vqp_hb_destroy(void *self)
{
    struct vqp_hb *hb = self;
    if (!hb)
        return;
    vqp_hb_weights_destroy(hb->weights);
    free(hb);
}
