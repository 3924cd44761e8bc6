#include "hub.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static vqp_status fail_errno(struct vqp_error *err, const char *path, const char *what)
{
    int code = errno;
    return vqp_fail(err, code == ENOMEM ? VQP_E_NOMEM : VQP_E_OUTPUT, "%.300s: %s: %s", path, what, strerror(code));
}

vqp_status hub_make_parents(const char *path, struct vqp_error *err)
{
    char dir[PATH_MAX];
    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return vqp_fail(err, VQP_E_OUTPUT, "%.300s: the path is too long; set HF_HUB_CACHE to a shorter one", path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(dir, 0755) && errno != EEXIST)
            return fail_errno(err, dir, "the folder cannot be made");
        *slash = '/';
    }
    return VQP_OK;
}

vqp_status hub_cache_open(const struct hub *hub, const char *repository, char *dir, size_t n, struct vqp_error *err)
{
    const char *slash = strchr(repository, '/');
    char inside[PATH_MAX];
    if ((size_t)snprintf(dir, n, "%s/models--%.*s--%s", hub->cache, (int)(slash - repository), repository, slash + 1) >=
        n)
        return vqp_fail(err, VQP_E_OUTPUT, "%.300s: the path is too long; set HF_HUB_CACHE to a shorter one",
                        hub->cache);
    snprintf(inside, sizeof inside, "%s/blobs/", dir);
    return hub_make_parents(inside, err);
}

int hub_blob(const char *dir, const struct hub_file *f, char *path, size_t n)
{
    struct stat st;
    snprintf(path, n, "%s/blobs/%s", dir, f->hash);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size;
}

/* Puts a link, or a small file, at `path` in one step. */
static vqp_status replace(const char *path, const char *target, const char *text, struct vqp_error *err)
{
    char beside[PATH_MAX];
    vqp_status st = hub_make_parents(path, err);
    if (st)
        return st;
    if ((size_t)snprintf(beside, sizeof beside, "%s.tmp.%ld", path, (long)getpid()) >= sizeof beside)
        return vqp_fail(err, VQP_E_OUTPUT, "%.300s: the path is too long; set HF_HUB_CACHE to a shorter one", path);
    unlink(beside);
    int good;
    if (target) {
        good = symlink(target, beside) == 0;
    } else {
        FILE *f = fopen(beside, "wxe");
        good = f && fputs(text, f) >= 0;
        if (f)
            good = fclose(f) == 0 && good;
    }
    if (good && rename(beside, path) == 0)
        return VQP_OK;
    st = fail_errno(err, path, "cannot be written");
    unlink(beside);
    return st;
}

static vqp_status link_file(const char *dir, const char *commit, const struct hub_file *f, struct vqp_error *err)
{
    char path[PATH_MAX], target[PATH_MAX] = "", old[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/snapshots/%s/%s", dir, commit, f->name) >= sizeof path)
        return vqp_fail(err, VQP_E_OUTPUT, "%.300s: the path is too long; set HF_HUB_CACHE to a shorter one", f->name);
    size_t n = 0;
    for (const char *s = f->name; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL)
        n += (size_t)snprintf(target + n, sizeof target - n, "../");
    snprintf(target + n, sizeof target - n, "../blobs/%s", f->hash);
    ssize_t k = readlink(path, old, sizeof old - 1);
    if (k > 0 && (size_t)k == strlen(target) && memcmp(old, target, (size_t)k) == 0)
        return VQP_OK;
    return replace(path, target, NULL, err);
}

vqp_status hub_cache_publish(const char *dir, const char *revision, const struct hub_listing *l, struct vqp_error *err)
{
    char path[PATH_MAX];
    vqp_status st = VQP_OK;
    for (size_t i = 0; !st && i < l->n; i++)
        if (l->files[i].wanted)
            st = link_file(dir, l->commit, &l->files[i], err);
    if (st || strcmp(revision, l->commit) == 0)
        return st;
    if ((size_t)snprintf(path, sizeof path, "%s/refs/%s", dir, revision) >= sizeof path)
        return vqp_fail(err, VQP_E_OUTPUT, "%.300s: the path is too long; set HF_HUB_CACHE to a shorter one", dir);
    return replace(path, NULL, l->commit, err);
}
