/* Blobs on their way: at most four transfers at once on one thread, each into HASH.incomplete, which is locked while somebody writes it. */
#include "hub.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    AT_ONCE = 4,
    TRIES = 5 /* without a new byte in between */
};

struct transfer {
    const struct hub_file *file;
    struct download *all;
    char blob[PATH_MAX];
    CURL *easy; /* NULL: not in the air */
    struct curl_slist *headers;
    int fd;
    EVP_MD_CTX *digest;
    uint64_t have, most; /* bytes hashed and written; the most there ever were */
    unsigned failures, restarts;
    int done, disk_error, too_long;
    double not_before;
};

struct download {
    const struct hub *hub;
    const char *repository, *commit;
    CURLM *multi;
    struct transfer *transfers;
    size_t n, active;
    struct hub_progress *progress;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static vqp_status no_memory(struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "out of memory; free some");
}

static vqp_status disk(const struct transfer *t, int code, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_OUTPUT, "%.300s: %.200s cannot be written: %s", t->blob, t->file->name, strerror(code));
}

static void incomplete_name(const struct transfer *t, char *out, size_t n)
{
    snprintf(out, n, "%s.incomplete", t->blob);
}

/* ---- the hash ---- */

static int is_sha256(const struct hub_file *f)
{
    return strlen(f->hash) == 64;
}

/* Git hashes "blob SIZE", a NUL and the contents. */
static int digest_start(struct transfer *t)
{
    if (!t->digest && !(t->digest = EVP_MD_CTX_new()))
        return 0;
    if (!EVP_DigestInit_ex(t->digest, is_sha256(t->file) ? EVP_sha256() : EVP_sha1(), NULL))
        return 0;
    char header[40];
    int n = snprintf(header, sizeof header, "blob %llu", (unsigned long long)t->file->size);
    return is_sha256(t->file) || EVP_DigestUpdate(t->digest, header, (size_t)n + 1);
}

static int digest_matches(struct transfer *t)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1] = "";
    if (!EVP_DigestFinal_ex(t->digest, raw, &n))
        return 0;
    for (unsigned i = 0; i < n; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", raw[i]);
    return strcmp(text, t->file->hash) == 0;
}

/* ---- the file ---- */

static void close_part(struct transfer *t)
{
    if (t->fd >= 0)
        close(t->fd); /* and with it the lock */
    t->fd = -1;
}

static vqp_status from_the_start(struct transfer *t, struct vqp_error *err)
{
    t->all->progress->done -= t->have;
    t->have = 0;
    if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET) < 0)
        return disk(t, errno, err);
    return digest_start(t) ? VQP_OK : no_memory(err);
}

/* Hashes what an earlier try left. */
static vqp_status take_up(struct transfer *t, struct vqp_error *err)
{
    static char buffer[1 << 16];
    struct stat st;
    if (!digest_start(t))
        return no_memory(err);
    t->have = 0;
    if (fstat(t->fd, &st))
        return disk(t, errno, err);
    if ((uint64_t)st.st_size > t->file->size)
        return from_the_start(t, err);
    for (;;) {
        ssize_t n = read(t->fd, buffer, sizeof buffer);
        if (n < 0)
            return disk(t, errno, err);
        if (n == 0)
            break;
        if (!EVP_DigestUpdate(t->digest, buffer, (size_t)n))
            return no_memory(err);
        t->have += (uint64_t)n;
    }
    t->all->progress->done += t->have;
    return VQP_OK;
}

/* Opens and locks HASH.incomplete. Where another process holds it, *busy; where that one has finished meanwhile, t->done. */
static vqp_status open_part(struct transfer *t, int *busy, struct vqp_error *err)
{
    char path[PATH_MAX + 16];
    struct stat mine, there;
    incomplete_name(t, path, sizeof path);
    *busy = 0;
    t->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (t->fd < 0)
        return disk(t, errno, err);
    if (flock(t->fd, LOCK_EX | LOCK_NB)) {
        *busy = errno == EWOULDBLOCK;
        int code = errno;
        close_part(t);
        return *busy ? VQP_OK : disk(t, code, err);
    }
    if (fstat(t->fd, &mine) || stat(path, &there) || mine.st_ino != there.st_ino) { /* renamed while we waited */
        close_part(t);
        *busy = 1;
        return VQP_OK;
    }
    if (stat(t->blob, &there) == 0 && (uint64_t)there.st_size == t->file->size) {
        unlink(path);
        close_part(t);
        t->done = 1;
        t->all->progress->done += t->file->size;
        return VQP_OK;
    }
    return take_up(t, err);
}

