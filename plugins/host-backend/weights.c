/* Copies of weights. A weight's address is its identity until the host calls forget(), which may come from any thread: hence the
 * lock. */
#include "host_backend.h"
#include <pthread.h>
#include <stdlib.h>

struct entry {
    struct entry *next;
    const void *data;
    const struct vqp_hb_form *form;
    void *copy;
};
struct vqp_hb_weights {
    const struct vqp_host *host;
    const struct vqp_ext_weights *ext; /* may be NULL */
    pthread_mutex_t lock;
    struct entry *entries;
};

struct vqp_hb_weights *vqp_hb_weights_create(const struct vqp_host *host)
{
    struct vqp_hb_weights *w = calloc(1, sizeof *w);
    if (w)
        *w = (struct vqp_hb_weights){.host = host, .ext = host->extension(host, VQP_EXT_WEIGHTS)};
    if (w && pthread_mutex_init(&w->lock, NULL)) {
        free(w);
        return NULL;
    }
    return w;
}

static void drop(struct entry *e)
{
    e->form->destroy(e->copy);
    free(e);
}

void vqp_hb_weights_destroy(struct vqp_hb_weights *w)
{
    if (!w)
        return;
    for (struct entry *e = w->entries, *next; e; e = next) {
        next = e->next;
        drop(e);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void vqp_hb_weights_forget(struct vqp_hb_weights *w, const void *data)
{
    pthread_mutex_lock(&w->lock);
    for (struct entry **link = &w->entries; *link;) {
        struct entry *e = *link;
        if (e->data == data) {
            *link = e->next;
            drop(e);
        } else {
            link = &e->next;
        }
    }
    pthread_mutex_unlock(&w->lock);
}

const void *vqp_hb_weights_obtain(struct vqp_hb_weights *w, const void *data, const struct vqp_hb_form *form,
                                  const void *key)
{
    pthread_mutex_lock(&w->lock);
    struct entry *e = w->entries;
    while (e && (e->data != data || e->form != form || !form->same(e->copy, key)))
        e = e->next;
    if (!e && (e = calloc(1, sizeof *e))) {
        *e = (struct entry){w->entries, data, form, form->make(data, key)};
        if (e->copy) {
            w->entries = e;
            if (w->ext)
                w->ext->copied(w->host, data);
        } else {
            free(e);
            e = NULL;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return e ? e->copy : NULL;
}

/* ---- as float32 ---- */

struct floats {
    uint32_t dtype;
    uint64_t count;
    float values[];
};

static int same_floats(const void *copy, const void *key)
{
    const struct floats *a = copy, *b = key;
    return a->dtype == b->dtype && a->count == b->count;
}

static void *make_floats(const void *data, const void *key)
{
    const struct floats *k = key;
    struct floats *f =
        k->count <= (SIZE_MAX - sizeof *f) / sizeof(float) ? malloc(sizeof *f + k->count * sizeof(float)) : NULL;
    if (f) {
        *f = *k;
        for (uint64_t i = 0; i < k->count; i++)
            f->values[i] = vqp_hb_load(data, k->dtype, i);
    }
    return f;
}

const float *vqp_hb_weights_f32(struct vqp_hb_weights *w, const void *data, uint32_t dtype, uint64_t count)
{
    static const struct vqp_hb_form form = {same_floats, make_floats, free};
    if (dtype == VQP_F32 && (uintptr_t)data % sizeof(float) == 0)
        return data;
    const struct floats *f = vqp_hb_weights_obtain(w, data, &form, &(struct floats){dtype, count});
    return f ? f->values : NULL;
}
