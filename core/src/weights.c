#include "weights.h"
#include "foreign.h"
#include "json.h"
#include "model_files.h"
#include "pytorch.h"
#include "safetensors.h"
#include "text.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One mapped file; of st and pt the one that its content calls for, the other empty. */
struct part {
    const char *path;
    dev_t dev; /* these five tell whether an open file is this one */
    ino_t ino;
    off_t size;
    struct timespec mtime;
    void *map;
    struct vqp_safetensors st;
    struct vqp_pytorch pt;
};

struct vqp_weights {
    struct vqp_weights *next;
    uint32_t refs, count;
    struct vqp_model_files files;
    struct part *part;
    struct vqp_tensor *tensors; /* of all parts, in name order */
    uint32_t *of_part;          /* per tensor */
    atomic_uchar *finite;       /* per tensor: scanned, and nothing was found */
    pthread_mutex_t lock;       /* guards what vqp_weights_ready does */
    struct vqp_derived derived; /* file NULL: none; else no files of its own, and not in the cache */
};

struct vqp_weight_cache {
    pthread_mutex_t lock; /* guards everything here, and the refs */
    struct vqp_weights *files;
    void (*on_unmap)(void *ctx, const void *data);
    void *ctx;
};

vqp_status vqp_weight_cache_create(struct vqp_weight_cache **out, struct vqp_error *err)
{
    struct vqp_weight_cache *c = calloc(1, sizeof *c);
    if (!c)
        return vqp_fail(err, VQP_E_NOMEM, "no memory left for the cache of model files");
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return VQP_OK;
}

void vqp_weight_cache_destroy(struct vqp_weight_cache *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void vqp_weight_cache_on_unmap(struct vqp_weight_cache *c, void (*fn)(void *ctx, const void *data), void *ctx)
{
    pthread_mutex_lock(&c->lock);
    c->on_unmap = fn;
    c->ctx = ctx;
    pthread_mutex_unlock(&c->lock);
}

static void unmap(struct vqp_weights *w)
{
    for (uint32_t i = 0; w->part && i < w->files.n; i++) {
        vqp_safetensors_free(&w->part[i].st);
        vqp_pytorch_free(&w->part[i].pt);
        if (w->part[i].map)
            munmap(w->part[i].map, (size_t)w->part[i].size);
    }
    vqp_model_files_free(&w->files);
    pthread_mutex_destroy(&w->lock);
    free(w->part);
    if (w->derived.file)
        w->derived.destroy(w->derived.ctx);
    else
        free(w->tensors);
    free(w->of_part);
    free(w->finite);
    free(w);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* By content: people rename files. */
static vqp_status parse(struct part *p, struct vqp_error *err)
{
    uint64_t size = (uint64_t)p->size;
    const char *foreign = NULL;
    if (size && vqp_zip_detect(p->map, size))
        return vqp_pytorch_parse(p->path, p->map, size, &p->pt, err);
    if (size <= 8 || !p->map || ((const char *)p->map)[8] != '{')
        foreign = vqp_foreign_file(p->map, size);
    if (foreign)
        return vqp_fail(err, VQP_E_FORMAT, "%.240s: %s", p->path, foreign);
    return vqp_safetensors_parse(p->path, p->map, size, &p->st, err);
}

static vqp_status map_part(struct part *p, struct vqp_error *err)
{
    struct stat st;
    int fd = vqp_open_regular(p->path, VQP_E_IO, &st, err);
    vqp_status status = VQP_OK;
    if (fd < 0)
        return VQP_E_IO;
    if (st.st_size != p->size || st.st_ino != p->ino) {
        status = vqp_fail(err, VQP_E_IO, "%.240s: is being changed", p->path);
    } else if (p->size > 0) { /* an empty mapping is impossible; the parser says what is wrong */
        void *map = mmap(NULL, (size_t)p->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            status =
                vqp_fail(err, errno == ENOMEM ? VQP_E_NOMEM : VQP_E_IO, "%.240s: cannot be mapped (%lld bytes): %s",
                         p->path, (long long)p->size, strerror(errno));
        else
            p->map = map;
    }
    close(fd);
    return status ? status : parse(p, err);
}

static const struct vqp_tensor *tensors_of(const struct part *p, uint32_t *count)
{
    *count = p->pt.tensors ? p->pt.count : p->st.count;
    return p->pt.tensors ? p->pt.tensors : p->st.tensors;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vqp_tensor *)a)->name, ((const struct vqp_tensor *)b)->name);
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct vqp_tensor *)element)->name);
}

