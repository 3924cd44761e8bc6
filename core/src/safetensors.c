#include "safetensors.h"
#include "json.h"
#include "shape.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,
    MAX_HEADER = 100000000,
    MAX_FILE_RANK = 8,
    NAME_TEXT = 96
};

static const struct file_dtype {
    const char *name;
    uint32_t dtype, bytes; /* dtype 0: nothing here computes on it */
} dtypes[] = {
    {"F32", VQP_F32, 4}, {"F16", VQP_F16, 2}, {"BF16", VQP_BF16, 2}, {"I32", VQP_I32, 4}, {"U8", VQP_U8, 1},
    {"F64", 0, 8},       {"I64", 0, 8},       {"I16", 0, 2},         {"I8", VQP_Q8_0, 1}, {"U16", 0, 2},
    {"U32", 0, 4},       {"U64", 0, 8},       {"BOOL", 0, 1},        {"F8_E4M3", 0, 1},   {"F8_E5M2", 0, 1},
};

static const struct file_dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, name))
            return &dtypes[i];
    return NULL;
}

uint32_t vqp_safetensors_dtype(const char *name)
{
    const struct file_dtype *d = find_dtype(name);
    return d ? d->dtype : 0;
}

/* What the steps of one parse share. */
struct parse {
    const char *file;
    const unsigned char *data; /* where the tensors start */
    uint64_t size;             /* of the tensors together */
    struct vqp_safetensors *out;
    struct vqp_error *err;
};

__attribute__((format(printf, 3, 4))) static vqp_status bad_tensor(const struct parse *p, const char *name,
                                                                   const char *fmt, ...)
{
    char quoted[NAME_TEXT], why[220];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return vqp_fail(p->err, VQP_E_FORMAT, "%.180s: tensor \"%s\": %s", p->file,
                    vqp_quote(name, strlen(name), quoted, sizeof quoted), why);
}

static vqp_status no_memory(const struct parse *p)
{
    return vqp_fail(p->err, VQP_E_NOMEM, "%.240s: no memory left for its list of tensors", p->file);
}

static vqp_status read_shape(const struct parse *p, const char *name, const json_t *json, uint32_t element_bytes,
                             struct vqp_shape *shape, uint64_t *bytes)
{
    struct vqp_shape head = {0}, tail = {0};
    size_t rank = json_array_size(json);
    if (!json_is_array(json))
        return bad_tensor(p, name, "\"shape\" is missing or no list");
    if (rank > MAX_FILE_RANK)
        return bad_tensor(p, name, "has %zu dimensions, at most %d are possible", rank, MAX_FILE_RANK);
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(json, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad_tensor(p, name, "dimension %zu of \"shape\" is no integer of 0 or more", i);
        struct vqp_shape *part = i < VQP_MAX_RANK ? &head : &tail;
        part->dim[part->rank++] = json_integer_value(dim);
    }
    uint64_t n, m;
    if (vqp_shape_count(&head, &n) || vqp_shape_count(&tail, &m) || __builtin_mul_overflow(n, m, &n) ||
        __builtin_mul_overflow(n, (uint64_t)element_bytes, bytes))
        return bad_tensor(p, name, "its shape has more bytes than 64 bits can count");
    *shape = tail.rank ? (struct vqp_shape){0} : head;
    return VQP_OK;
}

static vqp_status read_offsets(const struct parse *p, const char *name, const json_t *json, uint64_t *begin,
                               uint64_t *end)
{
    const json_t *a = json_array_get(json, 0), *b = json_array_get(json, 1);
    if (json_array_size(json) != 2 || !json_is_integer(a) || !json_is_integer(b) || json_integer_value(a) < 0 ||
        json_integer_value(b) < 0)
        return bad_tensor(p, name, "\"data_offsets\" is no pair of integers of 0 or more");
    *begin = (uint64_t)json_integer_value(a);
    *end = (uint64_t)json_integer_value(b);
    if (*begin > *end)
        return bad_tensor(p, name, "begins at %llu, behind its end at %llu", (unsigned long long)*begin,
                          (unsigned long long)*end);
    if (*end > p->size)
        return bad_tensor(p, name, "ends at byte %llu of the data, the file has %llu; it is cut short, fetch it again",
                          (unsigned long long)*end, (unsigned long long)p->size);
    return VQP_OK;
}

