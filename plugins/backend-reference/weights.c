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
