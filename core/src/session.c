#include "session.h"
#include "host_piece.h"
#include "shape.h"
#include <stdlib.h>
#include <string.h>

/* ---- slots ------------------------------------------------------------------------------------------------------ */

struct vqp_slot *vqp_session_find(const struct vqp_session *s, const char *name)
{
    struct vqp_slot *slot = s->slots;
    while (slot && strcmp(slot->name, name))
        slot = slot->next;
    return slot;
}

vqp_status vqp_session_slot(struct vqp_session *s, const char *name, uint32_t dtype, const struct vqp_shape *shape,
                            struct vqp_slot **out, struct vqp_error *err)
{
    struct vqp_slot *slot = vqp_session_find(s, name);
    if (slot && (slot->dtype != dtype || !vqp_shape_equal(&slot->shape, shape))) {
        char have[VQP_SHAPE_TEXT], want[VQP_SHAPE_TEXT];
        return vqp_fail(err, VQP_E_INTERNAL, "the value '%s' is %s%s in one program and %s%s in another", name,
                        vqp_dtype_name(slot->dtype), vqp_shape_text(&slot->shape, have), vqp_dtype_name(dtype),
                        vqp_shape_text(shape, want));
    }
    if (!slot) {
        slot = vqp_arena_alloc(&s->arena, 1, sizeof *slot);
        if (!slot || !(slot->name = vqp_arena_strdup(&s->arena, name)))
            return vqp_fail(err, VQP_E_NOMEM, "recording: out of memory");
        slot->dtype = dtype;
        slot->shape = *shape;
        if (vqp_shape_bytes(shape, dtype, &slot->bytes))
            return vqp_fail(err, VQP_E_NOMEM, "the value '%s' is larger than memory can be", name);
        slot->next = s->slots;
        s->slots = slot;
    }
    *out = slot;
    return VQP_OK;
}

static vqp_status blame(const struct vqp_backend_instance *b, vqp_status st, const struct vqp_error *e,
                        struct vqp_error *err)
{
    if (st == VQP_E_CANCELLED)
        return vqp_fail(err, st, "cancelled");
    return vqp_fail(err, st, "backend (%s): %s", b->name, e->msg);
}

/* ---- compile ---------------------------------------------------------------------------------------------------- */

static vqp_status check_support(const struct vqp_piece *piece, struct vqp_error *err)
{
    const struct vqp_program_view *v = piece->view;
    const struct vqp_backend_instance *b = piece->backend;
    for (uint32_t i = 0; i < v->n_ops; i++) {
        if (b->v->supports(b->self, v, i))
            continue;
        char text[VQP_SHAPE_TEXT];
        const struct vqp_val_info *x = &v->vals[v->ops[i].in[0]];
        return vqp_fail(err, VQP_E_UNSUPPORTED, "backend (%s) cannot run %s on %s%s in %s; use another backend",
                        b->name, vqp_op_name(v->ops[i].kind), vqp_dtype_name(x->dtype), vqp_shape_text(&x->shape, text),
                        v->op_scope[i]);
    }
    return VQP_OK;
}

static vqp_status compile_piece(struct vqp_piece *piece, struct vqp_error *err)
{
    const struct vqp_backend_instance *b = piece->backend;
    struct vqp_error e = {0};
    if (piece->host)
        return vqp_host_piece_prepare(piece, err);
    vqp_status st = check_support(piece, err);
    if (st)
        return st;
    struct vqp_binding *bind = calloc(piece->n_bound + 1, sizeof *bind);
    if (!bind)
        return vqp_fail(err, VQP_E_NOMEM, "compiling: out of memory");
    for (uint32_t i = 0; !st && i < piece->n_bound; i++) {
        struct vqp_slot *slot = piece->bound[i].slot;
        if (!slot->buffer[b->index])
            st = b->v->buffer_create(b->self, slot->bytes, &slot->buffer[b->index], &e);
        bind[i] = (struct vqp_binding){.val = piece->bound[i].val, .buffer = slot->buffer[b->index]};
    }
    if (!st)
        st = b->v->compile(b->self, piece->view, bind, piece->n_bound, &piece->exec, &e);
    free(bind);
    return st ? blame(b, st, &e, err) : VQP_OK;
}

