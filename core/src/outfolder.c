#include "outfolder.h"
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static vqp_status fail_errno(const char *path, struct vqp_error *err)
{
    return vqp_fail(err, errno == ENOMEM ? VQP_E_NOMEM : VQP_E_OUTPUT, "%.240s: cannot be written: %s", path,
                    strerror(errno));
}

static int is_empty(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return d && n <= 2; /* itself and its parent */
}

static void release(struct vqp_outfolder *o)
{
    free(o->path);
    free(o->tmp);
    *o = (struct vqp_outfolder){0};
}

vqp_status vqp_outfolder_open(struct vqp_outfolder *o, const char *path, struct vqp_error *err)
{
    struct stat st;
    *o = (struct vqp_outfolder){0};
    if (!*path)
        return vqp_fail(err, VQP_E_OUTPUT, "the name of the output folder is empty; name a folder");
    if (lstat(path, &st) == 0 && !(S_ISDIR(st.st_mode) && is_empty(path)))
        return vqp_fail(err, VQP_E_OUTPUT, "%.240s: is there already; name a folder that is not", path);
    o->path = strdup(path);
    for (size_t n = o->path ? strlen(o->path) : 0; n > 1 && o->path[n - 1] == '/'; n--)
        o->path[n - 1] = 0;
    if (!o->path || asprintf(&o->tmp, "%s.tmp.%ld", o->path, (long)getpid()) < 0) {
        o->tmp = NULL;
        release(o);
        return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for the name of its temporary", path);
    }
    if (mkdir(o->tmp, 0755)) {
        vqp_status status = fail_errno(path, err);
        release(o);
        return status;
    }
    return VQP_OK;
}

vqp_status vqp_outfolder_commit(struct vqp_outfolder *o, struct vqp_error *err)
{
    if (rename(o->tmp, o->path)) {
        vqp_status status = fail_errno(o->path, err);
        vqp_outfolder_abort(o);
        return status;
    }
    release(o);
    return VQP_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void vqp_outfolder_abort(struct vqp_outfolder *o)
{
    if (o->tmp)
        nftw(o->tmp, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    release(o);
}
