#include "check.h"
#include "shape.h"

static void dtypes(void)
{
    static const struct {
        uint32_t dtype, bytes;
        const char *name;
    } rows[] = {{VQP_F32, 4, "f32"},   {VQP_F16, 2, "f16"},   {VQP_I32, 4, "i32"},
                {VQP_U8, 1, "u8"},     {VQP_BF16, 2, "bf16"}, {0, 0, "?"},
                {VQP_Q8_0, 1, "q8_0"}, {7, 0, "?"},           {UINT32_MAX, 0, "?"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CU_ASSERT_EQUAL(vqp_dtype_bytes(rows[i].dtype), rows[i].bytes);
        CU_ASSERT_STRING_EQUAL(vqp_dtype_name(rows[i].dtype), rows[i].name);
    }
}

static void counts(void)
{
    const int64_t big = (int64_t)1 << 32;
    static const uint64_t wrong = 12345;
    const struct {
        struct vqp_shape s;
        int fails;
        uint64_t count;
    } rows[] = {
        {{0}, 0, 1},
        {vqp_shape1(7), 0, 7},
        {vqp_shape4(2, 3, 4, 5), 0, 120},
        {vqp_shape2(0, 9), 0, 0},
        {vqp_shape3(big, big, 0), 0, 0},
        {vqp_shape1(INT64_MAX), 0, INT64_MAX},
        {vqp_shape2(big, big), -1, wrong},     /* wraps to exactly 0 */
        {vqp_shape2(big + 1, big), -1, wrong}, /* wraps to 2^32 */
        {vqp_shape2(-1, 4), -1, wrong},
        {vqp_shape2(-1, 0), -1, wrong},
        {{.rank = 7}, -1, wrong},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t n = wrong;
        CU_ASSERT_EQUAL(vqp_shape_count(&rows[i].s, &n) != 0, rows[i].fails != 0);
        CU_ASSERT_EQUAL(n, rows[i].count);
    }
}

static void bytes(void)
{
    uint64_t n = 1;
    struct vqp_shape s = vqp_shape3(2, 3, 5);
    CU_ASSERT(vqp_shape_bytes(&s, VQP_F32, &n) == 0 && n == 120);
    CU_ASSERT(vqp_shape_bytes(&s, VQP_BF16, &n) == 0 && n == 60);
    CU_ASSERT_NOT_EQUAL(vqp_shape_bytes(&s, 0, &n), 0);
    CU_ASSERT(vqp_shape_bytes(&s, VQP_Q8_0, &n) == 0 && n == 30);
    s = vqp_shape1((int64_t)1 << 62); /* the elements fit, the bytes do not */
    CU_ASSERT_NOT_EQUAL(vqp_shape_bytes(&s, VQP_F32, &n), 0);
    CU_ASSERT_NOT_EQUAL(vqp_shape_bytes(&s, VQP_F16, &n), 0);
    CU_ASSERT(vqp_shape_bytes(&s, VQP_U8, &n) == 0 && n == (uint64_t)1 << 62);
}

static void equality(void)
{
    struct vqp_shape a = vqp_shape2(3, 4), b = a, c = vqp_shape3(3, 4, 1), d = vqp_shape2(4, 3);
    b.dim[5] = 99; /* beyond the rank */
    CU_ASSERT_TRUE(vqp_shape_equal(&a, &b));
    CU_ASSERT_FALSE(vqp_shape_equal(&a, &c));
    CU_ASSERT_FALSE(vqp_shape_equal(&a, &d));
}

static void text(void)
{
    char buf[VQP_SHAPE_TEXT];
    struct vqp_shape s = vqp_shape3(2, 256, 512), scalar = {0};
    struct vqp_shape longest = {6, 0, {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN}};
    CU_ASSERT_STRING_EQUAL(vqp_shape_text(&s, buf), "[2,256,512]");
    CU_ASSERT_STRING_EQUAL(vqp_shape_text(&scalar, buf), "[]");
    vqp_shape_text(&longest, buf);
    CU_ASSERT_EQUAL(strlen(buf), 2 + 6 * 20 + 5);
    CU_ASSERT_EQUAL(buf[strlen(buf) - 1], ']');
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"knows each dtype's size and name", dtypes},
        {"counts elements, and refuses what wraps or is negative", counts},
        {"counts bytes, and refuses what overflows in the last multiply", bytes},
        {"compares by rank and dims alone", equality},
        {"writes any shape into its buffer", text},
    };
    return RUN_CASES("shape", cases);
}
