#include "pytorch.h"
#include "pickle.h"
#include "safetensors.h"
#include "shape.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 64,
    MAX_VISITS = 1000000, /* a shared value is met by every way that leads to it */
    MAX_TENSORS = 100000,
    MAX_NAME = 1024,
    NAME_TEXT = 96
};

/* Where a tensor comes from. */
struct vqp_stored {
    const struct vqp_zip_entry *entry;
    const struct vqp_pickle_tensor *t;
};

struct walk {
    const char *file, *root; /* root: the archive's folder, with its slash */
    struct vqp_pytorch *out;
    uint32_t visits, depth, room;
    char name[MAX_NAME];
    size_t name_bytes;
    struct vqp_error *err;
};

static vqp_status no_memory(const char *file, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for its tensors", file);
}

#define BAD_TENSOR(w, ...) (bad_tensor(w, __VA_ARGS__), (vqp_status)VQP_E_FORMAT)
__attribute__((format(printf, 2, 3))) static void bad_tensor(const struct walk *w, const char *fmt, ...)
{
    char quoted[NAME_TEXT], why[220];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    vqp_fail(w->err, VQP_E_FORMAT, "%.180s: tensor \"%s\": %s", w->file,
             vqp_quote(w->name, w->name_bytes, quoted, sizeof quoted), why);
}

/* ---- one tensor ------------------------------------------------------------------------------------------------- */

static vqp_status find_storage(const struct walk *w, const struct vqp_pickle_storage *s,
                               const struct vqp_zip_entry **out)
{
    char name[256], shown[NAME_TEXT];
    uint64_t bytes;
    vqp_quote(s->key, s->key_bytes, shown, sizeof shown);
    int n = snprintf(name, sizeof name, "%sdata/%.*s", w->root, (int)s->key_bytes, s->key);
    if (n < 0 || n >= (int)sizeof name || !(*out = vqp_zip_find(&w->out->zip, name)))
        return BAD_TENSOR(w, "its storage \"%s\" is not in the archive", shown);
    if (__builtin_mul_overflow(s->numel, (uint64_t)s->element_bytes, &bytes) || bytes != (*out)->size)
        return BAD_TENSOR(w, "its storage \"%s\" should hold %llu elements of %s, but has %llu bytes", shown,
                          (unsigned long long)s->numel, s->dtype, (unsigned long long)(*out)->size);
    return VQP_OK;
}

/* Elements, after the check that all of them lie within the storage. */
static vqp_status count_elements(const struct walk *w, const struct vqp_pickle_tensor *t, uint64_t *count)
{
    uint64_t n = 1, last = t->offset;
    int overflow = 0;
    for (uint32_t i = 0; i < t->rank; i++) {
        uint64_t reach = 0;
        overflow |= t->size[i] > INT64_MAX || __builtin_mul_overflow(n, t->size[i], &n);
        overflow |= t->size[i] && (__builtin_mul_overflow(t->size[i] - 1, t->stride[i], &reach) ||
                                   __builtin_add_overflow(last, reach, &last));
    }
    if (overflow)
        return BAD_TENSOR(w, "its shape has more elements than 64 bits can count");
    if (n ? last >= t->storage->numel : t->offset > t->storage->numel)
        return BAD_TENSOR(w, "reaches to element %llu of a storage of %llu", (unsigned long long)last,
                          (unsigned long long)t->storage->numel);
    *count = n;
    return VQP_OK;
}

static int row_by_row(const struct vqp_pickle_tensor *t)
{
    uint64_t expected = 1;
    for (uint32_t i = t->rank; i-- > 0;) {
        if (t->size[i] != 1 && t->stride[i] != expected)
            return 0;
        expected *= t->size[i];
    }
    return 1;
}

/* No element at two places, so that a tensor has no more elements than its storage. */
static int overlaps_itself(const struct vqp_pickle_tensor *t)
{
    uint64_t reach = 0; /* of the dimensions taken so far, by growing stride */
    uint32_t taken = 0;
    for (;;) {
        uint32_t least = t->rank;
        for (uint32_t i = 0; i < t->rank; i++)
            if (t->size[i] > 1 && !(taken >> i & 1) && (least == t->rank || t->stride[i] < t->stride[least]))
                least = i;
        if (least == t->rank)
            return 0;
        if (t->stride[least] <= reach)
            return 1;
        reach += (t->size[least] - 1) * t->stride[least];
        taken |= 1u << least;
    }
}

