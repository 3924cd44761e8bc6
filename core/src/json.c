#include "json.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_DEPTH = 32,
    MAX_KEYS = 1000000,
    MAX_COMMAS = 4000000, /* bounds memory: an array of numbers has no keys */
    MAX_CONFIG_BYTES = 1 << 20
};

int vqp_open_regular(const char *path, vqp_status code, struct stat *st, struct vqp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st)) {
        vqp_fail(err, code, "%.240s: cannot be opened: %s", path, strerror(errno));
    } else if (!S_ISREG(st->st_mode)) {
        vqp_fail(err, code, "%.240s: is a %s, not a regular file", path,
                 S_ISDIR(st->st_mode) ? "folder" : "device, pipe or socket");
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Up to n bytes; fewer only at the end of the file or with errno set. */
static size_t read_fully(int fd, char *dst, size_t n)
{
    size_t at = 0;
    errno = 0;
    while (at < n) {
        ssize_t got = read(fd, dst + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    return at;
}

vqp_status vqp_read_file(const char *path, uint64_t max_bytes, char **data, size_t *n, struct vqp_error *err)
{
    struct stat st;
    int fd = vqp_open_regular(path, VQP_E_IO, &st, err);
    if (fd < 0)
        return VQP_E_IO;
    vqp_status status = VQP_OK;
    size_t size = (size_t)st.st_size;
    char *buf = NULL;
    if (size > max_bytes) {
        status = vqp_fail(err, VQP_E_IO, "%.240s: has %zu bytes, at most %llu are read", path, size,
                          (unsigned long long)max_bytes);
    } else if (!(buf = malloc(size + 1))) {
        status = vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory for its %zu bytes", path, size);
    } else if (read_fully(fd, buf, size) != size) {
        status = vqp_fail(err, VQP_E_IO, "%.240s: cannot be read: %s", path,
                          errno ? strerror(errno) : "it was cut short meanwhile");
    }
    close(fd);
    if (status) {
        free(buf);
        return status;
    }
    buf[size] = 0;
    *data = buf;
    *n = size;
    return VQP_OK;
}

/* What jansson does not bound, in one pass and before it allocates anything. Malformed text is left to jansson. */
static vqp_status check_limits(const char *s, size_t n, size_t *offset, struct vqp_error *why)
{
    uint32_t depth = 0, keys = 0, commas = 0;
    int in_string = 0;
    for (size_t i = 0; i < n; i++) {
        *offset = i;
        if (in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                in_string = 0;
            continue;
        }
        switch (s[i]) {
        case '"': in_string = 1; break;
        case '{':
        case '[':
            if (++depth > MAX_DEPTH)
                return vqp_fail(why, VQP_E_FORMAT, "is nested more than %d deep", MAX_DEPTH);
            break;
        case '}':
        case ']': depth -= depth > 0; break;
        case ':':
            if (++keys > MAX_KEYS)
                return vqp_fail(why, VQP_E_FORMAT, "has more than %d keys", MAX_KEYS);
            break;
        case ',':
            if (++commas > MAX_COMMAS)
                return vqp_fail(why, VQP_E_FORMAT, "has more than %d values", MAX_COMMAS);
            break;
        default: break;
        }
    }
    return VQP_OK;
}

vqp_status vqp_json_decode(const char *data, size_t n, json_t **out, size_t *offset, struct vqp_error *why)
{
    *offset = 0;
    if (n >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3))
        return vqp_fail(why, VQP_E_FORMAT, "begins with a byte order mark; remove it");
    size_t bad = vqp_utf8_check(data, n);
    if (bad < n) {
        *offset = bad;
        return vqp_fail(why, VQP_E_FORMAT, "is not UTF-8: byte 0x%02X", (unsigned char)data[bad]);
    }
    vqp_status status = check_limits(data, n, offset, why);
    if (status)
        return status;
    json_error_t e = {0};
    errno = 0;
    json_t *root = json_loadb(data, n, JSON_REJECT_DUPLICATES, &e);
    if (!root) {
        char text[JSON_ERROR_TEXT_LENGTH * 2];
        if (errno == ENOMEM) /* jansson calls a failed allocation a syntax error */
            return vqp_fail(why, VQP_E_NOMEM, "no memory left while reading JSON");
        *offset = e.position > 0 ? (size_t)e.position - 1 : 0;
        return vqp_fail(why, VQP_E_FORMAT, "%s", vqp_quote(e.text, strlen(e.text), text, sizeof text));
    }
    if (!json_is_object(root)) {
        json_decref(root);
        *offset = 0;
        return vqp_fail(why, VQP_E_FORMAT, "is not a JSON object");
    }
    *out = root;
    return VQP_OK;
}

static int in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* A whole number that does not fit 64 bits. */
static int is_wide(const char *s, size_t n)
{
    const char *most = *s == '-' ? "9223372036854775808" : "9223372036854775807";
    const char *digits = s + (*s == '-');
    n -= *s == '-';
    for (size_t i = 0; i < n; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
    return n > 19 || (n == 19 && memcmp(digits, most, 19) > 0);
}

/* jansson refuses whole numbers beyond 64 bits, and transformers writes 10^30 for "no limit". So these become reals, each at its
 * place: "e2" for their last two digits, which a double does not hold. *copy is NULL where there are none. */
static vqp_status widen(const char *s, size_t n, char **copy, struct vqp_error *why)
{
    int in_string = 0;
    *copy = NULL;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (s[i] == '"' || (in_string && s[i] == '\\')) {
            in_string ^= s[i] == '"';
            end += s[i] != '"';
            continue;
        }
        if (in_string || !in_number(s[i]))
            continue;
        while (end < n && in_number(s[end]))
            end++;
        if (!is_wide(s + i, end - i))
            continue;
        if (!*copy && !(*copy = malloc(n)))
            return vqp_fail(why, VQP_E_NOMEM, "no memory left while reading JSON");
        if (s != *copy)
            s = memcpy(*copy, s, n);
        memcpy(*copy + end - 2, "e2", 2);
    }
    return VQP_OK;
}

vqp_status vqp_json_parse(const char *what, const char *data, size_t n, json_t **out, struct vqp_error *err)
{
    size_t offset, line = 1, column = 1;
    struct vqp_error why;
    char *widened;
    vqp_status status = widen(data, n, &widened, err);
    if (status)
        return status;
    status = vqp_json_decode(widened ? widened : data, n, out, &offset, &why);
    free(widened);
    if (!status)
        return VQP_OK;
    for (size_t i = 0; i < offset && i < n; i++) {
        if (data[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)data[i] & 0xC0) != 0x80; /* characters, not bytes */
        }
    }
    return vqp_fail(err, status, "%.200s:%zu:%zu: %.260s", what, line, column, why.msg);
}

vqp_status vqp_json_load(const char *path, json_t **out, struct vqp_error *err)
{
    char *data;
    size_t n;
    vqp_status status = vqp_read_file(path, MAX_CONFIG_BYTES, &data, &n, err);
    if (status)
        return status;
    status = vqp_json_parse(path, data, n, out, err);
    free(data);
    return status;
}
