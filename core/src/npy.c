#include "npy.h"
#include "json.h"
#include "outfile.h"
#include "shape.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "\x93NUMPY";

enum {
    MAGIC_BYTES = 6,
    MAX_PREFIX = 12,
    MAX_HEADER = 65536,
    ALIGNMENT = 64 /* of the data, as NumPy writes it */
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

vqp_status vqp_npy_write(FILE *f, uint32_t dtype, const struct vqp_shape *s, const void *data, struct vqp_error *err)
{
    char header[384], text[VQP_SHAPE_TEXT];
    uint64_t bytes;
    if ((dtype != VQP_I32 && dtype != VQP_F32) || vqp_shape_bytes(s, dtype, &bytes))
        return vqp_fail(err, VQP_E_INTERNAL, "npy: cannot write an array %s of %s", vqp_shape_text(s, text),
                        vqp_dtype_name(dtype));
    int n = sprintf(header, "%s%c%c..{'descr': '<%s4', 'fortran_order': False, 'shape': (", magic, 1, 0,
                    dtype == VQP_I32 ? "i" : "f");
    for (uint32_t i = 0; i < s->rank; i++)
        n += sprintf(header + n, "%s%lld", i ? ", " : "", (long long)s->dim[i]);
    n += sprintf(header + n, "%s), }", s->rank == 1 ? "," : "");
    size_t total = ((size_t)n + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memset(header + n, ' ', total - (size_t)n - 1);
    header[total - 1] = '\n';
    header[8] = (char)((total - 10) & 0xFF);
    header[9] = (char)((total - 10) >> 8);
    errno = 0;
    if (fwrite(header, 1, total, f) != total || fwrite(data, 1, bytes, f) != bytes || fflush(f))
        return vqp_fail(err, VQP_E_OUTPUT, "npy: cannot be written: %s", strerror(errno ? errno : EIO));
    return VQP_OK;
}

vqp_status vqp_npy_save(const char *path, uint32_t dtype, const struct vqp_shape *s, const void *data,
                        struct vqp_error *err)
{
    struct vqp_outfile o;
    struct vqp_error why;
    vqp_status status = vqp_outfile_open(&o, path, err);
    if (status)
        return status;
    status = vqp_npy_write(o.f, dtype, s, data, &why);
    if (!status)
        return vqp_outfile_commit(&o, err);
    vqp_outfile_abort(&o);
    return vqp_fail(err, status, "%.240s: %.240s", path, why.msg);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* The header is a Python literal; this reads the one dictionary that NumPy writes. */
struct cursor {
    const char *s, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->s < c->end && *c->s == ' ')
        c->s++;
}

static int take(struct cursor *c, const char *token)
{
    size_t n = strlen(token);
    skip_space(c);
    if ((size_t)(c->end - c->s) < n || memcmp(c->s, token, n))
        return 0;
    c->s += n;
    return 1;
}

/* A quoted string without escapes, shorter than max. */
static int take_string(struct cursor *c, char *dst, size_t max)
{
    skip_space(c);
    if (c->s == c->end || (*c->s != '\'' && *c->s != '"'))
        return 0;
    const char *begin = c->s + 1, *close = memchr(begin, *c->s, (size_t)(c->end - begin));
    size_t n = close ? (size_t)(close - begin) : max;
    if (n >= max || memchr(begin, '\\', n))
        return 0;
    memcpy(dst, begin, n);
    dst[n] = 0;
    c->s = close + 1;
    return 1;
}

static int take_dim(struct cursor *c, int64_t *dim)
{
    skip_space(c);
    const char *begin = c->s;
    for (*dim = 0; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++)
        if (__builtin_mul_overflow(*dim, 10, dim) || __builtin_add_overflow(*dim, *c->s - '0', dim))
            return 0;
    return c->s > begin;
}

static int take_shape(struct cursor *c, struct vqp_shape *s)
{
    *s = (struct vqp_shape){0};
    if (!take(c, "("))
        return 0;
    while (!take(c, ")")) {
        if (s->rank == VQP_MAX_RANK || !take_dim(c, &s->dim[s->rank]))
            return 0;
        s->rank++;
        if (!take(c, ",") && (s->rank == 1 || c->s == c->end || *c->s != ')')) /* "(3)" is a number, not a tuple */
            return 0;
    }
    return 1;
}

struct header {
    char descr[16];
    struct vqp_shape shape;
};

/* NULL, or what is wrong. */
static const char *parse_header(const char *text, size_t n, struct header *h)
{
    struct cursor c = {text, text + n};
    char key[24];
    int descr = 0, order = 0, shape = 0;
    if (!take(&c, "{"))
        return "its header is no dictionary";
    while (!take(&c, "}")) {
        if (!take_string(&c, key, sizeof key) || !take(&c, ":"))
            return "its header is malformed";
        if (!strcmp(key, "descr") && !descr++) {
            if (!take_string(&c, h->descr, sizeof h->descr))
                return "its 'descr' is no simple type";
        } else if (!strcmp(key, "fortran_order") && !order++) {
            if (!take(&c, "False"))
                return "it is in Fortran order; save it with numpy.ascontiguousarray";
        } else if (!strcmp(key, "shape") && !shape++) {
            if (!take_shape(&c, &h->shape))
                return "its 'shape' is malformed or has more than 6 dimensions";
        } else {
            return "its header has an unknown or repeated key";
        }
        skip_space(&c);
        if (!take(&c, ",") && (c.s == c.end || *c.s != '}'))
            return "its header is malformed";
    }
    take(&c, "\n");
    if (c.s != c.end)
        return "its header has something behind the dictionary";
    return descr && order && shape ? NULL : "its header lacks 'descr', 'fortran_order' or 'shape'";
}

static int read_at(int fd, void *dst, uint64_t n, uint64_t at)
{
    for (uint64_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)dst + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got ? errno : EIO; /* cut short meanwhile */
            return -1;
        }
        done += (uint64_t)got;
    }
    return 0;
}

