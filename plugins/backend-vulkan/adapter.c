#include "kernels.h"
#include "vulkan.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* ---- one adapter ---- */

/* Is `word` among the comma-separated words of this environment variable? */
static int listed(const char *variable, const char *word)
{
    const char *s = getenv(variable);
    size_t n = strlen(word);
    for (; s && *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] == ','))
        if (!strncmp(s, word, n) && (s[n] == ',' || !s[n]))
            return 1;
    return 0;
}

static int disabled(const char *word)
{
    return listed("VQPIPE_VK_DISABLE", word);
}

static const char *type_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "CPU";
    default: return "other";
    }
}

static int has_extension(const VkExtensionProperties *all, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(all[i].extensionName, name))
            return 1;
    return 0;
}

/* The first family that computes; where several do, one that can tell the time. */
static int choose_queue(const struct vk_api *api, struct vk_adapter *a)
{
    VkQueueFamilyProperties all[32];
    uint32_t n = sizeof all / sizeof *all;
    int found = 0;
    api->vkGetPhysicalDeviceQueueFamilyProperties(a->handle, &n, all);
    for (uint32_t i = 0; i < n; i++)
        if ((all[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && all[i].queueCount &&
            (!found || (!a->timestamp_bits && all[i].timestampValidBits))) {
            a->queue_family = i;
            a->timestamp_bits = all[i].timestampValidBits;
            found = 1;
        }
    return found;
}

static uint64_t memory_of(const struct vk_adapter *a)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < a->memory.memoryHeapCount; i++)
        if ((a->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && a->memory.memoryHeaps[i].size > most)
            most = a->memory.memoryHeaps[i].size;
    if (a->type == VK_PHYSICAL_DEVICE_TYPE_CPU) { /* its heap is a made-up number */
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        most = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : most;
    }
    return most;
}

/* Properties and features, in one chain each; what a newer version or an extension alone has stays 0 elsewhere. */
struct answers {
    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceVulkan11Properties properties11;
    VkPhysicalDeviceVulkan12Properties properties12;
    VkPhysicalDeviceSubgroupSizeControlProperties sizes;
    VkPhysicalDeviceMaintenance4Properties limits;
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR coopmat_stages;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV multiprocessors;
    VkPhysicalDeviceShaderCoreProperties2AMD compute_units;
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features features11;
    VkPhysicalDeviceVulkan12Features features12;
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
};
struct has { /* by version or by extension */
    int sizes, limits, coopmat, multiprocessors, compute_units;
};

static void chain(int has, void *head, void *more)
{
    VkBaseOutStructure *h = head, *m = more;
    if (has) {
        m->pNext = h->pNext;
        h->pNext = m;
    }
}

static void ask(const struct vk_api *api, VkPhysicalDevice handle, const struct has *has, struct answers *q)
{
    *q = (struct answers){
        .properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &q->properties11},
        .properties11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &q->properties12},
        .properties12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES},
        .sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES},
        .limits = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES},
        .coopmat_stages = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR},
        .multiprocessors = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV},
        .compute_units = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD},
        .features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &q->features11},
        .features11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &q->features12},
        .features12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES},
        .size_control = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES},
        .coopmat = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR},
    };
    chain(has->sizes, &q->properties, &q->sizes);
    chain(has->limits, &q->properties, &q->limits);
    chain(has->coopmat, &q->properties, &q->coopmat_stages);
    chain(has->multiprocessors, &q->properties, &q->multiprocessors);
    chain(has->compute_units, &q->properties, &q->compute_units);
    chain(has->sizes, &q->features, &q->size_control);
    chain(has->coopmat, &q->features, &q->coopmat);
    api->vkGetPhysicalDeviceProperties2(handle, &q->properties);
    api->vkGetPhysicalDeviceFeatures2(handle, &q->features);
}