static int holds(const struct part *p, const char *name)
{
    uint32_t n;
    const struct vqp_tensor *t = tensors_of(p, &n);
    return n && bsearch(name, t, n, sizeof *t, compare_name);
}

/* What the index says is so. */
static vqp_status check_index(const struct vqp_weights *w, struct vqp_error *err)
{
    char name[128];
    for (uint32_t i = 0; i < w->files.n_indexed; i++)
        if (!holds(&w->part[w->files.in_file[i]], w->files.tensor[i]))
            return vqp_fail(err, VQP_E_FORMAT,
                            "%.200s: tensor \"%s\" is not in %.160s, where the index has it; fetch the files again",
                            w->files.shown,
                            vqp_quote(w->files.tensor[i], strlen(w->files.tensor[i]), name, sizeof name),
                            w->part[w->files.in_file[i]].path);
    return VQP_OK;
}

/* All parts' tensors in one list. */
static vqp_status merge(struct vqp_weights *w, struct vqp_error *err)
{
    size_t all = 0, at = 0;
    uint32_t n;
    for (uint32_t i = 0; i < w->files.n; i++) {
        tensors_of(&w->part[i], &n);
        all += n;
    }
    w->tensors = calloc(all + 1, sizeof *w->tensors);
    w->of_part = calloc(all + 1, sizeof *w->of_part);
    w->finite = calloc(all + 1, sizeof *w->finite);
    if (!w->tensors || !w->of_part || !w->finite || all > UINT32_MAX)
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", w->files.shown);
    w->count = (uint32_t)all;
    for (uint32_t i = 0; i < w->files.n; i++) {
        const struct vqp_tensor *t = tensors_of(&w->part[i], &n);
        if (n)
            memcpy(w->tensors + at, t, n * sizeof *t);
        at += n;
    }
    qsort(w->tensors, all, sizeof *w->tensors, by_name);
    for (uint32_t i = 1; i < w->count; i++)
        if (!strcmp(w->tensors[i - 1].name, w->tensors[i].name)) {
            char name[128];
            return vqp_fail(err, VQP_E_FORMAT, "%.240s: tensor \"%s\" is in two of its files", w->files.shown,
                            vqp_quote(w->tensors[i].name, strlen(w->tensors[i].name), name, sizeof name));
        }
    for (uint32_t p = 0; w->files.n > 1 && p < w->files.n; p++) {
        const struct vqp_tensor *t = tensors_of(&w->part[p], &n);
        for (uint32_t i = 0; i < n; i++)
            w->of_part[vqp_weights_find(w, t[i].name) - w->tensors] = p;
    }
    return check_index(w, err);
}