struct load {
    const char *path;
    vqp_status code;
    int fd;
    uint64_t size; /* of the file */
    struct vqp_error *err;
};

static vqp_status bad(const struct load *l, const char *why)
{
    return vqp_fail(l->err, l->code, "%.240s: %.240s", l->path, why);
}

/* Reads and parses the header; *data_at is where the array starts. */
static vqp_status load_header(const struct load *l, struct header *h, uint64_t *data_at)
{
    unsigned char prefix[MAX_PREFIX];
    if (l->size < MAX_PREFIX)
        return bad(l, "is too short for a .npy file");
    if (read_at(l->fd, prefix, sizeof prefix, 0))
        return bad(l, strerror(errno));
    if (memcmp(prefix, magic, MAGIC_BYTES))
        return bad(l, "is no .npy file: it does not begin with \\x93NUMPY");
    if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
        return bad(l, "is a .npy file of an unknown version; 1.0, 2.0 and 3.0 are known");
    uint64_t at = prefix[6] == 1 ? 10 : 12, n = (uint64_t)prefix[8] | (uint64_t)prefix[9] << 8;
    if (prefix[6] > 1)
        n |= (uint64_t)prefix[10] << 16 | (uint64_t)prefix[11] << 24;
    if (n > MAX_HEADER)
        return bad(l, "has a header of more than 65536 bytes");
    if (n > l->size - at)
        return bad(l, "is cut short in its header");
    char *text = malloc(n + 1);
    if (!text)
        return vqp_fail(l->err, VQP_E_NOMEM, "%.240s: no memory left for its header", l->path);
    const char *why = read_at(l->fd, text, n, at) ? strerror(errno) : parse_header(text, n, h);
    free(text);
    *data_at = at + n;
    return why ? bad(l, why) : VQP_OK;
}

