#include "output.h"
#include "say.h"
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

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
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
    if (!ends_with(name, ".png") && !ends_with(name, ".npy"))
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
