/* The self-tests of kernels: each passes here and fails on a kernel that is spoilt, which then is not used; who passed is remembered. */
#include "check.h"
#include "faults.h"
#include "once.h"
#include <selftest.h>

static char folder[] = "/tmp/vqpipe-selftest-XXXXXX";
extern const struct vqp_plugin vqp_plugin_v1;

static struct vk_device *open_device(void)
{
    static const struct {
        int32_t pipeline_cache, timestamps;
    } opts = {0, 0};
    struct vqp_create_args args = {.struct_size = sizeof args, .host = &once_host, .precision = "f16", .opts = &opts};
    struct vqp_error err = {0};
    void *self = NULL;
    if (vqp_plugin_v1.components[0]->create(&args, &self, &err) == VQP_E_DEVICE)
        printf("SKIPPED: %s\n", err.msg);
    return self;
}

/* Each kernel with a test, spoilt or not; counts those that pass. */
static void examine(int spoilt, uint32_t *kernels, uint32_t *pass)
{
    *kernels = *pass = 0;
    for (const struct vk_test *t = vk_tests; t->kernel; t++) {
        struct vqp_error err = {0};
        int right = 0;
        if (t > vk_tests && t->kernel == t[-1].kernel)
            continue;
        fault_state = (struct fault_state){.wrong = spoilt ? t->kernel->name : NULL};
        struct vk_device *dev = open_device();
        if (!dev)
            return;
        const struct vk_caps *caps = &dev->adapter.caps;
        if ((strstr(t->kernel->name, "_coopmat") && !caps->n_coopmat) || /* built, and no unit to run on */
            (strstr(t->kernel->name, "_texel") && !caps->texels)) {
            vqp_plugin_v1.components[0]->destroy(dev);
            continue;
        }
        CU_ASSERT_EQUAL(vk_selftest(dev, t->kernel, &right, &err), VQP_OK);
        vqp_plugin_v1.components[0]->destroy(dev);
        if (right == spoilt)
            printf("\n    %s: %s", t->kernel->name, right ? "passes, but is spoilt" : "does not pass");
        *kernels += 1;
        *pass += right != 0;
    }
}

static void pass(void)
{
    uint32_t n, right;
    examine(0, &n, &right);
    CU_ASSERT_EQUAL(right, n);
}

static void fail_on_spoilt_kernels(void)
{
    uint32_t n, right;
    examine(1, &n, &right);
    CU_ASSERT_EQUAL(right, 0);
}

static int run(const char *precision, int32_t cache, const char *wrong, vqp_status want)
{
    struct vqp_error err = {0};
    int right = 0;
    fault_state = (struct fault_state){.wrong = wrong};
    vqp_status st = once(NULL, precision, cache, &right, &err);
    if (st == VQP_E_DEVICE && want == VQP_OK)
        printf("SKIPPED: %s\n", err.msg);
    CU_ASSERT_TRUE(st == want || st == VQP_E_DEVICE);
    if (st == want && want != VQP_OK) {
        CHECK_STR_HAS(err.msg, "kernel linear ");
        CHECK_STR_HAS(err.msg, "--backend cpu");
    }
    CU_ASSERT_TRUE(right || st);
    return st == want;
}

static void demotes_texels(void)
{
    if (!run("f16", 0, NULL, VQP_OK))
        return;
    CU_ASSERT_EQUAL(once_warnings, 0);
    CU_ASSERT_TRUE(run("f32", 0, "linear_texel", VQP_OK));
    CU_ASSERT_TRUE(once_warnings <= 1); /* 0: not on this device */
    if (once_warnings)
        CHECK_STR_HAS(once_warning, "kernel linear_texel gives wrong results");
}

static void demotes(void)
{
    setenv("VQPIPE_VK_DISABLE", "texel", 1);
    if (!run("f16", 0, NULL, VQP_OK))
        return;
    CU_ASSERT_EQUAL(once_warnings, 0);
    CU_ASSERT_TRUE(run("f16", 0, "linear_f16", VQP_OK));
    CU_ASSERT_EQUAL(once_warnings, 1);
    CHECK_STR_HAS(once_warning, "kernel linear_f16 gives wrong results");
    CU_ASSERT_TRUE(run("f16", 0, "linear_f16,linear", VQP_E_DEVICE));
    unsetenv("VQPIPE_VK_DISABLE");
}

static void remembers(void)
{
    uint32_t submits, later;
    setenv("VQPIPE_VK_DISABLE", "texel", 1);
    if (!run("f16", 1, NULL, VQP_OK))
        return;
    submits = fault_state.calls[SITE_vkQueueSubmit];
    CU_ASSERT_TRUE(run("f16", 1, NULL, VQP_OK));
    later = fault_state.calls[SITE_vkQueueSubmit];
    CU_ASSERT_TRUE(later < submits);
    CU_ASSERT_TRUE(run("f32", 1, "linear", VQP_E_DEVICE)); /* what did not pass is not remembered, and tested again */
    CU_ASSERT_TRUE(run("f32", 1, "linear", VQP_E_DEVICE));
    CU_ASSERT_TRUE(run("f32", 1, NULL, VQP_OK));
    setenv("VQPIPE_VK_DISABLE", "texel,subgroup", 1); /* a device that can do other things is another one */
    CU_ASSERT_TRUE(run("f16", 1, NULL, VQP_OK));
    CU_ASSERT_TRUE(fault_state.calls[SITE_vkQueueSubmit] > later);
    setenv("VQPIPE_VK_DISABLE", "texel,coopmat,f16", 1);
    CU_ASSERT_TRUE(run("f16", 1, NULL, VQP_OK));
    CU_ASSERT_EQUAL(once_warnings, 1);
    CHECK_STR_HAS(once_warning, "VQPIPE_VK_DISABLE");
    unsetenv("VQPIPE_VK_DISABLE");
}

static const struct vqp_case cases[] = {
    {"every kernel passes its tests", pass},
    {"a spoilt one does not", fail_on_spoilt_kernels},
    {"a spoilt one that reads texels is not used", demotes_texels},
    {"a spoilt one is not used; the last one's name ends the run", demotes},
    {"who passed is remembered, for this device as it is", remembers},
};

int main(void)
{
    char command[128];
    if (!mkdtemp(folder) || setenv("XDG_CACHE_HOME", folder, 1))
        return 2;
    int failed = RUN_CASES("vulkan self-tests", cases);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failed;
}