static size_t arrived(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t n = size * count;
    if (n > t->file->size - t->have) {
        t->too_long = 1;
        return 0;
    }
    for (size_t at = 0; at < n;) {
        ssize_t k = write(t->fd, data + at, n - at);
        if (k <= 0) {
            t->disk_error = k < 0 ? errno : ENOSPC;
            return 0;
        }
        at += (size_t)k;
    }
    if (!EVP_DigestUpdate(t->digest, data, n))
        return 0;
    t->have += n;
    if (t->have > t->most) { /* else a server that starts anew each time would keep us for ever */
        t->most = t->have;
        t->failures = 0;
    }
    t->all->progress->done += n;
    t->all->progress->fetched += n;
    return n;
}

/* ---- one transfer ---- */

static char *escaped_path(const char *name)
{
    char *out = calloc(3, strlen(name) + 1), *to = out;
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    for (; out && *name; name++)
        to += strchr(plain, *name) ? (*to = *name, 1) : snprintf(to, 4, "%%%02X", (unsigned char)*name);
    return out;
}

static vqp_status finish(struct transfer *t, struct vqp_error *err)
{
    char path[PATH_MAX + 16];
    incomplete_name(t, path, sizeof path);
    if (digest_matches(t)) {
        if (fsync(t->fd) || rename(path, t->blob))
            return disk(t, errno, err);
        close_part(t);
        t->done = 1;
        return VQP_OK;
    }
    if (t->restarts++ == 0)
        return from_the_start(t, err);
    unlink(path);
    return vqp_fail(
        err, VQP_E_FORMAT,
        "%.200s: what %s sends has another hash than it says (%.16s...); it was thrown away, try again later",
        t->file->name, t->all->hub->endpoint, t->file->hash);
}

static vqp_status start(struct transfer *t, struct vqp_error *err)
{
    struct download *d = t->all;
    char url[2600];
    int busy = 0;
    vqp_status st = t->fd < 0 ? open_part(t, &busy, err) : VQP_OK;
    if (busy)
        t->not_before = now() + 0.2;
    if (st || busy || t->done)
        return st;
    if (t->have == t->file->size && (st = finish(t, err), st || t->done))
        return st;
    char *path = escaped_path(t->file->name);
    if (!path)
        return no_memory(err);
    snprintf(url, sizeof url, "%s/%s/resolve/%s/%s", d->hub->endpoint, d->repository, d->commit, path);
    free(path);
    if (!(t->easy = hub_request(d->hub, url, &t->headers)))
        return no_memory(err);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, arrived);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
    if (curl_multi_add_handle(d->multi, t->easy) != CURLM_OK)
        return no_memory(err);
    d->active++;
    return VQP_OK;
}

