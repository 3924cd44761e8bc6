/* Self-tests of kernels: small ops whose results are known. A kernel with a test is used only where it passes. */
#ifndef VQP_VULKAN_SELFTEST_H
#define VQP_VULKAN_SELFTEST_H
#include "vulkan.h"

struct vk_test_value {
    uint32_t rank;
    int64_t dim[4];
    const double *data; /* filled in while the test runs; NULL: absent */
};
struct vk_test {
    const struct vk_kernel *kernel;
    double allowed; /* relative to the element or to the root mean square of all, whichever is larger */
    uint32_t half;  /* bit k: in[k] is stored as float16 */
    uint32_t half_out;
    struct vqp_op op;                /* without its values */
    struct vk_test_value in[6], out; /* in[5]: the scale of an in[1] in q8_0 */
};
/* selftest_cases.c; kernel NULL at the end. */
extern const struct vk_test vk_tests[];
/* definition.c: what t->op makes of t->in. */
void vk_define(const struct vk_test *t, double *out);

#endif
