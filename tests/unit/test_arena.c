#include "arena.h"
#include "check.h"
#include <stdint.h>

static void zeroed_and_aligned(void)
{
    struct vqp_arena a = {0};
    for (size_t n = 0; n < 3000; n += 37) {
        unsigned char *p = vqp_arena_alloc(&a, n, 3);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL((uintptr_t)p % 16, 0);
        size_t set = 0;
        for (size_t i = 0; i < n * 3; i++)
            set += p[i] != 0;
        CU_ASSERT_EQUAL(set, 0);
        memset(p, 0xAA, n * 3);
    }
    vqp_arena_free(&a);
}

static void no_overlap(void)
{
    static const size_t sizes[] = {1, 16, 5000, 3, 40000, 7, 16384, 0, 9, 4095, 4097};
    enum {
        N = sizeof sizes / sizeof *sizes
    };
    struct vqp_arena a = {0};
    unsigned char *p[N];
    for (size_t i = 0; i < N; i++) {
        p[i] = vqp_arena_alloc(&a, sizes[i], 1);
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (p[i][k] != i + 1)
                CU_FAIL("two allocations share memory");
    vqp_arena_free(&a);
}

static void overflow(void)
{
    struct vqp_arena a = {0};
    CU_ASSERT_PTR_NULL(vqp_arena_alloc(&a, SIZE_MAX, 2));
    CU_ASSERT_PTR_NULL(vqp_arena_alloc(&a, SIZE_MAX / 2 + 2, 2));
    CU_ASSERT_PTR_NULL(vqp_arena_alloc(&a, SIZE_MAX, 1));
    CU_ASSERT_PTR_NULL(vqp_arena_memdup(&a, "", SIZE_MAX));
    CU_ASSERT_PTR_NULL(a.blocks);
}

static void strings(void)
{
    struct vqp_arena a = {0};
    char longer[1000];
    memset(longer, 'x', sizeof longer);
    longer[999] = 0;
    CU_ASSERT_STRING_EQUAL(vqp_arena_strdup(&a, "name"), "name");
    CU_ASSERT_STRING_EQUAL(vqp_arena_strdup(&a, ""), "");
    CU_ASSERT_EQUAL(memcmp(vqp_arena_memdup(&a, "a\0b", 3), "a\0b", 4), 0);
    CU_ASSERT_STRING_EQUAL(vqp_arena_printf(&a, "%s-%d", "step", 7), "step-7");
    CU_ASSERT_STRING_EQUAL(vqp_arena_printf(&a, "%s", longer), longer);
    vqp_arena_free(&a);
}

static void reuse(void)
{
    struct vqp_arena a = {0};
    vqp_arena_free(&a);
    CU_ASSERT_PTR_NOT_NULL(vqp_arena_alloc(&a, 10, 10));
    vqp_arena_free(&a);
    CU_ASSERT_PTR_NULL(a.blocks);
    CU_ASSERT_STRING_EQUAL(vqp_arena_strdup(&a, "again"), "again");
    vqp_arena_free(&a);
    vqp_arena_free(&a);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives zeroed memory, aligned to 16 bytes", zeroed_and_aligned},
        {"gives memory that does not overlap, small and large", no_overlap},
        {"gives NULL where sizes overflow", overflow},
        {"copies and formats strings", strings},
        {"is ready for use after being freed", reuse},
    };
    return RUN_CASES("arena", cases);
}