static vqp_status add_tensor(struct walk *w, const struct vqp_pickle_tensor *from)
{
    struct vqp_pytorch *p = w->out;
    struct vqp_stored *stored;
    uint64_t n = 0;
    vqp_status status;
    if (p->count == MAX_TENSORS)
        return BAD_TENSOR(w, "is one more than the %d that are read", MAX_TENSORS);
    if (p->count == w->room) {
        uint32_t room = w->room ? 2 * w->room : 256;
        struct vqp_tensor *all = vqp_arena_alloc(&p->arena, room, sizeof *all);
        if (!all)
            return no_memory(w->file, w->err);
        if (p->count)
            memcpy(all, p->tensors, p->count * sizeof *all);
        p->tensors = all;
        w->room = room;
    }
    struct vqp_tensor *t = &p->tensors[p->count];
    t->name = vqp_arena_memdup(&p->arena, w->name, w->name_bytes);
    t->stored = stored = vqp_arena_alloc(&p->arena, 1, sizeof *stored);
    if (!t->name || !stored)
        return no_memory(w->file, w->err);
    stored->t = from;
    if ((status = find_storage(w, from->storage, &stored->entry)) || (status = count_elements(w, from, &n)))
        return status;
    const char *dtype = from->storage->dtype;
    t->file_dtype = dtype;
    if (from->rank <= VQP_MAX_RANK) {
        t->dtype = vqp_safetensors_dtype(dtype);
        t->shape.rank = from->rank;
        for (uint32_t i = 0; i < from->rank; i++)
            t->shape.dim[i] = (int64_t)from->size[i];
    }
    t->bytes = n * from->storage->element_bytes; /* within the storage's size, unless it overlaps itself */
    t->data = stored->entry->data + from->offset * from->storage->element_bytes;
    if (n && !row_by_row(from)) {
        if (overlaps_itself(from))
            return BAD_TENSOR(w, "has elements that share their place (strides of an expanded tensor); save a copy, "
                                 "tensor.contiguous()");
        t->data = NULL;
    } else if ((uintptr_t)t->data % from->storage->element_bytes) {
        t->data = NULL;
    }
    p->count++;
    return VQP_OK;
}

/* ---- all tensors ------------------------------------------------------------------------------------------------ */

static vqp_status visit(struct walk *w, struct vqp_pickle_value *v);

/* Goes into a child whose name has been put behind w->name. */
static vqp_status descend(struct walk *w, struct vqp_pickle_value *v, const char *key, size_t n)
{
    size_t before = w->name_bytes, dot = w->depth > 1;
    if (n + dot >= MAX_NAME - before)
        return BAD_TENSOR(w, "the names below it are longer than %d bytes", MAX_NAME);
    if (dot)
        w->name[w->name_bytes++] = '.';
    memcpy(w->name + w->name_bytes, key, n);
    w->name_bytes += n;
    vqp_status status = visit(w, v);
    w->name_bytes = before;
    return status;
}

static vqp_status visit_number(struct walk *w, struct vqp_pickle_value *v, int64_t key)
{
    char text[24];
    return descend(w, v, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)key));
}

static vqp_status visit(struct walk *w, struct vqp_pickle_value *v)
{
    if (v->kind == VQP_PICKLE_TENSOR)
        return add_tensor(w, v->v.tensor);
    if (v->kind != VQP_PICKLE_DICT && v->kind != VQP_PICKLE_LIST && v->kind != VQP_PICKLE_TUPLE)
        return VQP_OK;
    if (v->on_path)
        return BAD_TENSOR(w, "a %s that contains itself", v->kind == VQP_PICKLE_DICT ? "dict" : "list");
    if (w->depth == MAX_DEPTH)
        return BAD_TENSOR(w, "is nested deeper than %d", MAX_DEPTH);
    vqp_status status = VQP_OK;
    v->on_path = 1;
    w->depth++;
    uint32_t step = v->kind == VQP_PICKLE_DICT ? 2 : 1;
    for (uint32_t i = 0; !status && i < v->n; i += step) {
        if (++w->visits > MAX_VISITS) {
            status = BAD_TENSOR(w, "more than %d values", MAX_VISITS);
            break;
        }
        struct vqp_pickle_value *const *item = v->v.items + i;
        if (step == 1)
            status = visit_number(w, item[0], i);
        else if (item[0]->kind == VQP_PICKLE_INT)
            status = visit_number(w, item[1], item[0]->v.integer);
        else
            status = descend(w, item[1], item[0]->v.text, item[0]->n);
    }
    w->depth--;
    v->on_path = 0;
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vqp_tensor *)a)->name, ((const struct vqp_tensor *)b)->name);
}

static vqp_status list_tensors(struct walk *w, struct vqp_pickle_value *root)
{
    struct vqp_pytorch *p = w->out;
    if (root->kind != VQP_PICKLE_DICT && root->kind != VQP_PICKLE_TENSOR)
        return vqp_fail(w->err, VQP_E_FORMAT, "%.240s: holds no dict of tensors; save a state_dict", w->file);
    vqp_status status = root->kind == VQP_PICKLE_DICT ? visit(w, root) : descend(w, root, "tensor", 6);
    if (status)
        return status;
    qsort(p->tensors, p->count, sizeof *p->tensors, by_name);
    for (uint32_t i = 1; i < p->count; i++)
        if (!strcmp(p->tensors[i - 1].name, p->tensors[i].name)) {
            w->name_bytes = strlen(p->tensors[i].name);
            memcpy(w->name, p->tensors[i].name, w->name_bytes);
            return BAD_TENSOR(w, "is there twice");
        }
    return VQP_OK;
}

