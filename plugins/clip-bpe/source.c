/* Reading one file of the folder, and what messages say of it. */
#include "source.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unistr.h>

/* In parentheses: the analyzer has a macro of that name. */
vqp_status(vqp_source_fail)(const struct source *src, vqp_status status, size_t line, const char *fmt, ...)
{
    char reason[256], where[24] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    if (line)
        snprintf(where, sizeof where, ":%zu", line);
    return vqp_fail(src->err, status, "%.200s/%s%s: %s", src->folder, src->name, where, reason);
}

vqp_status vqp_source_no_memory(const struct source *src)
{
    return vqp_fail(src->err, VQP_E_NOMEM, "out of memory while reading %.200s/%s", src->folder, src->name);
}

struct quoted vqp_quoted(const char *token)
{
    struct quoted q;
    size_t n = strlen(token), w = 0;
    for (size_t i = 0; i < n;) {
        ucs4_t c;
        size_t len = (size_t)u8_mbtouc(&c, (const uint8_t *)token + i, n - i);
        if (w + len + 4 > sizeof q.s) {
            memcpy(q.s + w, "...", 3);
            w += 3;
            break;
        }
        if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            q.s[w++] = '?';
        else
            for (size_t k = 0; k < len; k++)
                q.s[w++] = token[i + k];
        i += len;
    }
    q.s[w] = '\0';
    return q;
}

vqp_status vqp_source_read(const struct source *src, size_t max, char **data, size_t *n)
{
    char *path = NULL, *buf = NULL;
    struct stat st;
    size_t got = 0;
    int fd = -1;
    vqp_status r = VQP_OK;
    if (asprintf(&path, "%s/%s", src->folder, src->name) < 0) {
        path = NULL;
        r = vqp_source_no_memory(src);
        goto out;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        r = vqp_source_fail(src, VQP_E_IO, 0,
                            "%s; a CLIP tokenizer's folder has vocab.json, merges.txt and special_tokens_map.json",
                            strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        r = vqp_source_fail(src, VQP_E_IO, 0, "is not a regular file");
        goto out;
    }
    if (st.st_size > (off_t)max) {
        r = vqp_source_fail(src, VQP_E_FORMAT, 0, "is larger than the %zu MB that such a file may have", max >> 20);
        goto out;
    }
    size_t size = (size_t)st.st_size;
    buf = malloc(size + 1);
    if (!buf) {
        r = vqp_source_no_memory(src);
        goto out;
    }
    while (got < size) {
        ssize_t k = read(fd, buf + got, size - got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            r = vqp_source_fail(src, VQP_E_IO, 0, "%s", k < 0 ? strerror(errno) : "became shorter while it was read");
            goto out;
        }
        got += (size_t)k;
    }
    buf[got] = '\0';
    *data = buf;
    *n = got;
    buf = NULL;
out:
    if (fd >= 0)
        close(fd);
    free(buf);
    free(path);
    return r;
}
