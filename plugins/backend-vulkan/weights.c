/* Weights on the device. A weight's address is its identity until the host calls forget(), which may come from any thread. */
#include "vulkan.h"
#include <stdlib.h>

struct vk_weight_copy {
    struct vk_weight_copy *next;
    const void *data;
    struct vk_form form;
    uint32_t dtype;
    struct vqp_shape shape; /* as one number of elements where the form keeps their order */
    struct vk_slice slice;
};

/* ---- elements ---- */

float vk_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 1023u;
    if (exponent == 0) /* zero or subnormal: fraction * 2^-24 */
        return sign ? -(float)fraction * 0x1p-24f : (float)fraction * 0x1p-24f;
    uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To the nearest, halves to even; beyond the range infinity. */
uint16_t vk_to_f16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x47800000u)
        return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) { /* subnormal: let the addition round at 2^-24 */
        float magic = 0x1p-1f;
        uint32_t rounded;
        memcpy(&f, &size, sizeof f);
        f += magic;
        memcpy(&rounded, &f, sizeof rounded);
        return (uint16_t)(sign | (rounded - 0x3f000000u));
    }
    return (uint16_t)(sign | ((size + 0xfffu + (size >> 13 & 1) - 0x38000000u) >> 13));
}

static float load(const void *data, uint32_t dtype, uint64_t i)
{
    float f;
    uint16_t h;
    if (dtype == VQP_F32) {
        memcpy(&f, (const char *)data + 4 * i, sizeof f);
        return f;
    }
    memcpy(&h, (const char *)data + 2 * i, sizeof h);
    if (dtype == VQP_F16)
        return vk_from_f16(h);
    uint32_t bits = (uint32_t)h << 16;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The largest magnitude's bits as float32, NaN above all. */
static uint32_t largest(const void *data, uint32_t dtype, uint64_t n)
{
    uint32_t most = 0;
    for (uint64_t i = 0; i < n; i++) {
        float f = load(data, dtype, i);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return most;
}

/* ---- forms ---- */

static uint32_t size_of(uint32_t dtype)
{
    return dtype == VQP_U8 || dtype == VQP_Q8_0 ? 1 : dtype == VQP_F16 || dtype == VQP_BF16 ? 2 : 4;
}

static uint64_t count_of(const struct vqp_val_info *val)
{
    return val->bytes / size_of(val->dtype);
}

static uint32_t dtype_in(const struct vqp_val_info *val, const struct vk_form *form)
{
    return form->dtype ? form->dtype : val->dtype;
}

uint64_t vk_form_bytes(const struct vqp_val_info *val, const struct vk_form *form)
{
    return count_of(val) * size_of(dtype_in(val, form));
}

struct source {
    const struct vqp_val_info *val;
    uint32_t dtype, rank; /* of the result; rank 0: in order */
    int64_t dim[VQP_MAX_RANK], stride[VQP_MAX_RANK];
};

static uint64_t place_of(const struct source *s, uint64_t i)
{
    uint64_t at = 0;
    for (uint32_t k = s->rank; k-- > 0; i /= (uint64_t)s->dim[k])
        at += i % (uint64_t)s->dim[k] * (uint64_t)s->stride[k];
    return at;
}

static void fill(void *ctx, void *dst, uint64_t off, uint64_t n)
{
    const struct source *s = ctx;
    uint32_t size = size_of(s->dtype), from = s->val->dtype;
    if (!s->rank && s->dtype == from) {
        memcpy(dst, (const char *)s->val->data + off, n);
        return;
    }
    for (uint64_t i = off / size, k = 0; k < n / size; i++, k++) {
        uint64_t at = s->rank ? place_of(s, i) : i;
        if (s->dtype == from)
            memcpy((char *)dst + k * size, (const char *)s->val->data + at * size, size);
        else if (s->dtype == VQP_F16)
            ((uint16_t *)dst)[k] = vk_to_f16(load(s->val->data, from, at));
        else
            ((float *)dst)[k] = load(s->val->data, from, at);
    }
}

vqp_status vk_form_upload(struct vk_device *dev, const struct vqp_val_info *val, const struct vk_form *form,
                          struct vk_slice *out, struct vqp_error *err)
{
    struct source s = {.val = val, .dtype = dtype_in(val, form), .rank = form->permute ? val->shape.rank : 0};
    uint64_t bytes = vk_form_bytes(val, form);
    int64_t stride[VQP_MAX_RANK], step = 1;
    for (uint32_t k = s.rank; k-- > 0; step *= val->shape.dim[k])
        stride[k] = step;
    for (uint32_t k = 0; k < s.rank; k++) {
        s.dim[k] = val->shape.dim[form->perm[k]];
        s.stride[k] = stride[form->perm[k]];
    }
    const char *what = val->name ? val->name : "a constant";
    vqp_status st = vk_memory_take(dev, bytes, what, out, err);
    if (!st && (st = vk_memory_fill(dev, out, bytes, fill, &s, err)))
        vk_memory_give(dev, out);
    return st;
}

/* ---- one copy for each address and form ---- */

static int same(const struct vk_weight_copy *c, const struct vqp_val_info *val, const struct vk_form *form)
{
    return c->data == val->data && c->dtype == val->dtype && !memcmp(&c->form, form, sizeof *form) &&
           (form->permute ? !memcmp(&c->shape, &val->shape, sizeof c->shape)
                          : c->slice.bytes == (vk_form_bytes(val, form) + 15) / 16 * 16);
}

vqp_status vk_weight_obtain(struct vk_device *dev, const struct vqp_val_info *val, const struct vk_form *form,
                            struct vk_slice *out, struct vqp_error *err)
{
    pthread_mutex_lock(&dev->lock);
    struct vk_weight_copy *c = dev->weights;
    while (c && !same(c, val, form))
        c = c->next;
    pthread_mutex_unlock(&dev->lock);
    if (!c) {
        if (!(c = calloc(1, sizeof *c)))
            return vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
        *c = (struct vk_weight_copy){.data = val->data, .form = *form, .dtype = val->dtype, .shape = val->shape};
        vqp_status st = vk_form_upload(dev, val, form, &c->slice, err);
        if (st) {
            free(c);
            return st;
        }
        pthread_mutex_lock(&dev->lock);
        c->next = dev->weights;
        dev->weights = c;
        pthread_mutex_unlock(&dev->lock);
        const struct vqp_ext_weights *ext = dev->host->extension(dev->host, VQP_EXT_WEIGHTS);
        if (ext)
            ext->copied(dev->host, val->data);
    }
    *out = c->slice;
    return VQP_OK;
}

uint32_t vk_form_fits_f16(struct vk_device *dev, const struct vqp_val_info *val)
{
    if (val->dtype == VQP_F16)
        return 1;
    pthread_mutex_lock(&dev->lock);
    const struct vk_weight_copy *c = dev->weights;
    while (c && (val->role != VQP_VAL_WEIGHT || c->data != val->data || c->form.dtype != VQP_F16))
        c = c->next;
    pthread_mutex_unlock(&dev->lock);
    return c || largest(val->data, val->dtype, count_of(val)) < 0x477ff000u; /* 65520 rounds to infinity */
}

/* Takes the copies of `data` (NULL: all) out of the list. */
static void drop(struct vk_device *dev, const void *data)
{
    struct vk_weight_copy *gone = NULL;
    pthread_mutex_lock(&dev->lock);
    for (struct vk_weight_copy **link = &dev->weights; *link;) {
        struct vk_weight_copy *c = *link;
        if (data && c->data != data) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->next = gone;
        gone = c;
    }
    pthread_mutex_unlock(&dev->lock);
    for (struct vk_weight_copy *next; gone; gone = next) {
        next = gone->next;
        vk_memory_give(dev, &gone->slice);
        free(gone);
    }
}

void vk_weights_forget(struct vk_device *dev, const void *data)
{
    if (data)
        drop(dev, data);
}

void vk_weights_close(struct vk_device *dev)
{
    drop(dev, NULL);
}