static vqp_status read_tensor(const struct parse *p, const char *name, const json_t *json, struct vqp_tensor *t)
{
    const json_t *dtype_json = json_object_get(json, "dtype");
    if (!json_is_object(json))
        return bad_tensor(p, name, "is not described by an object");
    if (!json_is_string(dtype_json))
        return bad_tensor(p, name, "\"dtype\" is missing or no string");
    const char *dtype_name = json_string_value(dtype_json);
    const struct file_dtype *dtype = find_dtype(dtype_name);
    if (!dtype) {
        char quoted[40];
        return bad_tensor(p, name, "unknown dtype \"%s\"",
                          vqp_quote(dtype_name, strlen(dtype_name), quoted, sizeof quoted));
    }
    uint64_t begin = 0, end = 0, bytes = 0;
    vqp_status status = read_shape(p, name, json_object_get(json, "shape"), dtype->bytes, &t->shape, &bytes);
    if (!status)
        status = read_offsets(p, name, json_object_get(json, "data_offsets"), &begin, &end);
    if (status)
        return status;
    if (end - begin != bytes)
        return bad_tensor(p, name, "has %llu bytes, its shape and dtype %s need %llu",
                          (unsigned long long)(end - begin), dtype->name, (unsigned long long)bytes);
    t->name = vqp_arena_strdup(&p->out->arena, name);
    t->dtype = json_array_size(json_object_get(json, "shape")) > VQP_MAX_RANK ? 0 : dtype->dtype;
    t->file_dtype = dtype->name;
    t->data = p->data + begin;
    t->bytes = bytes;
    return t->name ? VQP_OK : no_memory(p);
}

static vqp_status check_metadata(const struct parse *p, json_t *json)
{
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return vqp_fail(p->err, VQP_E_FORMAT, "%.240s: \"__metadata__\" in its header is no object", p->file);
    json_object_foreach(json, key, value)
    {
        char quoted[NAME_TEXT];
        if (!json_is_string(value))
            return vqp_fail(p->err, VQP_E_FORMAT, "%.240s: \"%s\" of \"__metadata__\" in its header is no string",
                            p->file, vqp_quote(key, strlen(key), quoted, sizeof quoted));
    }
    return VQP_OK;
}

static vqp_status read_entries(const struct parse *p, json_t *root)
{
    const char *name;
    json_t *value;
    struct vqp_safetensors *out = p->out;
    out->tensors = vqp_arena_alloc(&out->arena, json_object_size(root), sizeof *out->tensors);
    if (!out->tensors)
        return no_memory(p);
    json_object_foreach(root, name, value)
    {
        vqp_status status = strcmp(name, "__metadata__") ? read_tensor(p, name, value, &out->tensors[out->count++])
                                                         : check_metadata(p, value);
        if (status)
            return status;
    }
    return VQP_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct vqp_tensor *x = a, *y = b;
    uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;
    if (px != py)
        return px < py ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones stand before what starts at the same place */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vqp_tensor *)a)->name, ((const struct vqp_tensor *)b)->name);
}