/* The one data.pkl and the bytes of its folder's name; NULL with err. */
static const struct vqp_zip_entry *find_pickle(const char *file, const struct vqp_pytorch *p, size_t *root_bytes,
                                               struct vqp_error *err)
{
    const struct vqp_zip_entry *found = NULL;
    for (uint32_t i = 0; i < p->zip.count; i++) {
        const char *name = p->zip.entries[i].name, *slash = strrchr(name, '/');
        if (strcmp(slash ? slash + 1 : name, "data.pkl"))
            continue;
        if (found) {
            vqp_fail(err, VQP_E_FORMAT, "%.240s: holds two data.pkl", file);
            return NULL;
        }
        found = &p->zip.entries[i];
        *root_bytes = slash ? (size_t)(slash + 1 - name) : 0;
    }
    if (!found)
        vqp_fail(err, VQP_E_FORMAT, "%.240s: is a zip archive without data.pkl; is it a PyTorch file?", file);
    return found;
}

static vqp_status check_byte_order(const char *file, const struct vqp_pytorch *p, const char *root,
                                   struct vqp_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%.200sbyteorder", root);
    const struct vqp_zip_entry *e = vqp_zip_find(&p->zip, name);
    if (!e || (e->size == 6 && !memcmp(e->data, "little", 6)))
        return VQP_OK;
    return vqp_fail(err, VQP_E_FORMAT, "%.240s: was not written on a little-endian machine; only those files are read",
                    file);
}

static vqp_status read_tensors(const char *file, struct vqp_pytorch *p, struct vqp_error *err)
{
    size_t root_bytes = 0;
    const struct vqp_zip_entry *pickle = find_pickle(file, p, &root_bytes, err);
    struct vqp_pickle_value *root = NULL;
    struct walk *w = NULL;
    char what[240];
    snprintf(what, sizeof what, "%.200s: data.pkl", file);
    if (!pickle)
        return VQP_E_FORMAT;
    vqp_status status = vqp_zip_check(file, pickle, err);
    if (!status)
        status = vqp_pickle_read(what, pickle->data, pickle->size, &p->arena, &root, err);
    if (status)
        return status;
    p->checked = vqp_arena_alloc(&p->arena, p->zip.count, 1);
    char *folder = vqp_arena_memdup(&p->arena, pickle->name, root_bytes);
    if (!p->checked || !folder || !(w = calloc(1, sizeof *w)))
        return no_memory(file, err);
    w->file = file;
    w->root = folder;
    w->out = p;
    w->err = err;
    status = check_byte_order(file, p, folder, err);
    if (!status)
        status = list_tensors(w, root);
    free(w);
    return status;
}

vqp_status vqp_pytorch_parse(const char *file, const void *data, uint64_t size, struct vqp_pytorch *out,
                             struct vqp_error *err)
{
    *out = (struct vqp_pytorch){0};
    vqp_status status = vqp_zip_parse(file, data, size, &out->zip, err);
    if (!status)
        status = read_tensors(file, out, err);
    if (status)
        vqp_pytorch_free(out);
    return status;
}

void vqp_pytorch_free(struct vqp_pytorch *p)
{
    vqp_zip_free(&p->zip);
    vqp_arena_free(&p->arena);
    *p = (struct vqp_pytorch){0};
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Row by row, whatever the strides. */
static void gather(const struct vqp_pickle_tensor *t, const unsigned char *from, unsigned char *to, uint64_t n)
{
    uint64_t at[VQP_PICKLE_MAX_RANK] = {0}, place = t->offset;
    uint32_t bytes = t->storage->element_bytes;
    for (uint64_t i = 0; i < n; i++, to += bytes) {
        memcpy(to, from + place * bytes, bytes);
        for (uint32_t d = t->rank; d-- > 0;) {
            place += t->stride[d];
            if (++at[d] < t->size[d])
                break;
            place -= t->size[d] * t->stride[d];
            at[d] = 0;
        }
    }
}

vqp_status vqp_pytorch_ready(const char *file, struct vqp_pytorch *p, struct vqp_tensor *t, struct vqp_error *err)
{
    const struct vqp_stored *s = t->stored;
    uint8_t *checked = &p->checked[s->entry - p->zip.entries];
    if (!*checked) {
        vqp_status status = vqp_zip_check(file, s->entry, err);
        if (status)
            return status;
        *checked = 1;
    }
    if (t->data)
        return VQP_OK;
    unsigned char *own = vqp_arena_alloc(&p->arena, t->bytes, 1);
    if (!own)
        return no_memory(file, err);
    gather(s->t, s->entry->data, own, t->bytes / s->t->storage->element_bytes);
    t->data = own;
    return VQP_OK;
}

const void *vqp_pytorch_bytes(const struct vqp_tensor *t, uint64_t *bytes)
{
    *bytes = t->stored->entry->size;
    return t->stored->entry->data;
}
