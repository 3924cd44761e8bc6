/* What every test program shares: a CUnit main that exits nonzero on any failure, and a skip that is counted. */
#ifndef VQP_TESTS_CHECK_H
#define VQP_TESTS_CHECK_H
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vqp_case {
    const char *name; /* a behaviour: "refuses a header longer than the file" */
    void (*run)(void);
};

/* One line that .ci/run counts. */
#define SKIP(...)                                                                                                      \
    do {                                                                                                               \
        printf("SKIPPED: ");                                                                                           \
        printf(__VA_ARGS__);                                                                                           \
        printf("\n");                                                                                                  \
        return;                                                                                                        \
    } while (0)

/* CU_ASSERT that says what the values were. */
#define CHECK_STR_HAS(text, part)                                                                                      \
    do {                                                                                                               \
        const char *text_ = (text), *part_ = (part);                                                                   \
        int has_ = strstr(text_, part_) != NULL;                                                                       \
        if (!has_)                                                                                                     \
            printf("\n    %s:%d: \"%s\" does not contain \"%s\"\n", __FILE__, __LINE__, text_, part_);                 \
        CU_ASSERT_TRUE(has_);                                                                                          \
    } while (0)

static inline int run_cases(const char *suite_name, const struct vqp_case *cases, size_t n)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    for (size_t i = 0; suite && i < n; i++)
        if (!CU_add_test(suite, cases[i].name, cases[i].run))
            return 2;
    if (!suite)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures(), ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return failed || ran != n;
}

#define RUN_CASES(suite_name, cases) run_cases((suite_name), (cases), sizeof(cases) / sizeof *(cases))

#endif
