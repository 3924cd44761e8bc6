#include "shape.h"
#include <inttypes.h>
#include <string.h>

uint32_t vqp_dtype_bytes(uint32_t dtype)
{
    switch (dtype) {
    case VQP_F32:
    case VQP_I32: return 4;
    case VQP_F16:
    case VQP_BF16: return 2;
    case VQP_U8:
    case VQP_Q8_0: return 1;
    default: return 0;
    }
}

const char *vqp_dtype_name(uint32_t dtype)
{
    static const char *const names[] = {"?", "f32", "f16", "i32", "u8", "bf16", "q8_0"};
    return dtype < sizeof names / sizeof *names ? names[dtype] : "?";
}

int vqp_shape_count(const struct vqp_shape *s, uint64_t *count)
{
    uint64_t n = 1;
    if (s->rank > VQP_MAX_RANK)
        return -1;
    for (uint32_t i = 0; i < s->rank; i++)
        if (s->dim[i] < 0)
            return -1;
    for (uint32_t i = 0; i < s->rank; i++)
        if (s->dim[i] == 0) {
            *count = 0;
            return 0;
        }
    for (uint32_t i = 0; i < s->rank; i++)
        if (__builtin_mul_overflow(n, (uint64_t)s->dim[i], &n))
            return -1;
    *count = n;
    return 0;
}

int vqp_shape_bytes(const struct vqp_shape *s, uint32_t dtype, uint64_t *bytes)
{
    uint64_t n, size = vqp_dtype_bytes(dtype);
    if (!size || vqp_shape_count(s, &n) || __builtin_mul_overflow(n, size, &n) || n > INT64_MAX)
        return -1;
    *bytes = n;
    return 0;
}

int vqp_shape_equal(const struct vqp_shape *a, const struct vqp_shape *b)
{
    return a->rank == b->rank && a->rank <= VQP_MAX_RANK && !memcmp(a->dim, b->dim, a->rank * sizeof *a->dim);
}

char *vqp_shape_text(const struct vqp_shape *s, char buf[VQP_SHAPE_TEXT])
{
    int at = snprintf(buf, VQP_SHAPE_TEXT, "[");
    for (uint32_t i = 0; i < s->rank && i < VQP_MAX_RANK; i++)
        at += snprintf(buf + at, (size_t)(VQP_SHAPE_TEXT - at), "%s%" PRId64, i ? "," : "", s->dim[i]);
    snprintf(buf + at, (size_t)(VQP_SHAPE_TEXT - at), "]");
    return buf;
}
