/* float32 and packed copies of weights. A weight's address is its identity until the host calls forget(), which may come from any
 * thread: hence the lock. */
#include "reference.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct copy {
    struct copy *next;
    const void *data;
    uint32_t dtype;
    uint64_t count;
    struct vqp_ref_matrix matrix; /* groups 0: not packed */
    float values[];
};
struct vqp_ref_weights {
    pthread_mutex_t lock;
    struct copy *copies;
};

struct vqp_ref_weights *vqp_ref_weights_create(void)
{
    struct vqp_ref_weights *w = calloc(1, sizeof *w);
    if (w && pthread_mutex_init(&w->lock, NULL)) {
        free(w);
        return NULL;
    }
    return w;
}

void vqp_ref_weights_destroy(struct vqp_ref_weights *w)
{
    if (!w)
        return;
    for (struct copy *c = w->copies, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void vqp_ref_weights_forget(struct vqp_ref_weights *w, const void *data)
{
    pthread_mutex_lock(&w->lock);
    for (struct copy **link = &w->copies; *link;) {
        struct copy *c = *link;
        if (c->data == data) {
            *link = c->next;
            free(c);
        } else {
            link = &c->next;
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 1023u, bits;
    if (exponent == 0) /* zero or subnormal: fraction * 2^-24 */
        return sign ? -(float)fraction * 0x1p-24f : (float)fraction * 0x1p-24f;
    bits = sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float vqp_ref_load(const void *data, uint32_t dtype, uint64_t i)
{
    float f;
    uint16_t h;
    uint32_t bits;
    switch (dtype) {
    case VQP_F16: memcpy(&h, (const unsigned char *)data + 2 * i, sizeof h); return from_f16(h);
    case VQP_BF16:
        memcpy(&h, (const unsigned char *)data + 2 * i, sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&f, &bits, sizeof f);
        return f;
    default: memcpy(&f, (const unsigned char *)data + 4 * i, sizeof f); return f;
    }
}

/* The copy that `key` describes, made where it is not there yet. */
static const float *obtain(struct vqp_ref_weights *w, const struct copy *key, uint64_t floats)
{
    const struct vqp_ref_matrix *m = &key->matrix;
    pthread_mutex_lock(&w->lock);
    struct copy *c = w->copies;
    while (c && (c->data != key->data || c->dtype != key->dtype || c->count != key->count ||
                 memcmp(&c->matrix, m, sizeof *m) != 0))
        c = c->next;
    if (!c && floats <= (SIZE_MAX - sizeof *c) / sizeof(float) && (c = malloc(sizeof *c + floats * sizeof(float)))) {
        *c = *key;
        c->next = w->copies;
        w->copies = c;
        if (m->groups)
            vqp_ref_matrix_pack(c->values, key->data, key->dtype, m);
        else
            for (uint64_t i = 0; i < floats; i++)
                c->values[i] = vqp_ref_load(key->data, key->dtype, i);
    }
    pthread_mutex_unlock(&w->lock);
    return c ? c->values : NULL;
}

const float *vqp_ref_weights_f32(struct vqp_ref_weights *w, const void *data, uint32_t dtype, uint64_t count)
{
    if (dtype == VQP_F32 && (uintptr_t)data % sizeof(float) == 0)
        return data;
    return obtain(w, &(struct copy){.data = data, .dtype = dtype, .count = count}, count);
}

const float *vqp_ref_weights_packed(struct vqp_ref_weights *w, const void *data, uint32_t dtype,
                                    const struct vqp_ref_matrix *m)
{
    return obtain(w, &(struct copy){.data = data, .dtype = dtype, .matrix = *m}, vqp_ref_matrix_floats(m));
}
