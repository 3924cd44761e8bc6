#include "record.h"
#include "cut.h"
#include "shape.h"
#include <stdlib.h>
#include <string.h>

static const struct vqp_program_api *const api = &vqp_program_api_table;
static const char *const phase_names[VQP_N_PHASES] = {"prepare", "step", "finish"};

/* The last log-probability that counts: diffusers clamps here, after guidance and truncation. */
static const float LOGP_FLOOR = -70.0f;

struct recorder {
    struct vqp_session *s;
    struct vqp_assembly *a;
    struct vqp_builder_env env;
    uint32_t phase, n_programs, n_pieces; /* of this phase so far */
    struct vqp_piece *piece, **end;       /* the open piece; where the next one is hooked in */
    struct vqp_error *err;
    /* the open piece's own view of this evaluation; 0 until asked for */
    vqp_val counter, t, tf, par, guide;
};

/* ---- what the builder asks -------------------------------------------------------------------------------------- */

static vqp_status env_weight(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                             struct vqp_error *err)
{
    const struct recorder *r = ctx;
    return vqp_assembly_weight(r->a, owner, name, out, err);
}

static int32_t env_has_weight(void *ctx, const char *owner, const char *name)
{
    const struct recorder *r = ctx;
    return vqp_assembly_has_weight(r->a, owner, name);
}

static int32_t env_find(void *ctx, const char *name, uint32_t *dtype, struct vqp_shape *shape)
{
    const struct recorder *r = ctx;
    const struct vqp_slot *slot = r->s ? vqp_session_find(r->s, name) : NULL;
    if (slot) {
        *dtype = slot->dtype;
        *shape = slot->shape;
    }
    return slot != NULL;
}

/* ---- pieces ----------------------------------------------------------------------------------------------------- */

/* Gives every bound value of the piece a slot. */
static vqp_status bind_piece(struct recorder *r, struct vqp_piece *piece)
{
    const struct vqp_program_view *view = piece->view;
    vqp_status st = VQP_OK;
    piece->bound = vqp_arena_alloc(&r->s->arena, view->n_vals + 1, sizeof *piece->bound);
    if (!piece->bound)
        return vqp_fail(r->err, VQP_E_NOMEM, "recording: out of memory");
    for (vqp_val v = 1; !st && v < view->n_vals; v++) {
        const struct vqp_val_info *info = &view->vals[v];
        if (info->root != v ||
            (info->role != VQP_VAL_INPUT && info->role != VQP_VAL_STATE && info->role != VQP_VAL_OUTPUT))
            continue;
        struct vqp_bound *b = &piece->bound[piece->n_bound++];
        b->val = v;
        b->role = info->role;
        st = vqp_session_slot(r->s, info->name, info->dtype, &info->shape, &b->slot, r->err);
    }
    return st;
}

/* The component whose scope this is: "scheduler/draw". */
static const struct vqp_instance *owner_of(struct recorder *r, const char *scope)
{
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++) {
        const struct vqp_instance *c = &r->a->component[i];
        size_t n = c->key ? strlen(c->key) : 0;
        if (n && !strncmp(scope, c->key, n) && (!scope[n] || scope[n] == '/'))
            return c;
    }
    return NULL;
}

static struct vqp_piece *add_piece(struct recorder *r, vqp_program *program, struct vqp_backend_instance *backend)
{
    struct vqp_piece *piece = vqp_arena_alloc(&r->s->arena, 1, sizeof *piece);
    if (!piece)
        return NULL;
    piece->program = program;
    piece->backend = backend;
    *r->end = piece;
    r->end = &piece->next;
    r->n_pieces++;
    return piece;
}

static void name_piece(const struct recorder *r, char *name, size_t n)
{
    snprintf(name, n, r->n_pieces ? "%s.%u" : "%s", phase_names[r->phase], r->n_pieces);
}

/* Makes the piece what the range says. */
static vqp_status cut_piece(struct recorder *r, struct vqp_piece *piece, struct vqp_range range, const char *name)
{
    const struct vqp_program_view *whole = vqp_program_view(piece->program);
    struct vqp_program_view *part = vqp_arena_alloc(&r->s->arena, 1, sizeof *part);
    const struct vqp_op *op = &whole->ops[range.first];
    if (part && op->kind == VQP_OP_HOST_CALL && (piece->host = vqp_arena_alloc(&r->s->arena, 1, sizeof *piece->host))) {
        piece->host->call = vqp_program_host_call(piece->program, op->u.raw[0]);
        piece->host->scope = whole->op_scope[range.first];
        piece->host->who = owner_of(r, piece->host->scope);
    }
    if (!part || (op->kind == VQP_OP_HOST_CALL && !piece->host))
        return vqp_fail(r->err, VQP_E_NOMEM, "recording: out of memory");
    piece->view = part;
    vqp_status st = vqp_cut_part(whole, range, name, &r->s->arena, part, r->err);
    return st ? st : bind_piece(r, piece);
}