vqp_status vqp_session_compile(struct vqp_session *s, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    if (s->compiled)
        return VQP_OK;
    for (uint32_t phase = 0; !st && phase < VQP_N_PHASES; phase++)
        for (struct vqp_piece *p = s->piece[phase]; !st && p; p = p->next)
            st = compile_piece(p, err);
    s->compiled = !st;
    return st;
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

static struct vqp_backend_instance *backend_at(const struct vqp_session *s, uint32_t index)
{
    struct vqp_backend_instance *b = s->assembly->backends;
    while (b && b->index != index)
        b = b->next;
    return b;
}

static vqp_status upload_slot(struct vqp_session *s, struct vqp_slot *slot, const void *data, uint64_t n,
                              struct vqp_error *err)
{
    if (n > slot->bytes)
        return vqp_fail(err, VQP_E_INTERNAL, "%llu bytes for the value '%s' of %llu", (unsigned long long)n, slot->name,
                        (unsigned long long)slot->bytes);
    for (uint32_t i = 0; i < VQP_MAX_BACKENDS; i++) {
        if (!slot->buffer[i])
            continue;
        struct vqp_error e = {0};
        struct vqp_backend_instance *b = backend_at(s, i);
        vqp_status st = b->v->upload(b->self, slot->buffer[i], 0, data, n, &e);
        if (st)
            return blame(b, st, &e, err);
        slot->valid[i] = 1;
    }
    if (slot->host) {
        memcpy(slot->host, data, n);
        slot->host_valid = 1;
    }
    return VQP_OK;
}

vqp_status vqp_session_upload(struct vqp_session *s, const char *name, const void *data, uint64_t n,
                              struct vqp_error *err)
{
    struct vqp_slot *slot = vqp_session_find(s, name);
    return slot ? upload_slot(s, slot, data, n, err) : VQP_OK;
}

static vqp_status download_slot(struct vqp_session *s, struct vqp_slot *slot, void *data, uint64_t n,
                                struct vqp_error *err)
{
    if (slot->host_valid) {
        memcpy(data, slot->host, n);
        return VQP_OK;
    }
    for (uint32_t i = 0; i < VQP_MAX_BACKENDS; i++) {
        if (!slot->buffer[i] || !slot->valid[i])
            continue;
        struct vqp_error e = {0};
        struct vqp_backend_instance *b = backend_at(s, i);
        vqp_status st = b->v->download(b->self, slot->buffer[i], 0, data, n, &e);
        return st ? blame(b, st, &e, err) : VQP_OK;
    }
    return vqp_fail(err, VQP_E_INTERNAL, "the value '%s' is read before anything wrote it", slot->name);
}

vqp_status vqp_session_download(struct vqp_session *s, const char *name, void *data, uint64_t n, struct vqp_error *err)
{
    struct vqp_slot *slot = vqp_session_find(s, name);
    if (!slot || n > slot->bytes)
        return vqp_fail(err, VQP_E_INTERNAL, "no value '%s' of that size to read", name);
    return download_slot(s, slot, data, n, err);
}

vqp_status vqp_session_reset(struct vqp_session *s, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++)
        for (struct vqp_piece *p = s->piece[phase]; p; p = p->next)
            for (uint32_t i = 0; !st && i < p->n_bound; i++) {
                if (p->bound[i].role != VQP_VAL_STATE)
                    continue;
                struct vqp_slot *slot = p->bound[i].slot;
                const void *init = vqp_program_state_init(p->program, p->bound[i].val);
                void *zeros = init ? NULL : calloc(1, slot->bytes);
                st = init || zeros ? upload_slot(s, slot, init ? init : zeros, slot->bytes, err)
                                   : vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
                free(zeros);
            }
    return st;
}

/* ---- run -------------------------------------------------------------------------------------------------------- */

/* Brings a value that was written elsewhere to the piece's own backend, through host memory. */
static vqp_status fetch(struct vqp_session *s, const struct vqp_piece *piece, struct vqp_slot *slot,
                        struct vqp_error *err)
{
    struct vqp_backend_instance *b = piece->backend;
    struct vqp_error e = {0};
    if (slot->valid[b->index])
        return VQP_OK;
    void *host = slot->host ? slot->host : malloc(slot->bytes);
    if (!host)
        return vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    vqp_status st = slot->host_valid ? VQP_OK : download_slot(s, slot, host, slot->bytes, err);
    if (!st && (st = b->v->upload(b->self, slot->buffer[b->index], 0, host, slot->bytes, &e)))
        blame(b, st, &e, err);
    if (host != slot->host)
        free(host);
    else
        slot->host_valid = !st;
    slot->valid[b->index] = !st;
    return st;
}

