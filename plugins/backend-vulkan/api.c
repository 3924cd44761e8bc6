#include "vulkan.h"
#include <dlfcn.h>
#include <stdlib.h>

#if defined(__APPLE__)
static const char *const libraries[] = {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"};
#else
static const char *const libraries[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

/* Never unloaded: drivers leave threads and handlers behind. VQPIPE_VK_LIBRARY names another one. */
static void *open_library(struct vqp_error *err)
{
    const char *named = getenv("VQPIPE_VK_LIBRARY");
    char tried[256] = "";
    void *lib = NULL;
    for (size_t i = 0, n = 0; i < (named ? 1 : sizeof libraries / sizeof *libraries) && !lib; i++) {
        const char *name = named ? named : libraries[i];
        lib = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        int k = snprintf(tried + n, sizeof tried - n, "%s%s", i ? ", " : "", name);
        n = k < 0 || (size_t)k >= sizeof tried - n ? sizeof tried - 1 : n + (size_t)k;
    }
    if (!lib)
        vqp_fail(err, VQP_E_DEVICE,
                 "vulkan: no Vulkan here: looked for the library %s and found none; install a driver and the loader "
                 "(Debian: mesa-vulkan-drivers, libvulkan1), or use --backend cpu",
                 tried);
    return lib;
}

static int has_extension(const struct vk_api *api, const char *name)
{
    uint32_t n = 0;
    VkExtensionProperties *all = NULL;
    int found = 0;
    if (api->vkEnumerateInstanceExtensionProperties(NULL, &n, NULL) == VK_SUCCESS &&
        (all = calloc(n + 1u, sizeof *all)) && api->vkEnumerateInstanceExtensionProperties(NULL, &n, all) >= 0)
        for (uint32_t i = 0; i < n; i++)
            found |= !strcmp(all[i].extensionName, name);
    free(all);
    return found;
}

static vqp_status create_instance(const struct vk_api *api, VkInstance *out, struct vqp_error *err)
{
    uint32_t version = VK_API_VERSION_1_0;
    VkResult r = api->vkEnumerateInstanceVersion(&version);
    if (r != VK_SUCCESS)
        return vk_failed("vkEnumerateInstanceVersion", r, "asking for its version", err);
    if (version < VK_API_VERSION_1_2)
        return vqp_fail(
            err, VQP_E_DEVICE,
            "vulkan: the Vulkan library here is of version %u.%u and 1.2 is needed; update it or use --backend cpu",
            VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    /* Drivers that translate to another interface (MoltenVK) are listed to those alone that ask for them. */
    const char *portability = "VK_KHR_portability_enumeration";
    uint32_t asks = has_extension(api, portability) ? 1 : 0;
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "vqpipe",
                             .pEngineName = "vqpipe",
                             .apiVersion = version < VK_API_VERSION_1_3 ? VK_API_VERSION_1_2 : VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .flags = asks ? 1u /* VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR */ : 0u,
                                 .pApplicationInfo = &app,
                                 .enabledExtensionCount = asks,
                                 .ppEnabledExtensionNames = &portability};
    r = api->vkCreateInstance(&info, NULL, out);
    if (r != VK_SUCCESS)
        *out = VK_NULL_HANDLE;
    if (r == VK_ERROR_INCOMPATIBLE_DRIVER)
        return vqp_fail(
            err, VQP_E_DEVICE,
            "vulkan: the Vulkan library is here but no driver; install one (Debian: mesa-vulkan-drivers) or use "
            "--backend cpu");
    return r == VK_SUCCESS ? VQP_OK : vk_failed("vkCreateInstance", r, "starting", err);
}

static vqp_status missing(const char *name, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_DEVICE, "vulkan: this Vulkan library or driver lacks %s; update it or use --backend cpu",
                    name);
}

vqp_status vk_api_open(struct vk_api *api, VkInstance *instance, struct vqp_error *err)
{
    void *lib = open_library(err);
    if (!lib)
        return VQP_E_DEVICE;
    *(void **)&api->vkGetInstanceProcAddr = dlsym(lib, "vkGetInstanceProcAddr");
    dlclose(lib); /* it stays: RTLD_NODELETE */
    if (!api->vkGetInstanceProcAddr)
        return missing("vkGetInstanceProcAddr", err);
#define X(name)                                                                                                        \
    if (!(api->name = (PFN_##name)api->vkGetInstanceProcAddr(NULL, #name)))                                            \
        return missing(#name, err);
    VK_GLOBAL_FUNCTIONS(X)
#undef X
#if defined(VK_TEST_HOOK)
    vk_test_hook(api);
#endif
    vqp_status st = create_instance(api, instance, err);
    if (st)
        return st;
#define X(name)                                                                                                        \
    if (!(api->name = (PFN_##name)api->vkGetInstanceProcAddr(*instance, #name)) && !st)                                \
        st = missing(#name, err);
    VK_INSTANCE_FUNCTIONS(X)
#undef X
#define X(name) api->name = (PFN_##name)api->vkGetInstanceProcAddr(*instance, #name);
    VK_OPTIONAL_FUNCTIONS(X)
#undef X
    if (st) {
        if (api->vkDestroyInstance)
            api->vkDestroyInstance(*instance, NULL);
        *instance = VK_NULL_HANDLE;
        return st;
    }
#if defined(VK_TEST_HOOK)
    vk_test_hook(api);
#endif
    return VQP_OK;
}

vqp_status vk_api_load_device(struct vk_api *api, VkDevice device, struct vqp_error *err)
{
#define X(name)                                                                                                        \
    if (!(api->name = (PFN_##name)api->vkGetDeviceProcAddr(device, #name)))                                            \
        return missing(#name, err);
    VK_DEVICE_FUNCTIONS(X)
#undef X
#if defined(VK_TEST_HOOK)
    vk_test_hook(api);
#endif
    return VQP_OK;
}

vqp_status vk_failed(const char *call, VkResult result, const char *what, struct vqp_error *err)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: %s: %s ran out of host memory; use fewer images at once", what,
                        call);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
        return vqp_fail(
            err, VQP_E_NOMEM,
            "vulkan: %s: %s ran out of device memory; use precision f16, fewer images at once or --backend cpu", what,
            call);
    case VK_ERROR_DEVICE_LOST:
        return vqp_fail(err, VQP_E_DEVICE,
                        "vulkan: %s: the device was lost (%s): its driver stopped it or it is gone; run again, or use "
                        "--backend cpu",
                        what, call);
    default:
        return vqp_fail(err, VQP_E_DEVICE, "vulkan: %s: %s failed with VkResult %d; try --backend cpu", what, call,
                        (int)result);
    }
}