static void land(struct transfer *t)
{
    if (!t->easy)
        return;
    curl_multi_remove_handle(t->all->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
    t->all->active--;
}

static vqp_status ended(struct transfer *t, CURLcode code, struct vqp_error *err)
{
    const struct hub *hub = t->all->hub;
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    land(t);
    if (t->disk_error)
        return disk(t, t->disk_error, err);
    if (t->too_long) {
        char path[PATH_MAX + 16];
        incomplete_name(t, path, sizeof path);
        unlink(path);
        return vqp_fail(err, VQP_E_FORMAT,
                        "%.200s: %s sends more than the %llu bytes that it says; it was thrown away, try again later",
                        t->file->name, hub->endpoint, (unsigned long long)t->file->size);
    }
    if (code == CURLE_OK && t->have == t->file->size) {
        t->all->progress->files++;
        return finish(t, err);
    }
    if (code != CURLE_OK && !hub_transient(code, status))
        return hub_refused(hub, t->file->name, code, status, err);
    if (code == CURLE_RANGE_ERROR) { /* a server that cannot go on in the middle */
        vqp_status st = from_the_start(t, err);
        if (st)
            return st;
    }
    if (++t->failures >= TRIES)
        return code == CURLE_OK
                   ? vqp_fail(err, VQP_E_IO, "%.200s: %s sends fewer than the %llu bytes that it says; try again later",
                              t->file->name, hub->endpoint, (unsigned long long)t->file->size)
                   : hub_refused(hub, t->file->name, code, status, err);
    t->not_before = now() + 0.1 * (1 << t->failures);
    return VQP_OK;
}

/* ---- all of them ---- */

static vqp_status start_some(struct download *d, size_t *left, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    *left = 0;
    for (size_t i = 0; !st && i < d->n; i++) {
        struct transfer *t = &d->transfers[i];
        if (!t->done && !t->easy && d->active < AT_ONCE && now() >= t->not_before)
            st = start(t, err);
        *left += !t->done;
    }
    return st;
}

static vqp_status loop(struct download *d, struct vqp_error *err)
{
    for (;;) {
        size_t left;
        int running, queued;
        vqp_status st = start_some(d, &left, err);
        if (st || !left)
            return st;
        if (curl_multi_perform(d->multi, &running) != CURLM_OK ||
            curl_multi_poll(d->multi, NULL, 0, 100, NULL) != CURLM_OK)
            return no_memory(err);
        for (CURLMsg *m; !st && (m = curl_multi_info_read(d->multi, &queued));) {
            struct transfer *t;
            CURLcode code = m->data.result;
            if (m->msg != CURLMSG_DONE)
                continue;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
            st = ended(t, code, err);
        }
        if (st)
            return st;
        if (d->progress->show)
            d->progress->show(d->progress->ctx, d->progress);
    }
}

static vqp_status check_space(const char *dir, uint64_t needed, struct vqp_error *err)
{
    struct statvfs fs;
    if (statvfs(dir, &fs) || (uint64_t)fs.f_bavail > UINT64_MAX / fs.f_frsize ||
        (uint64_t)fs.f_bavail * fs.f_frsize >= needed)
        return VQP_OK;
    return vqp_fail(err, VQP_E_OUTPUT,
                    "%.300s: %.1f GB are needed, %.1f GB are free; make room, or set HF_HUB_CACHE to a larger disk",
                    dir, (double)needed / 1e9, (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
}

/* One transfer for each hash: files of equal contents are one blob. */
static vqp_status plan(struct download *d, const char *dir, const struct hub_listing *l, struct vqp_error *err)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct transfer *t = &d->transfers[d->n];
        const struct hub_file *f = &l->files[i];
        size_t k = 0;
        while (k < d->n && strcmp(d->transfers[k].file->hash, f->hash))
            k++;
        if (!f->wanted || k < d->n)
            continue;
        *t = (struct transfer){.file = f, .all = d, .fd = -1};
        d->n++;
        d->progress->total += f->size;
        if (hub_blob(dir, f, t->blob, sizeof t->blob)) {
            t->done = 1;
            d->progress->done += f->size;
        } else {
            needed += f->size;
        }
    }
    return check_space(dir, needed, err);
}

vqp_status hub_download(const struct hub *hub, const char *repository, const char *dir, const struct hub_listing *l,
                        struct hub_progress *progress, struct vqp_error *err)
{
    struct download d = {.hub = hub, .repository = repository, .commit = l->commit, .progress = progress};
    progress->total = progress->done = progress->fetched = progress->files = 0;
    d.transfers = calloc(l->n, sizeof *d.transfers);
    d.multi = curl_multi_init();
    vqp_status st = d.transfers && d.multi ? plan(&d, dir, l, err) : no_memory(err);
    if (!st)
        st = loop(&d, err);
    for (size_t i = 0; i < d.n; i++) {
        land(&d.transfers[i]);
        close_part(&d.transfers[i]);
        EVP_MD_CTX_free(d.transfers[i].digest);
    }
    curl_multi_cleanup(d.multi);
    free(d.transfers);
    return st;
}