/* Seals the open piece, takes it apart where it has host calls, and gives every bound value a slot. */
static vqp_status end_piece(struct recorder *r)
{
    struct vqp_piece *piece = r->piece;
    struct vqp_range range;
    if (!piece)
        return VQP_OK;
    r->piece = NULL;
    vqp_status st = vqp_program_error(piece->program, r->err);
    if (!st)
        st = vqp_program_seal(piece->program, r->err);
    if (st)
        return st;
    const struct vqp_program_view *whole = vqp_program_view(piece->program);
    if (!vqp_cut_next(whole, 0, &range) || (range.end == whole->n_ops && whole->ops[0].kind != VQP_OP_HOST_CALL)) {
        piece->view = whole;
        return bind_piece(r, piece);
    }
    st = cut_piece(r, piece, range, whole->name);
    while (!st && vqp_cut_next(whole, range.end, &range)) {
        char name[32];
        name_piece(r, name, sizeof name);
        struct vqp_piece *next = add_piece(r, piece->program, piece->backend);
        st = next ? cut_piece(r, next, range, name) : vqp_fail(r->err, VQP_E_NOMEM, "recording: out of memory");
    }
    return st;
}

static vqp_status begin_piece(struct recorder *r, struct vqp_backend_instance *backend)
{
    char name[32];
    name_piece(r, name, sizeof name);
    vqp_program *program = vqp_program_create(name, &r->env);
    struct vqp_piece *piece = program ? add_piece(r, program, backend) : NULL;
    if (!piece) {
        vqp_program_destroy(program);
        return vqp_fail(r->err, VQP_E_NOMEM, "recording: out of memory");
    }
    piece->owns_program = 1;
    r->piece = piece;
    r->n_programs++;
    r->counter = r->t = r->tf = r->par = r->guide = 0;
    return VQP_OK;
}

static void begin_phase(struct recorder *r, uint32_t phase)
{
    r->phase = phase;
    r->n_programs = r->n_pieces = 0;
    r->end = &r->s->piece[phase];
}

/* What follows is recorded for `backend`: in the open piece where it is of that backend, else in a new one. */
static vqp_status move_to(struct recorder *r, struct vqp_backend_instance *backend)
{
    if (r->piece && r->piece->backend == backend)
        return VQP_OK;
    vqp_status st = end_piece(r);
    return st ? st : begin_piece(r, backend);
}

static vqp_program *program_for(struct recorder *r, uint32_t iface)
{
    vqp_program_set_owner(r->piece->program, iface ? vqp_iface_name(iface) : NULL);
    return r->piece->program;
}

/* Refuses a value that is not what the contract says; 0 (an earlier failure) passes, that failure is reported anyway. */
static vqp_status expect(struct recorder *r, uint32_t iface, const char *what, vqp_val v, uint32_t dtype,
                         struct vqp_shape shape)
{
    char want[VQP_SHAPE_TEXT], have[VQP_SHAPE_TEXT];
    const struct vqp_instance *inst = vqp_component_of(r->a, iface);
    vqp_status st = vqp_program_error(r->piece->program, r->err);
    if (st)
        return st;
    const struct vqp_val_info *info = api->describe(r->piece->program, v);
    if (v && info->dtype == dtype && vqp_shape_equal(&info->shape, &shape))
        return VQP_OK;
    return vqp_fail(r->err, VQP_E_PLUGIN, "%s (%s) gave %s %s%s as %s, its contract says %s%s", inst->key, inst->use,
                    v ? "a" : "nothing,", v ? vqp_dtype_name(info->dtype) : "",
                    v ? vqp_shape_text(&info->shape, have) : "", what, vqp_dtype_name(dtype),
                    vqp_shape_text(&shape, want));
}

/* ---- prepare ---------------------------------------------------------------------------------------------------- */

static struct vqp_shape with_rows(const struct vqp_shape *s, int64_t rows)
{
    struct vqp_shape out = {.rank = s->rank + 1, .dim = {rows}};
    for (uint32_t i = 0; i < s->rank && i + 1 < VQP_MAX_RANK; i++)
        out.dim[i + 1] = s->dim[i];
    return out;
}

static const struct vqp_cond *given_cond(const struct vqp_assembly *a, const char *name)
{
    for (uint32_t i = 0; i < a->text.n_conds; i++)
        if (!strcmp(a->text.conds[i].name, name))
            return &a->text.conds[i];
    return NULL;
}

