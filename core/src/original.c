#include "original.h"
#include "original_names.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_NAME = 512
};

const char *vqp_original_part_name(enum vqp_original_part part)
{
    static const char *const names[VQP_ORIGINAL_N_PARTS] = {
        "transformer", "text_encoder", "learned_classifier_free_sampling_embeddings", "vqvae", "scheduler"};
    return names[part];
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct vqp_tensor *)element)->name);
}

const struct vqp_tensor *vqp_tensor_list_find(const struct vqp_tensor_list *l, const char *name)
{
    return l->n ? bsearch(name, l->tensors, l->n, sizeof *l->tensors, compare_name) : NULL;
}

/* ---- where a part is -------------------------------------------------------------------------------------------- */

static const struct vqp_original_place *find_place(const struct vqp_tensor_list *file, enum vqp_original_part part)
{
    const struct vqp_original_layout *l = &vqp_original_layouts[part];
    char name[LONGEST_NAME];
    for (const struct vqp_original_place *p = l->places; p->prefix; p++) {
        snprintf(name, sizeof name, "%s%s", p->prefix, l->marker);
        if (vqp_tensor_list_find(file, name))
            return p;
    }
    return NULL;
}

int vqp_original_has(const struct vqp_tensor_list *file, enum vqp_original_part part)
{
    return find_place(file, part) != NULL;
}

/* The name behind the place's prefix, or NULL. */
static const char *name_in(const struct vqp_original_place *p, const char *name)
{
    if (!strncmp(name, p->prefix, strlen(p->prefix)))
        return name + strlen(p->prefix);
    if (p->second && !strncmp(name, p->second, strlen(p->second)))
        return name + strlen(p->second);
    return NULL;
}

uint32_t vqp_original_codes(const struct vqp_tensor_list *file)
{
    const struct vqp_original_place *p = find_place(file, VQP_ORIGINAL_TRANSFORMER);
    char name[LONGEST_NAME];
    snprintf(name, sizeof name, "%s%s", p ? p->prefix : "", vqp_original_layouts[VQP_ORIGINAL_TRANSFORMER].marker);
    const struct vqp_tensor *t = p ? vqp_tensor_list_find(file, name) : NULL;
    return t && t->shape.rank == 2 && t->shape.dim[0] > 1 && t->shape.dim[0] <= 1 << 24 ? (uint32_t)t->shape.dim[0] - 1
                                                                                        : 0;
}

/* ---- the list --------------------------------------------------------------------------------------------------- */

struct listing {
    const struct vqp_original_layout *layout;
    struct vqp_arena *arena;
    struct vqp_original *out;
    struct pair {
        struct vqp_tensor tensor;
        struct vqp_original_source source;
    } * pairs;
    unsigned levels;
};

static vqp_status add(struct listing *l, const char *name, const struct vqp_tensor *from, uint32_t third,
                      struct vqp_error *err)
{
    struct pair *p = &l->pairs[l->out->n];
    p->tensor = *from;
    p->tensor.stored = NULL;
    p->tensor.data = NULL;
    p->source = (struct vqp_original_source){.from = from, .third = third};
    if (third) {
        if (!from->dtype || !from->shape.rank || from->shape.dim[0] % 3)
            return vqp_fail(err, VQP_E_FORMAT, "tensor \"%s\" should be three in one, but its first dimension is not",
                            from->name);
        p->tensor.shape.dim[0] /= 3;
        p->tensor.bytes /= 3;
    }
    if (!strcmp(from->file_dtype, "F64")) {
        p->tensor.dtype = VQP_F32;
        p->tensor.file_dtype = "F32";
        p->tensor.bytes /= 2;
    }
    p->tensor.name = vqp_arena_strdup(l->arena, name);
    if (!p->tensor.name)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    l->out->n++;
    return VQP_OK;
}

/* Puts the tensor that the part calls `name` on the list, under its new names. */
static vqp_status translate(struct listing *l, const char *name, const struct vqp_tensor *from, struct vqp_error *err)
{
    char renamed[LONGEST_NAME];
    for (const struct vqp_original_name *row = l->layout->names; row->from; row++) {
        if (!vqp_original_rename(row, name, l->levels, 0, renamed, sizeof renamed))
            continue;
        vqp_status s = row->to ? add(l, renamed, from, row->thirds ? 1 : 0, err) : VQP_OK;
        for (unsigned third = 1; !s && row->thirds && third < 3; third++) {
            vqp_original_rename(row, name, l->levels, third, renamed, sizeof renamed);
            s = add(l, renamed, from, third + 1, err);
        }
        return s;
    }
    return add(l, name, from, 0, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->tensor.name, ((const struct pair *)b)->tensor.name);
}

/* In name order, and each name once: the two halves of a codec share their quantizer. */
static vqp_status finish(struct listing *l, struct vqp_error *err)
{
    struct vqp_original *o = l->out;
    uint32_t n = 0;
    if (o->n)
        qsort(l->pairs, o->n, sizeof *l->pairs, by_name);
    o->tensors = vqp_arena_alloc(l->arena, (size_t)o->n + 1, sizeof *o->tensors);
    o->sources = vqp_arena_alloc(l->arena, (size_t)o->n + 1, sizeof *o->sources);
    if (!o->tensors || !o->sources)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    for (uint32_t i = 0; i < o->n; i++) {
        if (n && !strcmp(o->tensors[n - 1].name, l->pairs[i].tensor.name))
            continue;
        o->tensors[n] = l->pairs[i].tensor;
        o->sources[n++] = l->pairs[i].source;
    }
    o->n = n;
    return VQP_OK;
}