static vqp_status fetch_to_host(struct vqp_session *s, struct vqp_slot *slot, struct vqp_error *err)
{
    vqp_status st = slot->host_valid ? VQP_OK : download_slot(s, slot, slot->host, slot->bytes, err);
    slot->host_valid = !st;
    return st;
}

/* What the piece has written is nowhere else any more. */
static void mark_written(const struct vqp_piece *p)
{
    for (uint32_t i = 0; i < p->n_bound; i++) {
        struct vqp_slot *slot = p->bound[i].slot;
        if (p->bound[i].role == VQP_VAL_INPUT || (p->host && p->bound[i].role == VQP_VAL_STATE))
            continue;
        memset(slot->valid, 0, sizeof slot->valid);
        slot->host_valid = p->host != NULL;
        slot->valid[p->backend->index] = !p->host;
    }
}

vqp_status vqp_session_run_piece(struct vqp_session *s, struct vqp_piece *p, uint32_t times, struct vqp_error *err)
{
    struct vqp_backend_instance *b = p->backend;
    struct vqp_error e = {0};
    vqp_status st = VQP_OK;
    for (uint32_t i = 0; !st && i < p->n_bound; i++)
        if (p->bound[i].role != VQP_VAL_OUTPUT)
            st = p->host ? fetch_to_host(s, p->bound[i].slot, err) : fetch(s, p, p->bound[i].slot, err);
    if (st)
        return st;
    if (p->host)
        st = vqp_host_piece_run(p, err);
    else if ((st = b->v->run(b->self, p->exec, times, &e)))
        st = blame(b, st, &e, err);
    if (st)
        return st;
    mark_written(p);
    if (atomic_load(&s->assembly->host->cancelled))
        return vqp_fail(err, VQP_E_CANCELLED, "cancelled");
    return VQP_OK;
}

vqp_status vqp_session_run(struct vqp_session *s, uint32_t phase, uint32_t times, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    for (struct vqp_piece *p = s->piece[phase]; !st && p; p = p->next)
        st = vqp_session_run_piece(s, p, times, err);
    return st;
}

/* Nonzero if some piece of the phase writes the slot at another place than where `reader` reads it. */
static int written_elsewhere(const struct vqp_session *s, uint32_t phase, const struct vqp_piece *reader,
                             const struct vqp_slot *slot)
{
    for (const struct vqp_piece *w = s->piece[phase]; w; w = w->next)
        for (uint32_t k = 0; k < w->n_bound; k++) {
            int writes = w->bound[k].role == VQP_VAL_OUTPUT || (w->bound[k].role == VQP_VAL_STATE && !w->host);
            if (writes && w->bound[k].slot == slot && (!w->host != !reader->host || w->backend != reader->backend))
                return 1;
        }
    return 0;
}

uint64_t vqp_session_crossing(const struct vqp_session *s, uint32_t phase)
{
    uint64_t bytes = 0;
    for (const struct vqp_piece *p = s->piece[phase]; p; p = p->next)
        for (uint32_t i = 0; i < p->n_bound; i++)
            if (p->bound[i].role != VQP_VAL_OUTPUT && written_elsewhere(s, phase, p, p->bound[i].slot))
                bytes += p->bound[i].slot->bytes;
    return bytes;
}

void vqp_session_destroy(struct vqp_session *s)
{
    if (!s)
        return;
    for (uint32_t phase = 0; phase < VQP_N_PHASES; phase++)
        for (struct vqp_piece *p = s->piece[phase]; p; p = p->next) {
            if (p->exec)
                p->backend->v->exec_destroy(p->backend->self, p->exec);
            if (p->owns_program)
                vqp_program_destroy(p->program);
        }
    for (struct vqp_slot *slot = s->slots; slot; slot = slot->next) {
        free(slot->host);
        for (uint32_t i = 0; i < VQP_MAX_BACKENDS; i++)
            if (slot->buffer[i]) {
                struct vqp_backend_instance *b = backend_at(s, i);
                b->v->buffer_destroy(b->self, slot->buffer[i]);
            }
    }
    vqp_arena_free(&s->arena);
    free(s);
}
