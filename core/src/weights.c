#include "weights.h"
#include "json.h"
#include "safetensors.h"
#include "text.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct vqp_weights {
    struct vqp_weights *next;
    dev_t dev; /* these five tell whether an open file is this one */
    ino_t ino;
    off_t size;
    struct timespec mtime;
    uint32_t refs;
    char *path;
    void *map;
    struct vqp_safetensors st;
    atomic_uchar *finite; /* per tensor: scanned, and nothing was found */
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
    if (!w)
        return;
    vqp_safetensors_free(&w->st);
    if (w->map)
        munmap(w->map, (size_t)w->size);
    free(w->finite);
    free(w->path);
    free(w);
}

static vqp_status map_file(const char *path, int fd, const struct stat *st, struct vqp_weights **out,
                           struct vqp_error *err)
{
    vqp_status status;
    struct vqp_weights *w = calloc(1, sizeof *w);
    if (w)
        w->path = strdup(path);
    if (!w || !w->path) {
        unmap(w);
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", path);
    }
    w->dev = st->st_dev;
    w->ino = st->st_ino;
    w->size = st->st_size;
    w->mtime = st->st_mtim;
    if (w->size > 0) { /* an empty mapping is impossible; the parser says what is wrong */
        void *map = mmap(NULL, (size_t)w->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            status = vqp_fail(err, errno == ENOMEM ? VQP_E_NOMEM : VQP_E_IO,
                              "%.240s: cannot be mapped (%lld bytes): %s", path, (long long)w->size, strerror(errno));
            unmap(w);
            return status;
        }
        w->map = map;
    }
    status = vqp_safetensors_parse(path, w->map, (uint64_t)w->size, &w->st, err);
    if (!status && !(w->finite = calloc((size_t)w->st.count + 1, sizeof *w->finite)))
        status = vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left to open it", path);
    if (status)
        unmap(w);
    else
        *out = w;
    return status;
}

static struct vqp_weights *find_open(const struct vqp_weight_cache *c, const struct stat *st)
{
    struct vqp_weights *w = c->files;
    while (w && !(w->dev == st->st_dev && w->ino == st->st_ino && w->size == st->st_size &&
                  w->mtime.tv_sec == st->st_mtim.tv_sec && w->mtime.tv_nsec == st->st_mtim.tv_nsec))
        w = w->next;
    return w;
}

static vqp_status open_file(struct vqp_weight_cache *c, const char *path, struct vqp_weights **out,
                            struct vqp_error *err)
{
    struct stat st;
    int fd = vqp_open_regular(path, VQP_E_IO, &st, err);
    if (fd < 0)
        return VQP_E_IO;
    vqp_status status = VQP_OK;
    pthread_mutex_lock(&c->lock);
    struct vqp_weights *w = find_open(c, &st);
    if (!w) {
        status = map_file(path, fd, &st, &w, err);
        if (!status) {
            w->next = c->files;
            c->files = w;
        }
    }
    if (!status) {
        w->refs++;
        *out = w;
    }
    pthread_mutex_unlock(&c->lock);
    close(fd);
    return status;
}

vqp_status vqp_weights_open(struct vqp_weight_cache *c, const char *dir, struct vqp_weights **out,
                            struct vqp_error *err)
{
    static const char *const names[] = {"diffusion_pytorch_model.safetensors", "model.safetensors"};
    struct stat st;
    if (stat(dir, &st))
        return vqp_fail(err, VQP_E_IO, "%.240s: the model folder cannot be read: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return vqp_fail(err, VQP_E_IO, "%.240s: is no folder; name the folder that holds %s", dir, names[1]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", dir, names[i]) < 0)
            return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for a file name", dir);
        /* lstat: a link to nowhere is there, and its error says so */
        int absent = lstat(path, &st) && errno == ENOENT;
        vqp_status status = absent ? VQP_OK : open_file(c, path, out, err);
        free(path);
        if (!absent)
            return status;
    }
    return vqp_fail(err, VQP_E_IO, "%.240s: holds neither %s nor %s; put one there", dir, names[0], names[1]);
}

void vqp_weights_close(struct vqp_weight_cache *c, struct vqp_weights *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&c->lock);
    int last = --w->refs == 0;
    if (last) {
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
    for (uint32_t i = 0; fn && i < w->st.count; i++)
        fn(ctx, w->st.tensors[i].data);
    unmap(w);
}

const char *vqp_weights_file(const struct vqp_weights *w)
{
    return w->path;
}

uint32_t vqp_weights_count(const struct vqp_weights *w)
{
    return w->st.count;
}

const struct vqp_tensor *vqp_weights_at(const struct vqp_weights *w, uint32_t i)
{
    return i < w->st.count ? &w->st.tensors[i] : NULL;
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct vqp_tensor *)element)->name);
}

const struct vqp_tensor *vqp_weights_find(const struct vqp_weights *w, const char *name)
{
    return bsearch(name, w->st.tensors, w->st.count, sizeof *w->st.tensors, compare_name);
}

void vqp_weights_drop(const struct vqp_weights *w, const struct vqp_tensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), map = (uintptr_t)w->map, begin = (uintptr_t)t->data;
    if (begin < map || begin - map > (uintptr_t)w->size)
        return; /* a copy */
    uintptr_t end = begin + t->bytes;
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
            if ((uintptr_t)data >= (uintptr_t)t->data && (uintptr_t)data - (uintptr_t)t->data < t->bytes)
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
    atomic_uchar *finite = &w->finite[t - w->st.tensors];
    if (atomic_load(finite))
        return VQP_OK;
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
    return vqp_fail(err, VQP_E_FORMAT, "%.240s: tensor \"%s\" has %s at element %llu; the file is damaged", w->path,
                    vqp_quote(t->name, strlen(t->name), name, sizeof name), fraction ? "NaN" : "an infinity",
                    (unsigned long long)at);
}
