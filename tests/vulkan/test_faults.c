/* Every Vulkan function fails at its first, its middle and its last call: each time a clear end, and nothing is left behind. */
#include "check.h"
#include "faults.h"
#include "once.h"

enum {
    OUT_OF_DEVICE_MEMORY = -2,
    DEVICE_LOST = -4
};

static int no_device(void)
{
    struct vqp_error err = {0};
    int right;
    fault_state = (struct fault_state){0};
    if (once(NULL, "f32", 0, &right, &err) != VQP_E_DEVICE)
        return 0;
    printf("SKIPPED: %s\n", err.msg);
    return 1;
}

static void leaves_nothing(const char *when)
{
    for (int i = 0; i < N_SITES; i++)
        if (fault_state.live[i]) {
            printf("\n    %s: %d objects of %s left", when, fault_state.live[i], fault_names[i]);
            CU_FAIL("an object is left");
        }
}

static void fail_at(uint32_t site, uint32_t call, int32_t code, int cache)
{
    struct vqp_error err = {0};
    int right = 0;
    char when[96];
    snprintf(when, sizeof when, "%s, call %u, VkResult %d", fault_names[site], call, code);
    fault_state = (struct fault_state){.site = site, .call = call, .code = code};
    vqp_status st = once(NULL, "f16", cache, &right, &err);
    if (site == SITE_vkWaitSemaphores && !fault_state.happened)
        return; /* a wait is asked again and again, so that their number is not always the same */
    if (!fault_state.happened) {
        printf("\n    %s: it made only %u calls", when, fault_state.calls[site]);
        CU_FAIL("the call was not made");
    }
    leaves_nothing(when);
    if (st == VQP_OK) { /* a list or a cache that could be done without */
        CU_ASSERT_TRUE(right);
        return;
    }
    if (st != (code == DEVICE_LOST ? VQP_E_DEVICE : VQP_E_NOMEM) || !strstr(err.msg, fault_names[site])) {
        printf("\n    %s: status %d, %s", when, st, err.msg);
        CU_FAIL("not a clear end");
    }
}

/* Without a cache on disk each run tests its kernels too; with one it asks Vulkan for what to keep. */
static void fail_everywhere(int cache)
{
    struct fault_state whole;
    struct vqp_error err = {0};
    int right = 0;
    for (int i = 0; i < 1 + cache; i++) { /* the first run may leave something for the second one */
        fault_state = (struct fault_state){0};
        CU_ASSERT_EQUAL(once(NULL, "f16", cache, &right, &err), VQP_OK);
    }
    CU_ASSERT_TRUE(right);
    leaves_nothing("a whole run");
    whole = fault_state;
    for (uint32_t i = 0; i < N_SITES; i++) {
        uint32_t n = whole.calls[i], at[] = {n > 0, (n + 1) / 2, n};
        if (cache && i != SITE_vkGetPipelineCacheData && i != SITE_vkCreatePipelineCache)
            continue;
        for (int k = 0; k < 3; k++)
            if (at[k] && (k == 0 || at[k] != at[k - 1])) {
                fail_at(i, at[k], OUT_OF_DEVICE_MEMORY, cache);
                fail_at(i, at[k], DEVICE_LOST, cache);
            }
    }
    CU_ASSERT_EQUAL(once(NULL, "f16", cache, &right, &err), VQP_OK);
}

static void ends_clearly_at_every_failure(void)
{
    if (no_device())
        return;
    fail_everywhere(0);
    fail_everywhere(1);
}

static void says_what_it_looked_for(void)
{
    struct vqp_error err = {0};
    int right;
    setenv("VQPIPE_VK_LIBRARY", "/nowhere/libvulkan.so.1", 1);
    CU_ASSERT_EQUAL(once(NULL, "f32", 0, &right, &err), VQP_E_DEVICE);
    unsetenv("VQPIPE_VK_LIBRARY");
    CHECK_STR_HAS(err.msg, "/nowhere/libvulkan.so.1");
    CHECK_STR_HAS(err.msg, "--backend cpu");
    const struct vqp_backend_vtbl *v = NULL;
    extern const struct vqp_plugin vqp_plugin_v1;
    uint32_t n = 0;
    v = vqp_plugin_v1.components[0]->v.backend;
    setenv("VQPIPE_VK_LIBRARY", "/nowhere/libvulkan.so.1", 1);
    CU_ASSERT_EQUAL(v->devices(&once_host, NULL, 0, &n, &err), VQP_E_DEVICE);
    unsetenv("VQPIPE_VK_LIBRARY");
}

/* By index, by UUID with and without dashes, by part of the name in any case. */
static void finds_a_device_by_every_name(void)
{
    extern const struct vqp_plugin vqp_plugin_v1;
    const struct vqp_backend_vtbl *v = vqp_plugin_v1.components[0]->v.backend;
    struct vqp_device_info d = {.struct_size = sizeof d};
    struct vqp_error err = {0};
    uint32_t n = 0;
    int right = 0;
    char text[64], *to = text;
    if (no_device())
        return;
    CU_ASSERT_EQUAL(v->devices(&once_host, &d, 1, &n, &err), VQP_OK);
    snprintf(text, sizeof text, "%u", d.index);
    CU_ASSERT_EQUAL(once(text, "f32", 0, &right, &err), VQP_OK);
    CU_ASSERT_EQUAL(once(d.uuid, "f32", 0, &right, &err), VQP_OK);
    for (const char *s = d.uuid; *s; s++)
        if (*s != '-')
            *to++ = *s;
    *to = 0;
    CU_ASSERT_EQUAL(once(text, "f32", 0, &right, &err), VQP_OK);
    snprintf(text, sizeof text, "%.5s", d.name);
    for (to = text; *to; to++)
        *to = (char)(*to >= 'a' && *to <= 'z' ? *to - 'a' + 'A' : *to);
    CU_ASSERT_EQUAL(once(text, "f32", 0, &right, &err), VQP_OK);
    CU_ASSERT_EQUAL(once("999", "f32", 0, &right, &err), VQP_E_DEVICE);
    CHECK_STR_HAS(err.msg, "999");
    CHECK_STR_HAS(err.msg, d.name);
}

static const struct vqp_case cases[] = {
    {"a failure of any Vulkan function ends clearly and leaves nothing", ends_clearly_at_every_failure},
    {"without Vulkan it says what it looked for", says_what_it_looked_for},
    {"devices are found by index, UUID and name", finds_a_device_by_every_name},
};

/* --once: a single run under the environment's faults, for scripts and validation layers. */
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--once")) {
        struct vqp_error err = {0};
        int right = 0;
        vqp_status st = once(NULL, "f32", 0, &right, &err);
        printf("%s\n", st ? err.msg : right ? "right" : "wrong");
        return st || !right;
    }
    return RUN_CASES("vulkan faults", cases);
}