/* Nonzero with the index of the first value that does not fit. */
static int narrow_i64(int32_t *dst, const int64_t *src, uint64_t n, uint64_t *bad_index)
{
    for (uint64_t i = 0; i < n; i++) {
        if (src[i] < INT32_MIN || src[i] > INT32_MAX) {
            *bad_index = i;
            return -1;
        }
        dst[i] = (int32_t)src[i];
    }
    return 0;
}

static void widen_i16(int32_t *dst, const int16_t *src, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        dst[i] = src[i];
}

/* Replaces *raw, n elements of `width` bytes, by int32. */
static vqp_status to_i32(const struct load *l, void **raw, uint32_t width, uint64_t n)
{
    uint64_t index;
    int32_t *ints = n < INT64_MAX / 4 ? malloc(n ? n * 4 : 1) : NULL;
    if (!ints)
        return vqp_fail(l->err, VQP_E_NOMEM, "%.240s: no memory left for its %llu values", l->path,
                        (unsigned long long)n);
    if (width == 2) {
        widen_i16(ints, *raw, n);
    } else if (narrow_i64(ints, *raw, n, &index)) {
        free(ints);
        return vqp_fail(l->err, l->code, "%.240s: value %llu does not fit into 32 bits", l->path,
                        (unsigned long long)index);
    }
    free(*raw);
    *raw = ints;
    return VQP_OK;
}

static vqp_status load_data(const struct load *l, uint32_t dtype, const struct header *h, uint64_t at, void **data)
{
    static const char *const accepted[][3] = {{"<i4", "<i8", "<i2"}, {"<f4", "", ""}};
    static const uint32_t widths[] = {4, 8, 2};
    const char *const *names = accepted[dtype == VQP_F32];
    uint32_t width = 0;
    uint64_t n, bytes;
    char quoted[32];
    for (int i = 0; i < 3 && !width; i++)
        if (!strcmp(h->descr, names[i]) && names[i][0])
            width = widths[i];
    if (!width)
        return vqp_fail(l->err, l->code, "%.240s: holds '%s', expected %s", l->path,
                        vqp_quote(h->descr, strlen(h->descr), quoted, sizeof quoted),
                        dtype == VQP_F32 ? "'<f4' (float32)" : "'<i4' (int32), '<i8' or '<i2'");
    if (vqp_shape_count(&h->shape, &n) || __builtin_mul_overflow(n, (uint64_t)width, &bytes))
        return bad(l, "its shape has more bytes than 64 bits can count");
    if (bytes != l->size - at)
        return vqp_fail(l->err, l->code, "%.240s: holds %llu bytes of data, its shape and type need %llu", l->path,
                        (unsigned long long)(l->size - at), (unsigned long long)bytes);
    void *raw = malloc(bytes ? bytes : 1);
    if (!raw)
        return vqp_fail(l->err, VQP_E_NOMEM, "%.240s: no memory left for its %llu bytes", l->path,
                        (unsigned long long)bytes);
    vqp_status status = read_at(l->fd, raw, bytes, at) ? bad(l, strerror(errno)) : VQP_OK;
    if (!status && width != 4)
        status = to_i32(l, &raw, width, n);
    if (status)
        free(raw);
    else
        *data = raw;
    return status;
}

vqp_status vqp_npy_load(const char *path, uint32_t dtype, vqp_status code, struct vqp_shape *shape, void **data,
                        struct vqp_error *err)
{
    struct stat st;
    struct header h = {0};
    uint64_t at = 0;
    int fd = vqp_open_regular(path, code, &st, err);
    if (fd < 0)
        return code;
    const struct load l = {path, code, fd, (uint64_t)st.st_size, err};
    vqp_status status = load_header(&l, &h, &at);
    if (!status)
        status = load_data(&l, dtype, &h, at, data);
    if (!status)
        *shape = h.shape;
    close(fd);
    return status;
}
