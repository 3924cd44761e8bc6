#include "faults.h"
#include <coopmat.h>
#include <stdlib.h>
#include <vulkan.h>

const char *const fault_names[N_SITES] = {
#define X(name) #name,
    FAULT_SITES(X)
#undef X
};
struct fault_state fault_state;
static struct vk_api real;
static int lost;

void fault_state_from_environment(void)
{
    const char *fault = getenv("VQPIPE_VK_FAULT"), *barrier = getenv("VQPIPE_VK_DROP_BARRIER");
    if (getenv("VQPIPE_VK_WRONG"))
        fault_state.wrong = getenv("VQPIPE_VK_WRONG");
    fault_state.barrier = barrier ? (uint32_t)strtoul(barrier, NULL, 10) : 0;
    for (uint32_t i = 0; fault && i < N_SITES; i++) {
        size_t n = strlen(fault_names[i]);
        char *end = NULL;
        if (strncmp(fault, fault_names[i], n) || fault[n] != ':')
            continue;
        fault_state.site = i;
        fault_state.call = (uint32_t)strtoul(fault + n + 1, &end, 10);
        fault_state.code = !strcmp(end, ":lost") ? VK_ERROR_DEVICE_LOST : VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
}

static VkResult fault(enum fault_site site)
{
    if (++fault_state.calls[site] != fault_state.call || fault_state.site != site)
        return VK_SUCCESS;
    fault_state.happened = 1;
    lost = fault_state.code == VK_ERROR_DEVICE_LOST && fault_state.live[SITE_vkCreateDevice];
    return (VkResult)fault_state.code;
}

/* A failed call leaves rubbish where its result would be. */
#define MAKER(name, params, args, out)                                                                                 \
    static VKAPI_ATTR VkResult VKAPI_CALL faulty_##name params                                                         \
    {                                                                                                                  \
        VkResult r = fault(SITE_##name);                                                                               \
        if (r == VK_SUCCESS)                                                                                           \
            r = real.name args;                                                                                        \
        if (r == VK_SUCCESS)                                                                                           \
            fault_state.live[SITE_##name]++;                                                                           \
        else                                                                                                           \
            memset(out, 0xdd, sizeof *out);                                                                            \
        return r;                                                                                                      \
    }
#define CALL(name, params, args)                                                                                       \
    static VKAPI_ATTR VkResult VKAPI_CALL faulty_##name params                                                         \
    {                                                                                                                  \
        VkResult r = fault(SITE_##name);                                                                               \
        return r == VK_SUCCESS ? real.name args : r;                                                                   \
    }
/* What a lost device goes on saying; work in flight has to end all the same. */
#define LATER(name, params, args)                                                                                      \
    static VKAPI_ATTR VkResult VKAPI_CALL faulty_##name params                                                         \
    {                                                                                                                  \
        VkResult r = fault(SITE_##name);                                                                               \
        if (r != VK_SUCCESS || lost)                                                                                   \
            real.vkDeviceWaitIdle(d);                                                                                  \
        return r != VK_SUCCESS ? r : lost ? VK_ERROR_DEVICE_LOST : real.name args;                                     \
    }
#define BREAKER(name, maker, owner, handle)                                                                            \
    static VKAPI_ATTR void VKAPI_CALL faulty_##name(owner d, handle h, const VkAllocationCallbacks *a)                 \
    {                                                                                                                  \
        fault_state.live[SITE_##maker] -= h != VK_NULL_HANDLE;                                                         \
        real.name(d, h, a);                                                                                            \
    }
#define A const VkAllocationCallbacks *a

MAKER(vkCreateInstance, (const VkInstanceCreateInfo *i, A, VkInstance *o), (i, a, o), o)
MAKER(vkCreateDevice, (VkPhysicalDevice d, const VkDeviceCreateInfo *i, A, VkDevice *o), (d, i, a, o), o)
MAKER(vkCreateSemaphore, (VkDevice d, const VkSemaphoreCreateInfo *i, A, VkSemaphore *o), (d, i, a, o), o)
MAKER(vkCreateBuffer, (VkDevice d, const VkBufferCreateInfo *i, A, VkBuffer *o), (d, i, a, o), o)
MAKER(vkAllocateMemory, (VkDevice d, const VkMemoryAllocateInfo *i, A, VkDeviceMemory *o), (d, i, a, o), o)
MAKER(vkCreateCommandPool, (VkDevice d, const VkCommandPoolCreateInfo *i, A, VkCommandPool *o), (d, i, a, o), o)
MAKER(vkCreateQueryPool, (VkDevice d, const VkQueryPoolCreateInfo *i, A, VkQueryPool *o), (d, i, a, o), o)
MAKER(vkCreateDescriptorSetLayout, (VkDevice d, const VkDescriptorSetLayoutCreateInfo *i, A, VkDescriptorSetLayout *o),
      (d, i, a, o), o)
MAKER(vkCreatePipelineLayout, (VkDevice d, const VkPipelineLayoutCreateInfo *i, A, VkPipelineLayout *o), (d, i, a, o),
      o)
MAKER(vkCreateDescriptorPool, (VkDevice d, const VkDescriptorPoolCreateInfo *i, A, VkDescriptorPool *o), (d, i, a, o),
      o)
MAKER(vkCreateBufferView, (VkDevice d, const VkBufferViewCreateInfo *i, A, VkBufferView *o), (d, i, a, o), o)
MAKER(vkCreateComputePipelines,
      (VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i, A, VkPipeline *o),
      (d, c, n, i, a, o), o)

/* Is `name` among the words of a list with commas? */
static int is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (; list && *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
        if (!strncmp(list, name, n) && (list[n] == ',' || !list[n]))
            return 1;
    return 0;
}

/* The code of a kernel in `wrong`, with every addition a subtraction; NULL: it is not one of those. */
static uint32_t *spoil(const VkShaderModuleCreateInfo *i)
{
    const struct vk_kernel *const *k = vk_kernels;
    while (*k && (*k)->words != i->pCode)
        k++;
    if (!*k || !is_listed(fault_state.wrong, (*k)->name))
        return NULL;
    uint32_t *code = malloc(i->codeSize), op_fadd = 129, op_fsub = 131;
    if (!code)
        return NULL;
    memcpy(code, i->pCode, i->codeSize);
    for (size_t w = 5; w < i->codeSize / 4 && code[w] >> 16; w += code[w] >> 16)
        if ((code[w] & 0xffff) == op_fadd)
            code[w] = (code[w] & 0xffff0000u) | op_fsub;
    return code;
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_vkCreateShaderModule(VkDevice d, const VkShaderModuleCreateInfo *i, A,
                                                                  VkShaderModule *o)
{
    VkResult r = fault(SITE_vkCreateShaderModule);
    VkShaderModuleCreateInfo info = *i;
    uint32_t *wrong = spoil(i);
    info.pCode = wrong ? wrong : i->pCode;
    if (r == VK_SUCCESS)
        r = real.vkCreateShaderModule(d, &info, a, o);
    if (r == VK_SUCCESS)
        fault_state.live[SITE_vkCreateShaderModule]++;
    else
        memset(o, 0xdd, sizeof *o);
    free(wrong);
    return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL faulty_vkCreatePipelineCache(VkDevice d, const VkPipelineCacheCreateInfo *i, A,
                                                                   VkPipelineCache *o)
{
    VkResult r = fault(SITE_vkCreatePipelineCache);
    fault_state.cache_bytes = i->initialDataSize;
    if (r == VK_SUCCESS)
        r = real.vkCreatePipelineCache(d, i, a, o);
    if (r == VK_SUCCESS)
        fault_state.live[SITE_vkCreatePipelineCache]++;
    else
        memset(o, 0xdd, sizeof *o);
    return r;
}

CALL(vkEnumerateInstanceVersion, (uint32_t * v), (v))
CALL(vkEnumerateInstanceExtensionProperties, (const char *l, uint32_t *n, VkExtensionProperties *p), (l, n, p))
CALL(vkEnumeratePhysicalDevices, (VkInstance i, uint32_t *n, VkPhysicalDevice *p), (i, n, p))
CALL(vkEnumerateDeviceExtensionProperties, (VkPhysicalDevice d, const char *l, uint32_t *n, VkExtensionProperties *p),
     (d, l, n, p))
CALL(vkBindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize o), (d, b, m, o))
CALL(vkMapMemory, (VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize n, VkMemoryMapFlags f, void **p),
     (d, m, o, n, f, p))
CALL(vkAllocateCommandBuffers, (VkDevice d, const VkCommandBufferAllocateInfo *i, VkCommandBuffer *o), (d, i, o))
CALL(vkBeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo *i), (c, i))
CALL(vkEndCommandBuffer, (VkCommandBuffer c), (c))
CALL(vkGetPipelineCacheData, (VkDevice d, VkPipelineCache c, size_t *n, void *p), (d, c, n, p))
CALL(vkAllocateDescriptorSets, (VkDevice d, const VkDescriptorSetAllocateInfo *i, VkDescriptorSet *o), (d, i, o))
LATER(vkWaitSemaphores, (VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t), (d, i, t))
LATER(vkDeviceWaitIdle, (VkDevice d), (d))
LATER(vkGetQueryPoolResults,
      (VkDevice d, VkQueryPool q, uint32_t f, uint32_t n, size_t b, void *p, VkDeviceSize s, VkQueryResultFlags g),
      (d, q, f, n, b, p, s, g))

static VKAPI_ATTR VkResult VKAPI_CALL faulty_vkQueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *i, VkFence f)
{
    VkResult r = fault(SITE_vkQueueSubmit);
    return r != VK_SUCCESS ? r : lost ? VK_ERROR_DEVICE_LOST : real.vkQueueSubmit(q, n, i, f);
}

BREAKER(vkDestroySemaphore, vkCreateSemaphore, VkDevice, VkSemaphore)
BREAKER(vkDestroyBuffer, vkCreateBuffer, VkDevice, VkBuffer)
BREAKER(vkFreeMemory, vkAllocateMemory, VkDevice, VkDeviceMemory)
BREAKER(vkDestroyCommandPool, vkCreateCommandPool, VkDevice, VkCommandPool)
BREAKER(vkDestroyQueryPool, vkCreateQueryPool, VkDevice, VkQueryPool)
BREAKER(vkDestroyDescriptorSetLayout, vkCreateDescriptorSetLayout, VkDevice, VkDescriptorSetLayout)
BREAKER(vkDestroyPipelineLayout, vkCreatePipelineLayout, VkDevice, VkPipelineLayout)
BREAKER(vkDestroyShaderModule, vkCreateShaderModule, VkDevice, VkShaderModule)
BREAKER(vkDestroyPipeline, vkCreateComputePipelines, VkDevice, VkPipeline)
BREAKER(vkDestroyPipelineCache, vkCreatePipelineCache, VkDevice, VkPipelineCache)
BREAKER(vkDestroyBufferView, vkCreateBufferView, VkDevice, VkBufferView)
BREAKER(vkDestroyDescriptorPool, vkCreateDescriptorPool, VkDevice, VkDescriptorPool)

static VKAPI_ATTR void VKAPI_CALL faulty_vkDestroyDevice(VkDevice d, A)
{
    fault_state.live[SITE_vkCreateDevice] -= d != VK_NULL_HANDLE;
    real.vkDestroyDevice(d, a);
}

static VKAPI_ATTR void VKAPI_CALL faulty_vkDestroyInstance(VkInstance i, A)
{
    fault_state.live[SITE_vkCreateInstance] -= i != VK_NULL_HANDLE;
    real.vkDestroyInstance(i, a);
    for (uint32_t k = 0; getenv("VQPIPE_VK_COUNT") && k < N_SITES; k++)
        fprintf(stderr, "%s %u %d\n", fault_names[k], fault_state.calls[k], fault_state.live[k]);
    if (getenv("VQPIPE_VK_COUNT"))
        fprintf(stderr, "vkCmdPipelineBarrier %u 0\n", fault_state.barriers);
}

static VKAPI_ATTR void VKAPI_CALL faulty_vkCmdPipelineBarrier(VkCommandBuffer c, VkPipelineStageFlags from,
                                                              VkPipelineStageFlags to, VkDependencyFlags f, uint32_t n,
                                                              const VkMemoryBarrier *m, uint32_t nb,
                                                              const VkBufferMemoryBarrier *b, uint32_t ni,
                                                              const VkImageMemoryBarrier *i)
{
    int between = from == VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT && to == from;
    if (!between || ++fault_state.barriers != fault_state.barrier)
        real.vkCmdPipelineBarrier(c, from, to, f, n, m, nb, b, ni, i);
}

/* The table is filled in three parts; each time what is there is replaced. */
void vk_test_hook(struct vk_api *api)
{
    if (!api->vkCreateDevice) {
        lost = 0;
        fault_state_from_environment();
    }
#define X(name)                                                                                                        \
    if (api->name && api->name != faulty_##name) {                                                                     \
        real.name = api->name;                                                                                         \
        api->name = faulty_##name;                                                                                     \
    }
    FAULT_SITES(X)
    X(vkDestroyInstance)
    X(vkDestroyDevice)
    X(vkDestroySemaphore)
    X(vkDestroyBuffer)
    X(vkFreeMemory)
    X(vkDestroyCommandPool)
    X(vkDestroyQueryPool)
    X(vkDestroyDescriptorSetLayout)
    X(vkDestroyPipelineLayout)
    X(vkDestroyShaderModule)
    X(vkDestroyPipeline)
    X(vkDestroyPipelineCache)
    X(vkDestroyDescriptorPool)
    X(vkDestroyBufferView)
    X(vkCmdPipelineBarrier)
#undef X
}

/* VQPIPE_VK_TILE=M,N,K,SUBGROUPS,ACROSS: tiles that lavapipe would not get by itself, to run every way through the kernel. */
int vk_test_tile(struct vk_tile *out)
{
    const char *tile = getenv("VQPIPE_VK_TILE");
    return tile && sscanf(tile, "%u,%u,%u,%u,%u", &out->m, &out->n, &out->k, &out->subgroups, &out->across) == 5;
}