vqp_status vqp_original_list(const struct vqp_tensor_list *file, enum vqp_original_part part, struct vqp_arena *arena,
                             struct vqp_original *out, struct vqp_error *err)
{
    struct listing l = {.layout = &vqp_original_layouts[part], .arena = arena, .out = out};
    const struct vqp_original_place *place = find_place(file, part);
    vqp_status s = VQP_OK;
    *out = (struct vqp_original){0};
    if (!place)
        return vqp_fail(err, VQP_E_FORMAT, "it holds no %s", vqp_original_part_name(part));
    l.pairs = calloc((size_t)file->n * 3 + 1, sizeof *l.pairs);
    if (!l.pairs)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    for (uint32_t i = 0; l.layout->levels && i < file->n; i++) {
        const char *name = name_in(place, file->tensors[i].name);
        unsigned level;
        if (name && vqp_original_match(l.layout->levels, name, &level) && level >= l.levels)
            l.levels = level + 1;
    }
    for (uint32_t i = 0; !s && i < file->n; i++) {
        const char *name = name_in(place, file->tensors[i].name);
        if (name && *name && strlen(name) < LONGEST_NAME / 2)
            s = translate(&l, name, &file->tensors[i], err);
    }
    if (!s)
        s = finish(&l, err);
    free(l.pairs);
    return s;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static vqp_status narrow(struct vqp_tensor *t, const double *from, struct vqp_arena *arena, struct vqp_error *err)
{
    size_t n = t->bytes / sizeof(float);
    float *out = vqp_arena_alloc(arena, n + 1, sizeof *out);
    if (!out)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory for %s", t->name);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)from[i];
    t->data = out;
    return VQP_OK;
}

static vqp_status pick_rows(struct vqp_tensor *t, const struct vqp_original_source *s, struct vqp_arena *arena,
                            struct vqp_error *err)
{
    size_t row_bytes = s->n_rows ? (size_t)(t->bytes / s->n_rows) : 0;
    char *out = vqp_arena_alloc(arena, (size_t)t->bytes + 1, 1);
    if (!out)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory for %s", t->name);
    for (uint32_t i = 0; i < s->n_rows; i++)
        memcpy(out + i * row_bytes, (const char *)s->from->data + (size_t)s->row[i] * row_bytes, row_bytes);
    t->data = out;
    return VQP_OK;
}

vqp_status vqp_original_make(const struct vqp_original *o, struct vqp_tensor *t, struct vqp_arena *arena,
                             struct vqp_error *err)
{
    const struct vqp_original_source *s = &o->sources[t - o->tensors];
    if (t->data)
        return VQP_OK;
    if (!strcmp(s->from->file_dtype, "F64"))
        return s->row
                   ? vqp_fail(err, VQP_E_FORMAT, "tensor \"%s\" is float64, which a codebook cannot be", s->from->name)
                   : narrow(t, s->from->data, arena, err);
    if (s->row)
        return pick_rows(t, s, arena, err);
    t->data = (const char *)s->from->data + (s->third ? (s->third - 1) * t->bytes : 0);
    return VQP_OK;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

vqp_status vqp_original_invert(const int64_t *map, uint32_t codes, int32_t *row, uint32_t n_used, struct vqp_error *err)
{
    for (uint32_t k = 0; k < n_used; k++)
        row[k] = -1;
    for (uint32_t i = 0; i < codes; i++) {
        if (map[i] < 0 || map[i] >= n_used)
            return vqp_fail(err, VQP_E_FORMAT, "it maps code %u to %lld, outside 0..%u", i, (long long)map[i],
                            n_used - 1);
        if (row[map[i]] < 0)
            row[map[i]] = (int32_t)i;
    }
    for (uint32_t k = 0; k < n_used; k++)
        if (row[k] < 0)
            return vqp_fail(err, VQP_E_FORMAT, "it maps no code to %u", k);
    return VQP_OK;
}

static struct vqp_tensor *codebook(const struct vqp_original *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (!strcmp(o->tensors[i].name, "quantize.embedding.weight") && o->tensors[i].shape.rank == 2)
            return &o->tensors[i];
    return NULL;
}

uint32_t vqp_original_codebook(const struct vqp_original *vqvae)
{
    const struct vqp_tensor *t = codebook(vqvae);
    return t && t->shape.dim[0] > 0 && t->shape.dim[0] <= 1 << 24 ? (uint32_t)t->shape.dim[0] : 0;
}

void vqp_original_use_codes(struct vqp_original *o, const int32_t *row, uint32_t n_used)
{
    struct vqp_tensor *t = codebook(o);
    if (!t)
        return;
    struct vqp_original_source *s = &o->sources[t - o->tensors];
    t->bytes = t->shape.dim[0] ? t->bytes / (uint64_t)t->shape.dim[0] * n_used : 0;
    t->shape.dim[0] = n_used;
    s->row = row;
    s->n_rows = n_used;
}