/* Every byte belongs to exactly one tensor: nothing can hide in a file. */
static vqp_status check_tiling(const struct parse *p)
{
    uint64_t at = 0;
    const struct vqp_safetensors *s = p->out;
    qsort(s->tensors, s->count, sizeof *s->tensors, by_place);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct vqp_tensor *t = &s->tensors[i];
        uint64_t begin = (uint64_t)((const unsigned char *)t->data - p->data);
        if (begin != at)
            return bad_tensor(p, t->name, "%s: it begins at byte %llu of the data, %llu was expected",
                              begin < at ? "overlaps another tensor" : "a hole lies before it",
                              (unsigned long long)begin, (unsigned long long)at);
        at += t->bytes;
    }
    if (at != p->size)
        return vqp_fail(p->err, VQP_E_FORMAT, "%.240s: %llu bytes lie behind the last tensor, at byte %llu of the data",
                        p->file, (unsigned long long)(p->size - at), (unsigned long long)at);
    return VQP_OK;
}

/* Consumers cast the data pointers; a header of odd length must not make that undefined. */
static vqp_status align(const struct parse *p)
{
    for (uint32_t i = 0; i < p->out->count; i++) {
        struct vqp_tensor *t = &p->out->tensors[i];
        uint32_t size = vqp_dtype_bytes(t->dtype);
        if (!size || (uintptr_t)t->data % size == 0)
            continue;
        t->data = vqp_arena_memdup(&p->out->arena, t->data, t->bytes);
        if (!t->data)
            return no_memory(p);
    }
    return VQP_OK;
}

static vqp_status read_header(const char *file, const unsigned char *data, uint64_t size, uint64_t *header_bytes,
                              json_t **root, struct vqp_error *err)
{
    uint64_t n = 0;
    if (size < LENGTH_BYTES)
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: has %llu bytes, a safetensors file has at least %d", file,
                        (unsigned long long)size, LENGTH_BYTES);
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint64_t)data[i] << (8 * i);
    if (n > MAX_HEADER)
        return vqp_fail(err, VQP_E_FORMAT,
                        "%.240s: byte 0: a header of %llu bytes, at most %d are allowed; is it a safetensors file?",
                        file, (unsigned long long)n, MAX_HEADER);
    if (n > size - LENGTH_BYTES)
        return vqp_fail(err, VQP_E_FORMAT,
                        "%.240s: byte 0: a header of %llu bytes, but only %llu follow; it is cut short, fetch it again",
                        file, (unsigned long long)n, (unsigned long long)(size - LENGTH_BYTES));
    *header_bytes = n;
    const char *json = (const char *)data + LENGTH_BYTES;
    if (n == 0 || json[0] != '{')
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: byte %d: the header does not begin with '{'", file, LENGTH_BYTES);
    while (json[n - 1] == ' ')
        n--;
    struct vqp_error why;
    size_t offset;
    vqp_status status;
    if (strchr("\t\r\n", json[n - 1])) { /* JSON's other white space is none here */
        status = vqp_fail(&why, VQP_E_FORMAT, "only spaces may follow the JSON");
        offset = n - 1;
    } else {
        status = vqp_json_decode(json, n, root, &offset, &why);
    }
    return status ? vqp_fail(err, status, "%.200s: byte %zu: header: %.220s", file, offset + LENGTH_BYTES, why.msg)
                  : VQP_OK;
}

vqp_status vqp_safetensors_parse(const char *file, const void *data, uint64_t size, struct vqp_safetensors *out,
                                 struct vqp_error *err)
{
    uint64_t header_bytes = 0;
    json_t *root;
    *out = (struct vqp_safetensors){0};
    vqp_status status = read_header(file, data, size, &header_bytes, &root, err);
    if (status)
        return status;
    const struct parse p = {file, (const unsigned char *)data + LENGTH_BYTES + header_bytes,
                            size - LENGTH_BYTES - header_bytes, out, err};
    status = read_entries(&p, root);
    json_decref(root);
    if (!status)
        status = check_tiling(&p);
    if (!status)
        status = align(&p);
    if (status)
        vqp_safetensors_free(out);
    else
        qsort(out->tensors, out->count, sizeof *out->tensors, by_name);
    return status;
}

void vqp_safetensors_free(struct vqp_safetensors *s)
{
    vqp_arena_free(&s->arena);
    *s = (struct vqp_safetensors){0};
}
