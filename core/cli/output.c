#include "output.h"
#include "say.h"
#include "text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vqpipe/vqpipe.h>

static int refuse(const char *path, const char *why)
{
    vqp_say("%s: %s; give another --output", path, why);
    return vqpipe_exit_code(VQP_E_OUTPUT);
}

static int check_folder(const char *dir)
{
    struct stat st;
    if (stat(dir, &st))
        return refuse(dir, errno == ENOENT ? "this folder does not exist" : strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return refuse(dir, "is not a folder");
    if (access(dir, W_OK | X_OK))
        return refuse(dir, errno == EACCES ? "this folder is not writable" : strerror(errno));
    return 0;
}

int vqp_output_check(const char *pattern)
{
    struct stat st;
    const char *slash = strrchr(pattern, '/'), *name = slash ? slash + 1 : pattern;
    if (stat(pattern, &st) == 0 && !S_ISREG(st.st_mode))
        return refuse(pattern, S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file and would be replaced");
    if (!vqp_ends_with(name, ".png") && !vqp_ends_with(name, ".npy"))
        return vqp_say_usage("%s: ends in none of .png, .npy and .ids.npy; give --output a name that does", pattern);
    /* A temporary's suffix, and the longest number of {seed}. */
    if (strlen(name) + strlen(".tmp.4194304.9999") + (strstr(name, "{seed}") ? 14 : 0) > NAME_MAX)
        return refuse(pattern, "this name is too long");
    if (!slash)
        return check_folder(".");
    char *dir = slash == pattern ? strdup("/") : strndup(pattern, (size_t)(slash - pattern));
    if (!dir)
        return vqp_say_nomem();
    /* Which folder it is shows only when {seed} or {index} are known. */
    int code = strchr(dir, '{') ? 0 : check_folder(dir);
    free(dir);
    return code;
}

static const char *value_of(vqpipe *pipe, const char *key, const char *otherwise)
{
    const char *value = vqpipe_get(pipe, key);
    return value ? value : otherwise;
}

int vqp_output_settle(vqpipe *pipe, int to_stdout, struct vqp_output *out)
{
    *out = (struct vqp_output){.metadata = strcmp(value_of(pipe, "output.metadata", "true"), "false") != 0};
    out->scale = (uint32_t)strtoul(value_of(pipe, "output.scale", "1"), NULL, 10);
    if (to_stdout)
        return 0;
    out->pattern = strdup(value_of(pipe, "output.path", ""));
    if (!out->pattern)
        return vqp_say_nomem();
    if (out->scale > 1 && !vqp_ends_with(out->pattern, ".png"))
        return vqp_say_usage(
            "--scale: %s is no PNG, and nothing else is enlarged; give --output a .png, or leave it out", out->pattern);
    return vqp_output_check(out->pattern);
}
