#include "installed.h"
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vqpipe/vqpipe.h>

int vqp_library_folder(char *buf, size_t n)
{
    Dl_info info;
    char path[PATH_MAX];
    if (!dladdr((const void *)vqpipe_version, &info) || !info.dli_fname || !realpath(info.dli_fname, path))
        return 0;
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) >= n)
        return 0;
    *slash = 0;
    memcpy(buf, path, (size_t)(slash - path) + 1);
    return 1;
}

int vqp_installed_pipelines(char *buf, size_t n)
{
    char lib[PATH_MAX], path[PATH_MAX + sizeof VQP_DATA_FROM_LIBRARY "/pipelines"], real[PATH_MAX];
    if (!vqp_library_folder(lib, sizeof lib))
        return 0;
    snprintf(path, sizeof path, "%s/" VQP_DATA_FROM_LIBRARY "/pipelines", lib);
    return realpath(path, real) && (size_t)snprintf(buf, n, "%s", real) < n;
}

const char *vqp_pipeline_file(const char *name, char *buf, size_t n)
{
    static const char folder[] = "pipelines/";
    char dir[PATH_MAX];
    if (*name == '/' || access(name, F_OK) == 0 || errno != ENOENT || !vqp_installed_pipelines(dir, sizeof dir))
        return name;
    const char *file = strncmp(name, folder, sizeof folder - 1) ? name : name + sizeof folder - 1;
    /* A name, not a way out of that folder. */
    if (!*file || strchr(file, '/') || (size_t)snprintf(buf, n, "%s/%s", dir, file) >= n || access(buf, F_OK))
        return name;
    return buf;
}