/* The fragments of float16 that the device multiplies and adds to float32, a subgroup each. Whatever is missing: none. */
static void list_coopmat(const struct vk_api *api, const struct vk_adapter *a, const struct answers *q,
                         struct vk_caps *c)
{
    VkCooperativeMatrixPropertiesKHR all[64];
    uint32_t n = sizeof all / sizeof *all;
    /* Where there are no matrix units the plain tier is faster than a driver that makes up for them. Intel's came with subgroups of at
     * least 16. */
    int emulated = a->type == VK_PHYSICAL_DEVICE_TYPE_CPU ||
                   (q->properties.properties.vendorID == 0x8086 && q->sizes.minSubgroupSize < 16);
    if (!vk_coopmat_built || disabled("coopmat") || (emulated && !listed("VQPIPE_VK_ENABLE", "coopmat")) ||
        !a->size_control || !c->f16_math || !q->features12.vulkanMemoryModel || !q->coopmat.cooperativeMatrix ||
        !(q->coopmat_stages.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) ||
        !api->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)
        return;
    for (uint32_t i = 0; i < n; i++)
        all[i] = (VkCooperativeMatrixPropertiesKHR){.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    if (api->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(a->handle, &n, all) < 0)
        return;
    for (uint32_t i = 0; i < n && c->n_coopmat < sizeof c->coopmat / sizeof *c->coopmat; i++)
        if (all[i].AType == VK_COMPONENT_TYPE_FLOAT16_KHR && all[i].BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            all[i].CType == VK_COMPONENT_TYPE_FLOAT32_KHR && all[i].ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            all[i].scope == VK_SCOPE_SUBGROUP_KHR)
            c->coopmat[c->n_coopmat++] = (struct vk_coopmat){all[i].MSize, all[i].NSize, all[i].KSize};
    c->coopmat_khr = c->n_coopmat != 0;
}

/* Of a driver on the processor alone. Mesa's loads from a storage buffer lane by lane and waits for its own stores each time; a fetch of four
 * elements from a texel buffer takes less than one such load. */
static uint32_t texels_worth(const struct vk_adapter *a, const VkPhysicalDeviceLimits *l)
{
    return a->type == VK_PHYSICAL_DEVICE_TYPE_CPU && l->minTexelBufferOffsetAlignment <= 256 && !disabled("texel")
               ? l->maxTexelBufferElements
               : 0;
}

static void fill_caps(const struct vk_api *api, struct vk_adapter *a, const struct answers *q)
{
    const VkPhysicalDeviceLimits *l = &q->properties.properties.limits;
    const VkPhysicalDeviceVulkan11Properties *p = &q->properties11;
    struct vk_caps *c = &a->caps;
    int subgroup = (p->subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) && p->subgroupSize >= 4 &&
                   p->subgroupSize <= 128 && !disabled("subgroup");
    a->size_control = subgroup && q->size_control.subgroupSizeControl && q->size_control.computeFullSubgroups &&
                      (q->sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    *c = (struct vk_caps){
        .is_cpu = a->type == VK_PHYSICAL_DEVICE_TYPE_CPU,
        .subgroup_size = subgroup ? p->subgroupSize : 0,
        .subgroup_arithmetic = subgroup && (p->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT),
        .subgroup_shuffle = subgroup && (p->subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT),
        .texels = texels_worth(a, l),
        .full_subgroups = a->size_control,
        .f16_storage = q->features11.storageBuffer16BitAccess && !disabled("f16"),
        .f16_math = q->features11.storageBuffer16BitAccess && q->features12.shaderFloat16 && !disabled("f16"),
        .f16_pairs = !disabled("f16"),
        .shared_bytes = l->maxComputeSharedMemorySize,
        .max_invocations = l->maxComputeWorkGroupInvocations,
        .cores = q->multiprocessors.shaderSMCount ? q->multiprocessors.shaderSMCount
                                                  : q->compute_units.activeComputeUnitCount,
    };
    for (int i = 0; i < 3; i++) {
        c->max_local[i] = l->maxComputeWorkGroupSize[i];
        c->max_groups[i] = l->maxComputeWorkGroupCount[i];
    }
    list_coopmat(api, a, q, c);
}

static void look_at(const struct vk_api *api, struct vk_adapter *a)
{
    VkExtensionProperties *ext = NULL;
    uint32_t n = 0;
    if (api->vkEnumerateDeviceExtensionProperties(a->handle, NULL, &n, NULL) == VK_SUCCESS &&
        (ext = calloc(n + 1u, sizeof *ext)) && api->vkEnumerateDeviceExtensionProperties(a->handle, NULL, &n, ext) < 0)
        n = 0;
    n = ext ? n : 0;
    VkPhysicalDeviceProperties2 first = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    struct answers q;
    api->vkGetPhysicalDeviceProperties2(a->handle, &first);
    api->vkGetPhysicalDeviceMemoryProperties(a->handle, &a->memory);
    a->api_version = first.properties.apiVersion;
    a->type = first.properties.deviceType;
    snprintf(a->name, sizeof a->name, "%s", first.properties.deviceName);
    if (a->api_version < VK_API_VERSION_1_2) {
        snprintf(a->driver, sizeof a->driver, "%s, Vulkan %u.%u", type_name(a->type),
                 VK_API_VERSION_MAJOR(a->api_version), VK_API_VERSION_MINOR(a->api_version));
        snprintf(a->reason, sizeof a->reason, "its driver has Vulkan %u.%u, and 1.2 is needed; update the driver",
                 VK_API_VERSION_MAJOR(a->api_version), VK_API_VERSION_MINOR(a->api_version));
        free(ext);
        return;
    }
    int is_1_3 = a->api_version >= VK_API_VERSION_1_3;
    struct has has = {.sizes = is_1_3 || has_extension(ext, n, "VK_EXT_subgroup_size_control"),
                      .limits = is_1_3 || has_extension(ext, n, "VK_KHR_maintenance4"),
                      .coopmat = has_extension(ext, n, "VK_KHR_cooperative_matrix"),
                      .multiprocessors = has_extension(ext, n, "VK_NV_shader_sm_builtins"),
                      .compute_units = has_extension(ext, n, "VK_AMD_shader_core_properties2")};
    ask(api, a->handle, &has, &q);
    a->portability_subset = (uint32_t)has_extension(ext, n, "VK_KHR_portability_subset");
    free(ext);

    const VkPhysicalDeviceProperties *p = &q.properties.properties;
    a->max_range = p->limits.maxStorageBufferRange;
    a->max_allocation = q.properties11.maxMemoryAllocationSize;
    a->max_buffer = q.limits.maxBufferSize ? q.limits.maxBufferSize : a->max_allocation;
    a->offset_alignment = p->limits.minStorageBufferOffsetAlignment;
    a->timestamp_ns = (double)p->limits.timestampPeriod;
    a->memory_bytes = memory_of(a);
    a->vulkan_memory_model = q.features12.vulkanMemoryModel;
    fill_caps(api, a, &q);
    a->identity.vendor = p->vendorID;
    a->identity.device = p->deviceID;
    a->identity.driver_version = p->driverVersion;
    a->identity.api_version = p->apiVersion;
    a->identity.driver_id = (uint32_t)q.properties12.driverID;
    memcpy(a->identity.device_uuid, q.properties11.deviceUUID, VK_UUID_SIZE);
    memcpy(a->identity.driver_uuid, q.properties11.driverUUID, VK_UUID_SIZE);
    memcpy(a->identity.cache_uuid, p->pipelineCacheUUID, VK_UUID_SIZE);
    for (size_t i = 0, k = 0; i < VK_UUID_SIZE; i++)
        k += (size_t)snprintf(a->uuid + k, sizeof a->uuid - k, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                              q.properties11.deviceUUID[i]);
    snprintf(a->driver, sizeof a->driver, "%s, %.32s %.32s, Vulkan %u.%u%s%s", type_name(a->type),
             q.properties12.driverName, q.properties12.driverInfo, VK_API_VERSION_MAJOR(a->api_version),
             VK_API_VERSION_MINOR(a->api_version),
             a->caps.f16_math      ? ", f16"
             : a->caps.f16_storage ? ", f16 storage"
                                   : "",
             a->caps.n_coopmat ? ", cooperative matrices" : "");
    if (a->caps.subgroup_size) {
        size_t k = strlen(a->driver);
        snprintf(a->driver + k, sizeof a->driver - k, ", subgroups of %u", a->caps.subgroup_size);
    }

    if (!q.features12.timelineSemaphore)
        snprintf(a->reason, sizeof a->reason, "its driver lacks timeline semaphores; update the driver");
    else if (a->offset_alignment > 256)
        snprintf(a->reason, sizeof a->reason, "it wants buffers aligned to more than 256 bytes");
    else if (!choose_queue(api, a))
        snprintf(a->reason, sizeof a->reason, "it has no queue that computes");
    else
        a->usable = 1;
}

vqp_status vk_adapters(const struct vk_api *api, VkInstance instance, struct vk_adapter *out, uint32_t *n,
                       struct vqp_error *err)
{
    VkPhysicalDevice handles[VK_MAX_ADAPTERS];
    *n = VK_MAX_ADAPTERS;
    VkResult r = api->vkEnumeratePhysicalDevices(instance, n, handles);
    if (r < 0)
        return vk_failed("vkEnumeratePhysicalDevices", r, "listing the devices", err);
    memset(out, 0, *n * sizeof *out);
    for (uint32_t i = 0; i < *n; i++) {
        out[i].handle = handles[i];
        out[i].index = i;
        look_at(api, &out[i]);
    }
    return VQP_OK;
}

/* ---- choosing ---- */

/* Compares the hexadecimal digits alone. */
static int same_uuid(const char *text, const char *uuid)
{
    for (;; text++, uuid++) {
        text += *text == '-';
        uuid += *uuid == '-';
        if (tolower((unsigned char)*text) != *uuid)
            return 0;
        if (!*uuid)
            return 1;
    }
}

static int matches(const struct vk_adapter *a, const char *text)
{
    char *end;
    unsigned long index = strtoul(text, &end, 10);
    if (isdigit((unsigned char)*text) && !*end)
        return index == a->index;
    return (*a->uuid && same_uuid(text, a->uuid)) || strcasestr(a->name, text) != NULL;
}

static int rank(const struct vk_adapter *a)
{
    static const VkPhysicalDeviceType order[] = {VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
                                                 VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
                                                 VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_PHYSICAL_DEVICE_TYPE_OTHER};
    int i = 0;
    while (i < 4 && order[i] != a->type)
        i++;
    return i;
}

const struct vk_adapter *vk_adapter_choose(const struct vk_adapter *a, uint32_t n, const char *text,
                                           struct vqp_error *err)
{
    const struct vk_adapter *best = NULL, *unusable = NULL;
    char list[240] = "";
    for (uint32_t i = 0; i < n; i++) {
        size_t k = strlen(list);
        snprintf(list + k, sizeof list - k, "%s%u: %.60s", k ? "; " : "", i, a[i].name);
        if (text && !matches(&a[i], text))
            continue;
        if (!a[i].usable)
            unusable = unusable ? unusable : &a[i];
        else if (!best || rank(&a[i]) < rank(best))
            best = &a[i];
    }
    if (best)
        return best;
    if (unusable)
        vqp_fail(err, VQP_E_DEVICE, "vulkan: device %u, %.100s, is not usable: %s", (unsigned)unusable->index,
                 unusable->name, unusable->reason);
    else if (!n)
        vqp_fail(
            err, VQP_E_DEVICE,
            "vulkan: the Vulkan library is here but no device; install a driver (Debian: mesa-vulkan-drivers) or use "
            "--backend cpu");
    else
        vqp_fail(err, VQP_E_DEVICE,
                 "vulkan: no device %.100s; give an index, a UUID or part of a name (vqpipe devices lists them): %s",
                 text, list);
    return NULL;
}

vqp_status vk_adapter_create_device(const struct vk_api *api, const struct vk_adapter *a, VkDevice *out,
                                    struct vqp_error *err)
{
    const struct vk_caps *c = &a->caps;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .subgroupSizeControl = VK_TRUE,
        .computeFullSubgroups = VK_TRUE};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .timelineSemaphore = VK_TRUE,
                                            .shaderFloat16 = c->f16_math,
                                            .vulkanMemoryModel = c->n_coopmat != 0};
    VkPhysicalDeviceVulkan11Features f11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &f12,
                                            .storageBuffer16BitAccess = c->f16_storage};
    chain(a->size_control != 0, &f12, &sizes);
    chain(c->n_coopmat != 0, &f12, &coopmat);
    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = a->queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    const char *extensions[4];
    uint32_t n = 0;
    if (a->size_control && a->api_version < VK_API_VERSION_1_3)
        extensions[n++] = "VK_EXT_subgroup_size_control";
    if (c->n_coopmat)
        extensions[n++] = "VK_KHR_cooperative_matrix";
    if (a->portability_subset)
        extensions[n++] = "VK_KHR_portability_subset";
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &f11,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    VkResult r = api->vkCreateDevice(a->handle, &info, NULL, out);
    if (r == VK_SUCCESS)
        return VQP_OK;
    *out = VK_NULL_HANDLE;
    return vk_failed("vkCreateDevice", r, a->name, err);
}