static int same_file(const struct part *a, const struct part *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static struct vqp_weights *find_open(const struct vqp_weight_cache *c, const struct vqp_weights *like)
{
    for (struct vqp_weights *w = c->files; w; w = w->next) {
        uint32_t same = 0;
        while (w->files.n == like->files.n && same < w->files.n && same_file(&w->part[same], &like->part[same]))
            same++;
        if (same == w->files.n)
            return w;
    }
    return NULL;
}

/* The chosen files, not yet mapped. */
static vqp_status look(const char *dir, const char *variant, struct vqp_weights *w, struct vqp_error *err)
{
    vqp_status status = vqp_model_files_choose(dir, variant, &w->files, err);
    if (status)
        return status;
    w->part = calloc(w->files.n, sizeof *w->part);
    if (!w->part)
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", dir);
    for (uint32_t i = 0; i < w->files.n; i++) {
        struct stat st;
        struct part *p = &w->part[i];
        p->path = w->files.path[i];
        int fd = vqp_open_regular(p->path, VQP_E_IO, &st, err);
        if (fd < 0)
            return VQP_E_IO;
        close(fd);
        p->dev = st.st_dev;
        p->ino = st.st_ino;
        p->size = st.st_size;
        p->mtime = st.st_mtim;
    }
    return VQP_OK;
}

vqp_status vqp_weights_open(struct vqp_weight_cache *c, const char *dir, const char *variant, struct vqp_weights **out,
                            struct vqp_error *err)
{
    struct vqp_weights *w = calloc(1, sizeof *w), *open;
    if (!w)
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", dir);
    pthread_mutex_init(&w->lock, NULL);
    vqp_status status = look(dir, variant, w, err);
    pthread_mutex_lock(&c->lock);
    open = status ? NULL : find_open(c, w);
    for (uint32_t i = 0; !status && !open && i < w->files.n; i++)
        status = map_part(&w->part[i], err);
    if (!status && !open && !(status = merge(w, err))) {
        w->next = c->files;
        c->files = open = w;
    }
    if (open) {
        open->refs++;
        *out = open;
    }
    pthread_mutex_unlock(&c->lock);
    if (open != w)
        unmap(w);
    return status;
}

vqp_status vqp_weights_derive(struct vqp_weight_cache *c, const struct vqp_derived *d, struct vqp_weights **out,
                              struct vqp_error *err)
{
    struct vqp_weights *w = calloc(1, sizeof *w);
    atomic_uchar *finite = calloc((size_t)d->n + 1, sizeof *finite);
    if (!w || !finite) {
        vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", d->shown);
        vqp_weights_close(c, d->file);
        d->destroy(d->ctx);
        free(w);
        free(finite);
        return VQP_E_NOMEM;
    }
    *w = (struct vqp_weights){.refs = 1, .count = d->n, .tensors = d->tensors, .finite = finite, .derived = *d};
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    return VQP_OK;
}

void vqp_weights_close(struct vqp_weight_cache *c, struct vqp_weights *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&c->lock);
    int last = --w->refs == 0;
    if (last && !w->derived.file) {
        struct vqp_weights **link = &c->files;
        while (*link != w)
            link = &(*link)->next;
        *link = w->next;
    }
    void (*fn)(void *, const void *) = c->on_unmap;
    void *ctx = c->ctx;
    pthread_mutex_unlock(&c->lock);
    if (!last)
        return;
    for (uint32_t i = 0; fn && i < w->count; i++)
        if (w->tensors[i].data)
            fn(ctx, w->tensors[i].data);
    struct vqp_weights *file = w->derived.file;
    unmap(w);
    vqp_weights_close(c, file);
}

const char *vqp_weights_file(const struct vqp_weights *w)
{
    return w->derived.file ? w->derived.shown : w->files.shown;
}

const char *vqp_weights_part(const struct vqp_weights *w, uint32_t i, uint64_t *bytes)
{
    if (w->derived.file)
        return vqp_weights_part(w->derived.file, i, bytes);
    if (i >= w->files.n)
        return NULL;
    *bytes = (uint64_t)w->part[i].size;
    return w->part[i].path;
}

uint32_t vqp_weights_count(const struct vqp_weights *w)
{
    return w->count;
}

const struct vqp_tensor *vqp_weights_at(const struct vqp_weights *w, uint32_t i)
{
    return i < w->count ? &w->tensors[i] : NULL;
}