/* Takes the rows that the text encoder gave out back from the program, so that they can be given out assembled. */
static void take_conds(struct recorder *r, vqp_val out[VQP_MAX_CONDS])
{
    char name[96];
    for (uint32_t i = 0; i < r->a->text.n_conds; i++) {
        snprintf(name, sizeof name, "cond.%s", r->a->text.conds[i].name);
        out[i] = vqp_program_take_output(r->piece->program, name);
    }
}

static vqp_status record_text(struct recorder *r)
{
    const struct vqp_session_key *key = &r->s->key;
    struct vqp_assembly *a = r->a;
    struct vqp_instance *text = vqp_component_of(a, VQP_IFACE_TEXT_ENCODER);
    const struct vqp_text_encoder_vtbl *v = text->component->v.text_encoder;
    uint32_t B = key->batch, rows = B + key->encode_negative;
    vqp_status st = move_to(r, text->backend);
    if (st)
        return st;
    vqp_program *p = program_for(r, 0);
    struct vqp_shape ids = vqp_shape2(rows, a->context_length), end = vqp_shape1(rows);
    struct vqp_text_inputs in = {.struct_size = sizeof in,
                                 .rows = rows,
                                 .ids = api->input(p, "ids", VQP_I32, &ids),
                                 .end = api->input(p, "end", VQP_I32, &end)};
    vqp_val conds[VQP_MAX_CONDS] = {0}, null[VQP_MAX_CONDS] = {0};
    v->record(text->self, program_for(r, VQP_IFACE_TEXT_ENCODER), &in);
    take_conds(r, conds);
    int learned = key->guided && !key->encode_negative;
    if (learned) {
        v->record_null(text->self, p);
        take_conds(r, null);
    }
    program_for(r, 0);
    for (uint32_t i = 0; i < a->denoiser.n_conds; i++) {
        const struct vqp_cond *c = given_cond(a, a->denoiser.conds[i].name);
        uint32_t k = (uint32_t)(c - a->text.conds);
        char name[96];
        if ((st = expect(r, VQP_IFACE_TEXT_ENCODER, c->name, conds[k], c->dtype, with_rows(&c->shape, rows))))
            return st;
        if (learned &&
            (st = expect(r, VQP_IFACE_TEXT_ENCODER, "its null text", null[k], c->dtype, with_rows(&c->shape, 1))))
            return st;
        vqp_val value = conds[k];
        if (key->guided) {
            vqp_val without = learned ? null[k] : vqp_slice(api, p, value, 0, B, 1);
            if (!learned)
                value = vqp_slice(api, p, value, 0, 0, B);
            vqp_val both[2] = {vqp_repeat(api, p, without, B, 0), value};
            value = vqp_concat(api, p, both, 2, 0);
        }
        snprintf(name, sizeof name, "cond.%s", c->name);
        api->output(p, name, value);
    }
    return VQP_OK;
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

/* Columns of the evaluation table at `counter`, for the open piece. */
static void take_columns(struct recorder *r, vqp_val counter)
{
    vqp_program *p = program_for(r, 0);
    int64_t rows = r->s->key.table_rows;
    struct vqp_shape column = vqp_shape1(rows), params = vqp_shape2(rows, 12);
    r->counter = counter;
    r->t = vqp_take(api, p, api->input(p, "table.t", VQP_I32, &column), counter);
    r->tf = vqp_take(api, p, api->input(p, "table.tf", VQP_F32, &column), counter);
    r->guide = vqp_take(api, p, api->input(p, "table.guide", VQP_F32, &column), counter);
    r->par = vqp_take(api, p, api->input(p, "table.par", VQP_F32, &params), counter);
}

static struct vqp_step step_values(const struct recorder *r, vqp_val tokens)
{
    return (struct vqp_step){.struct_size = sizeof(struct vqp_step),
                             .batch = r->s->key.batch,
                             .guided = r->s->key.guided,
                             .tokens = tokens,
                             .t = r->t,
                             .tf = r->tf,
                             .par = r->par,
                             .eval = r->counter,
                             .mask_id = r->a->denoiser.mask_id,
                             .grid_h = r->a->denoiser.grid_h,
                             .grid_w = r->a->denoiser.grid_w};
}

/* What a scheduler has besides: seeds and, under rng torch-cpu, the reference's draws. */
static void add_randomness(struct recorder *r, struct vqp_step *step)
{
    vqp_program *p = r->piece->program;
    int64_t B = r->s->key.batch;
    struct vqp_shape seeds = vqp_shape2(B, 2), noise = vqp_shape1(B * r->a->n_tokens * (r->a->denoiser.n_codes + 1ll));
    step->seed = api->input(p, "seeds", VQP_I32, &seeds);
    step->noise = r->s->key.noise ? api->input(p, "noise", VQP_F32, &noise) : 0;
}

/* Writes `next` to the state `tokens`, but for pinned places: these stay as given, whatever the scheduler makes of them. */
static void store_tokens(struct recorder *r, vqp_val tokens, vqp_val next)
{
    static const int32_t FREE = -1;
    vqp_program *p = program_for(r, 0);
    if (r->s->key.pinned) {
        struct vqp_shape grid = api->describe(p, tokens)->shape, one = vqp_shape1(1);
        vqp_val pin = api->input(p, "pin", VQP_I32, &grid);
        api->scope(p, "pin");
        vqp_val none = api->constant(p, "free", VQP_I32, &one, &FREE);
        next = vqp_where(api, p, vqp_compare(api, p, VQP_CMP_GT, pin, none), pin, next);
        api->scope(p, NULL);
    }
    vqp_store(api, p, tokens, next);
}

/* run.start_step: clean ids become those of the first evaluation. */
static vqp_status record_start(struct recorder *r)
{
    struct vqp_instance *sch = vqp_component_of(r->a, VQP_IFACE_SCHEDULER);
    struct vqp_shape grid = vqp_shape2(r->s->key.batch, r->a->n_tokens), one = vqp_shape1(1);
    vqp_status st = move_to(r, sch->backend);
    if (st)
        return st;
    vqp_program *p = program_for(r, 0);
    take_columns(r, api->input(p, "first_eval", VQP_I32, &one));
    vqp_val tokens = api->state(p, "tokens", VQP_I32, &grid, NULL);
    struct vqp_step step = step_values(r, tokens);
    add_randomness(r, &step);
    vqp_val noised = sch->component->v.scheduler->record_start(sch->self, program_for(r, VQP_IFACE_SCHEDULER), &step);
    if ((st = expect(r, VQP_IFACE_SCHEDULER, "the start tokens", noised, VQP_I32, grid)))
        return st;
    store_tokens(r, tokens, noised);
    return VQP_OK;
}

static vqp_status record_prepare(struct recorder *r)
{
    struct vqp_instance *den = vqp_component_of(r->a, VQP_IFACE_DENOISER);
    begin_phase(r, VQP_PREPARE);
    vqp_status st = r->a->denoiser.n_conds ? record_text(r) : VQP_OK;
    if (!st && VQP_HAS(den->component->v.denoiser, record_prepare)) {
        if ((st = move_to(r, den->backend)))
            return st;
        den->component->v.denoiser->record_prepare(den->self, program_for(r, VQP_IFACE_DENOISER), r->s->key.batch,
                                                   r->s->key.guided);
    }
    if (!st && r->s->key.start)
        st = record_start(r);
    return st ? st : end_piece(r);
}

/* ---- step ------------------------------------------------------------------------------------------------------- */

/* This program's row of the evaluation table. Every program keeps a counter of its own and advances it at its end. */
static void take_row(struct recorder *r)
{
    char name[32];
    struct vqp_shape one = vqp_shape1(1);
    snprintf(name, sizeof name, VQP_COUNTER_NAME, r->n_programs - 1);
    take_columns(r, api->state(program_for(r, 0), name, VQP_I32, &one, NULL));
}

static vqp_status record_step(struct recorder *r)
{
    const struct vqp_session_key *key = &r->s->key;
    struct vqp_assembly *a = r->a;
    struct vqp_instance *den = vqp_component_of(a, VQP_IFACE_DENOISER), *sch = vqp_component_of(a, VQP_IFACE_SCHEDULER);
    int64_t B = key->batch, N = a->n_tokens, C = a->denoiser.n_codes, G = key->guided ? 2 : 1;
    struct vqp_shape grid = vqp_shape2(B, N), one = vqp_shape1(1);
    begin_phase(r, VQP_STEP);
    vqp_status st = move_to(r, den->backend);
    if (st)
        return st;
    take_row(r);
    vqp_program *p = r->piece->program;
    int together = den->backend == sch->backend;
    vqp_val tokens = together ? api->state(p, "tokens", VQP_I32, &grid, NULL) : api->input(p, "tokens", VQP_I32, &grid);
    struct vqp_step step = step_values(r, key->guided ? vqp_repeat(api, p, tokens, 2, 1) : tokens);
    vqp_val logits = den->component->v.denoiser->record_step(den->self, program_for(r, VQP_IFACE_DENOISER), &step);
    if ((st = expect(r, VQP_IFACE_DENOISER, "logits", logits, VQP_F32, vqp_shape3(G * B, N, C))))
        return st;

    p = program_for(r, 0);
    api->scope(p, "guidance");
    vqp_val logp = vqp_guide_log_softmax(api, p, logits, key->guided ? r->guide : 0);
    if (key->truncates)
        logp = vqp_truncate(api, p, logp, api->input(p, "rate", VQP_F32, &one), LOGP_FLOOR);
    else
        logp = vqp_binary(api, p, VQP_OP_MAX, logp, api->constant(p, "logp.floor", VQP_F32, &one, &LOGP_FLOOR));
    api->scope(p, NULL);
    if (key->dump || !together)
        api->output(p, "logp", logp);
    if (!together) {
        vqp_advance(api, p, r->counter);
        if ((st = move_to(r, sch->backend)))
            return st;
        take_row(r);
        p = r->piece->program;
        logp = api->link(p, "logp");
        tokens = api->state(p, "tokens", VQP_I32, &grid, NULL);
    }
    step = step_values(r, tokens);
    step.logp = logp;
    add_randomness(r, &step);
    vqp_val next = sch->component->v.scheduler->record_step(sch->self, program_for(r, VQP_IFACE_SCHEDULER), &step);
    if ((st = expect(r, VQP_IFACE_SCHEDULER, "the next tokens", next, VQP_I32, grid)))
        return st;
    store_tokens(r, tokens, next);
    vqp_advance(api, r->piece->program, r->counter);
    return end_piece(r);
}

/* ---- finish ----------------------------------------------------------------------------------------------------- */

static vqp_status record_finish(struct recorder *r)
{
    struct vqp_assembly *a = r->a;
    struct vqp_instance *dec = vqp_component_of(a, VQP_IFACE_VQ_DECODER);
    int64_t B = r->s->key.batch, h = a->denoiser.grid_h, w = a->denoiser.grid_w, scale = a->decoder.scale;
    struct vqp_shape flat = vqp_shape2(B, a->n_tokens), grid = vqp_shape3(B, h, w);
    begin_phase(r, VQP_FINISH);
    vqp_status st = move_to(r, dec->backend);
    if (st)
        return st;
    vqp_program *p = program_for(r, 0);
    vqp_val tokens = api->view(p, api->input(p, "tokens", VQP_I32, &flat), &grid);
    vqp_val image = dec->component->v.vq_decoder->record(dec->self, program_for(r, VQP_IFACE_VQ_DECODER), tokens);
    if ((st = expect(r, VQP_IFACE_VQ_DECODER, "the picture", image, VQP_F32, vqp_shape4(B, h * scale, w * scale, 3))))
        return st;
    p = program_for(r, 0);
    api->output(p, "image", image);
    api->output(p, "rgb", vqp_to_rgb(api, p, image));
    r->s->image_h = (uint32_t)(h * scale);
    r->s->image_w = (uint32_t)(w * scale);
    return end_piece(r);
}

vqp_status vqp_record_session(struct vqp_assembly *a, const struct vqp_session_key *key, struct vqp_session **out,
                              struct vqp_error *err)
{
    struct vqp_session *s = calloc(1, sizeof *s);
    if (!s)
        return vqp_fail(err, VQP_E_NOMEM, "recording: out of memory");
    s->key = *key;
    s->assembly = a;
    struct recorder r = {.s = s,
                         .a = a,
                         .err = err,
                         .env = {.ctx = &r, .weight = env_weight, .has_weight = env_has_weight, .find = env_find}};
    vqp_status st = record_prepare(&r);
    if (!st)
        st = record_step(&r);
    if (!st)
        st = record_finish(&r);
    if (st)
        vqp_session_destroy(s);
    else
        *out = s;
    return st;
}

void vqp_record_encoder(struct vqp_assembly *a)
{
    struct vqp_instance *dec = vqp_component_of(a, VQP_IFACE_VQ_DECODER);
    struct recorder r = {.a = a,
                         .env = {.ctx = &r, .weight = env_weight, .has_weight = env_has_weight, .find = env_find}};
    struct vqp_shape rgb = vqp_shape4(1, (int64_t)a->denoiser.grid_h * a->decoder.scale,
                                      (int64_t)a->denoiser.grid_w * a->decoder.scale, 3);
    vqp_program *p = vqp_program_create("encode", &r.env);
    if (!p)
        return;
    vqp_val in = api->input(p, "rgb", VQP_F32, &rgb);
    vqp_program_set_owner(p, dec->key);
    dec->component->v.vq_decoder->record_encode(dec->self, p, in);
    vqp_program_destroy(p);
}
