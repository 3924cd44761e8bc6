#include "outfile.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_OPEN = 64
};

/* The temporaries that exist. Whoever takes a name out of its slot owns it: a signal handler, which then unlinks it and leaves
 * the memory alone, or the thread that put it there. */
static _Atomic(char *) temporaries[MAX_OPEN];
static atomic_uint counter;

static int enlist(char *tmp)
{
    for (size_t i = 0; i < MAX_OPEN; i++) {
        char *empty = NULL;
        if (atomic_compare_exchange_strong(&temporaries[i], &empty, tmp))
            return 1;
    }
    return 0;
}

static void delist(char *tmp)
{
    for (size_t i = 0; i < MAX_OPEN; i++) {
        char *mine = tmp;
        if (atomic_compare_exchange_strong(&temporaries[i], &mine, NULL)) {
            free(tmp);
            return;
        }
    }
}

void vqp_outfile_unlink_all(void)
{
    int saved = errno;
    for (size_t i = 0; i < MAX_OPEN; i++) {
        char *tmp = atomic_exchange(&temporaries[i], NULL);
        if (tmp)
            unlink(tmp);
    }
    errno = saved;
}

static vqp_status fail_errno(struct vqp_error *err, const char *path, int code)
{
    return vqp_fail(err, code == ENOMEM ? VQP_E_NOMEM : VQP_E_OUTPUT, "%.240s: cannot be written: %s", path,
                    strerror(code));
}

static vqp_status no_memory(struct vqp_error *err, const char *path)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for the name of its temporary", path);
}

static char *temporary_name(const char *path)
{
    char *tmp;
    unsigned n = atomic_fetch_add(&counter, 1);
    return asprintf(&tmp, "%s.tmp.%ld.%u", path, (long)getpid(), n) < 0 ? NULL : tmp;
}

/* A rename would replace whatever stands at the path, a device node or a link too. */
static vqp_status check_target(const char *path, struct vqp_error *err)
{
    struct stat st;
    size_t n = strlen(path);
    if (n == 0)
        return vqp_fail(err, VQP_E_OUTPUT, "the name of the output file is empty; name a file");
    if (lstat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return vqp_fail(err, VQP_E_OUTPUT, "%.240s: is a folder; name a file in it", path);
        if (!S_ISREG(st.st_mode))
            return vqp_fail(err, VQP_E_OUTPUT, "%.240s: is a %s, not a regular file; name a regular file", path,
                            S_ISLNK(st.st_mode) ? "symbolic link" : "device, pipe or socket");
    } else if (errno != ENOENT) {
        return fail_errno(err, path, errno);
    }
    if (path[n - 1] == '/')
        return vqp_fail(err, VQP_E_OUTPUT, "%.240s: ends with a slash; name a file in that folder", path);
    return VQP_OK;
}

vqp_status vqp_outfile_check(const char *path, struct vqp_error *err)
{
    vqp_status status = check_target(path, err);
    if (status)
        return status;
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    char *dir = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    char *tmp = temporary_name(path);
    struct stat st;
    if (!dir || !tmp) {
        status = no_memory(err, path);
    } else if (stat(dir, &st)) {
        status = vqp_fail(err, VQP_E_OUTPUT, "%.240s: its folder %.160s: %s", path, dir, strerror(errno));
    } else if (!S_ISDIR(st.st_mode)) {
        status = vqp_fail(err, VQP_E_OUTPUT, "%.240s: %.160s is not a folder", path, dir);
    } else if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS)) {
        status = vqp_fail(err, VQP_E_OUTPUT, "%.240s: the folder %.160s cannot be written to: %s", path, dir,
                          strerror(errno));
    } else {
        long name_max = pathconf(dir, _PC_NAME_MAX);
        if (strlen(tmp) >= PATH_MAX || (name_max > 0 && strlen(tmp) - (size_t)(base - path) > (size_t)name_max))
            status = fail_errno(err, path, ENAMETOOLONG);
    }
    free(tmp);
    free(dir);
    return status;
}

vqp_status vqp_outfile_open(struct vqp_outfile *o, const char *path, struct vqp_error *err)
{
    *o = (struct vqp_outfile){0};
    vqp_status status = check_target(path, err);
    if (status)
        return status;
    char *copy = strdup(path), *tmp = temporary_name(path);
    if (!copy || !tmp) {
        free(copy);
        free(tmp);
        return no_memory(err, path);
    }
    if (!enlist(tmp)) {
        free(copy);
        free(tmp);
        return vqp_fail(err, VQP_E_OUTPUT, "%.240s: %d files are being written already; finish some first", path,
                        MAX_OPEN);
    }
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    o->f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!o->f) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
            unlink(tmp);
        }
        delist(tmp);
        free(copy);
        return fail_errno(err, path, code);
    }
    o->path = copy;
    o->tmp = tmp;
    return VQP_OK;
}

static void release(struct vqp_outfile *o)
{
    if (o->tmp)
        delist(o->tmp);
    free(o->path);
    *o = (struct vqp_outfile){0};
}

vqp_status vqp_outfile_commit(struct vqp_outfile *o, struct vqp_error *err)
{
    int code = 0;
    errno = 0;
    if (fflush(o->f) || ferror(o->f) || fsync(fileno(o->f)))
        code = errno ? errno : EIO;
    if (fclose(o->f) && !code)
        code = errno;
    o->f = NULL;
    if (!code && rename(o->tmp, o->path))
        code = errno;
    vqp_status status = code ? fail_errno(err, o->path, code) : VQP_OK;
    if (code)
        vqp_outfile_abort(o);
    else
        release(o);
    return status;
}

void vqp_outfile_abort(struct vqp_outfile *o)
{
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        unlink(o->tmp);
    release(o);
}