const struct vqp_tensor *vqp_weights_find(const struct vqp_weights *w, const char *name)
{
    return bsearch(name, w->tensors, w->count, sizeof *w->tensors, compare_name);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static struct part *part_of(const struct vqp_weights *w, const struct vqp_tensor *t)
{
    return &w->part[w->of_part[t - w->tensors]];
}

vqp_status vqp_weights_ready(struct vqp_weights *w, const struct vqp_tensor *t, struct vqp_error *err)
{
    const struct vqp_derived *d = &w->derived;
    if (d->file) {
        uint32_t i = (uint32_t)(t - w->tensors);
        vqp_status status = vqp_weights_ready(d->file, d->source(d->ctx, i), err);
        pthread_mutex_lock(&w->lock);
        if (!status)
            status = d->make(d->ctx, i, err);
        pthread_mutex_unlock(&w->lock);
        return status;
    }
    if (!t->stored)
        return VQP_OK;
    struct part *p = part_of(w, t);
    pthread_mutex_lock(&w->lock);
    vqp_status status = vqp_pytorch_ready(p->path, &p->pt, &w->tensors[t - w->tensors], err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

void vqp_weights_drop(const struct vqp_weights *w, const struct vqp_tensor *t)
{
    if (w->derived.file) {
        vqp_weights_drop(w->derived.file, w->derived.source(w->derived.ctx, (uint32_t)(t - w->tensors)));
        return;
    }
    const struct part *p = part_of(w, t);
    const void *data = t->data;
    uint64_t bytes = t->bytes;
    if (t->stored)
        data = vqp_pytorch_bytes(t, &bytes);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), map = (uintptr_t)p->map, begin = (uintptr_t)data;
    if (begin < map || begin - map > (uintptr_t)p->size)
        return; /* a copy */
    uintptr_t end = begin + bytes;
    begin = (begin + page - 1) / page * page; /* the pages at both ends are shared with neighbours */
    end = end / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void vqp_weight_cache_drop(struct vqp_weight_cache *c, const void *data)
{
    pthread_mutex_lock(&c->lock);
    for (const struct vqp_weights *w = c->files; w; w = w->next)
        for (uint32_t i = 0; i < vqp_weights_count(w); i++) {
            const struct vqp_tensor *t = vqp_weights_at(w, i);
            if (t->data && (uintptr_t)data >= (uintptr_t)t->data && (uintptr_t)data - (uintptr_t)t->data < t->bytes)
                vqp_weights_drop(w, t);
        }
    pthread_mutex_unlock(&c->lock);
}

enum {
    BLOCK = 1024 /* elements between looks: an inner loop without a branch and of known length becomes vector code */
};

/* Index of the first element whose bits under `mask` (the exponent) are all ones, n where there is none. */
static uint64_t first_nonfinite32(const uint32_t *x, uint64_t n, uint32_t mask)
{
    uint64_t at = 0;
    for (; n - at >= BLOCK; at += BLOCK) {
        uint32_t bad = 0;
        for (uint64_t i = 0; i < BLOCK; i++)
            bad |= (x[at + i] & mask) == mask;
        if (bad)
            break;
    }
    while (at < n && (x[at] & mask) != mask)
        at++;
    return at;
}

static uint64_t first_nonfinite16(const uint16_t *x, uint64_t n, uint16_t mask)
{
    uint64_t at = 0;
    for (; n - at >= BLOCK; at += BLOCK) {
        uint16_t bad = 0;
        for (uint64_t i = 0; i < BLOCK; i++)
            bad |= (x[at + i] & mask) == mask;
        if (bad)
            break;
    }
    while (at < n && (x[at] & mask) != mask)
        at++;
    return at;
}

vqp_status vqp_weights_check_finite(struct vqp_weights *w, const struct vqp_tensor *t, struct vqp_error *err)
{
    atomic_uchar *finite = &w->finite[t - w->tensors];
    if (atomic_load(finite))
        return VQP_OK;
    vqp_status status = vqp_weights_ready(w, t, err);
    if (status)
        return status;
    uint64_t n = t->bytes / (t->dtype == VQP_F32 ? 4 : 2), at = n;
    uint32_t fraction = 0;
    if (t->dtype == VQP_F32) {
        const uint32_t *x = t->data;
        at = first_nonfinite32(x, n, 0x7F800000u);
        fraction = at < n ? x[at] & 0x007FFFFFu : 0;
    } else if (t->dtype == VQP_F16 || t->dtype == VQP_BF16) {
        const uint16_t *x = t->data, exponent = t->dtype == VQP_F16 ? 0x7C00 : 0x7F80;
        at = first_nonfinite16(x, n, exponent);
        fraction = at < n ? x[at] & 0x7FFFu & ~(uint32_t)exponent : 0;
    }
    if (at == n) {
        atomic_store(finite, 1);
        return VQP_OK;
    }
    char name[128];
    return vqp_fail(err, VQP_E_FORMAT, "%.240s: tensor \"%s\" has %s at element %llu; the file is damaged",
                    w->derived.file ? w->derived.shown : part_of(w, t)->path,
                    vqp_quote(t->name, strlen(t->name), name, sizeof name), fraction ? "NaN" : "an infinity",
                    (unsigned long long)at);
}
