/* A Vulkan that fails when it is told to: between the backend's dispatch table and the driver. */
#ifndef FAULTS_H
#define FAULTS_H
#include <stdint.h>

/* Each function that may fail, the object that it makes, and what ends that object ("" for none). */
/* clang-format off */
#define FAULT_SITES(X) \
    X(vkCreateInstance) X(vkEnumerateInstanceVersion) X(vkEnumerateInstanceExtensionProperties) \
    X(vkEnumeratePhysicalDevices) X(vkEnumerateDeviceExtensionProperties) X(vkCreateDevice) X(vkDeviceWaitIdle) \
    X(vkQueueSubmit) X(vkCreateSemaphore) X(vkWaitSemaphores) X(vkCreateBuffer) X(vkAllocateMemory) \
    X(vkBindBufferMemory) X(vkMapMemory) X(vkCreateCommandPool) X(vkAllocateCommandBuffers) X(vkBeginCommandBuffer) \
    X(vkEndCommandBuffer) X(vkCreateQueryPool) X(vkGetQueryPoolResults) X(vkCreateDescriptorSetLayout) \
    X(vkCreatePipelineLayout) X(vkCreateShaderModule) X(vkCreateComputePipelines) X(vkCreatePipelineCache) \
    X(vkGetPipelineCacheData) X(vkCreateDescriptorPool) X(vkAllocateDescriptorSets) X(vkCreateBufferView)
/* clang-format on */
enum fault_site {
#define X(name) SITE_##name,
    FAULT_SITES(X)
#undef X
    N_SITES
};
extern const char *const fault_names[N_SITES];

struct fault_state {
    uint32_t site, call; /* the call to fail, from 1; 0: none */
    int32_t code;        /* VkResult */
    uint32_t barrier;    /* the barrier between dispatches to leave out, from 1; 0: none */
    uint32_t calls[N_SITES], barriers, happened;
    int32_t live[N_SITES]; /* objects made and not destroyed */
    const char *wrong;     /* names of kernels to spoil, separated by commas; NULL: none */
    uint64_t cache_bytes;  /* what the last pipeline cache began with */
};
extern struct fault_state fault_state;
/* From the environment: VQPIPE_VK_FAULT=vkQueueSubmit:3:lost (or :memory), VQPIPE_VK_DROP_BARRIER=2, VQPIPE_VK_WRONG=linear_f16,
 * VQPIPE_VK_COUNT=1 (counts go to
 * stderr at the end of an instance). */
void fault_state_from_environment(void);

#endif
