/* The host side of the Vulkan backend: one section a source file, each standing on those above it. Ops see kernel.h alone. */
#ifndef VQP_VULKAN_H
#define VQP_VULKAN_H
#include "kernel.h"
#include <pthread.h>
#include <vqpipe/backend.h>
#include <vqpipe/host.h>
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#ifndef VK_KHR_cooperative_matrix /* headers older than 1.3.255 */
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR   ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR                 ((VkStructureType)1000506001)
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506002)
enum {
    VK_COMPONENT_TYPE_FLOAT16_KHR = 0,
    VK_COMPONENT_TYPE_FLOAT32_KHR = 1,
    VK_SCOPE_SUBGROUP_KHR = 3,
};
typedef struct {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
typedef struct {
    VkStructureType sType;
    void *pNext;
    VkShaderStageFlags cooperativeMatrixSupportedStages;
} VkPhysicalDeviceCooperativeMatrixPropertiesKHR;
typedef struct {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    int32_t AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    int32_t scope;
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(VkPhysicalDevice, uint32_t *,
                                                                                   VkCooperativeMatrixPropertiesKHR *);
#endif

/* ---- api.c: the functions of the Vulkan library, found at run time ---- */

/* clang-format off */
#define VK_GLOBAL_FUNCTIONS(X) \
    X(vkEnumerateInstanceVersion) X(vkEnumerateInstanceExtensionProperties) X(vkCreateInstance)
#define VK_INSTANCE_FUNCTIONS(X) \
    X(vkDestroyInstance) X(vkEnumeratePhysicalDevices) X(vkGetPhysicalDeviceProperties2) \
    X(vkGetPhysicalDeviceFeatures2) X(vkGetPhysicalDeviceMemoryProperties) \
    X(vkGetPhysicalDeviceQueueFamilyProperties) X(vkEnumerateDeviceExtensionProperties) X(vkCreateDevice) \
    X(vkGetDeviceProcAddr)
#define VK_OPTIONAL_FUNCTIONS(X) /* of the instance too; NULL where there is none */ \
    X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)
#define VK_DEVICE_FUNCTIONS(X) \
    X(vkDestroyDevice) X(vkGetDeviceQueue) X(vkDeviceWaitIdle) X(vkQueueSubmit) X(vkCreateSemaphore) \
    X(vkDestroySemaphore) X(vkWaitSemaphores) X(vkCreateBuffer) X(vkDestroyBuffer) X(vkGetBufferMemoryRequirements) \
    X(vkAllocateMemory) X(vkFreeMemory) X(vkBindBufferMemory) X(vkMapMemory) X(vkCreateCommandPool) \
    X(vkDestroyCommandPool) X(vkAllocateCommandBuffers) X(vkBeginCommandBuffer) X(vkEndCommandBuffer) \
    X(vkCmdCopyBuffer) X(vkCmdFillBuffer) X(vkCmdPipelineBarrier) X(vkCmdBindPipeline) X(vkCmdBindDescriptorSets) \
    X(vkCmdPushConstants) X(vkCmdDispatch) X(vkCmdResetQueryPool) X(vkCmdWriteTimestamp) X(vkCreateQueryPool) \
    X(vkDestroyQueryPool) X(vkGetQueryPoolResults) X(vkCreateDescriptorSetLayout) X(vkDestroyDescriptorSetLayout) \
    X(vkCreatePipelineLayout) X(vkDestroyPipelineLayout) X(vkCreateShaderModule) X(vkDestroyShaderModule) \
    X(vkCreateComputePipelines) X(vkDestroyPipeline) X(vkCreatePipelineCache) X(vkDestroyPipelineCache) \
    X(vkGetPipelineCacheData) X(vkCreateDescriptorPool) X(vkDestroyDescriptorPool) X(vkAllocateDescriptorSets) \
    X(vkCreateBufferView) X(vkDestroyBufferView) \
    X(vkUpdateDescriptorSets)
/* clang-format on */

struct vk_api {
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr;
#define X(name) PFN_##name name;
    VK_GLOBAL_FUNCTIONS(X)
    VK_INSTANCE_FUNCTIONS(X)
    VK_OPTIONAL_FUNCTIONS(X)
    VK_DEVICE_FUNCTIONS(X)
#undef X
};

/* Opens the library and makes an instance of Vulkan 1.2 or later. What it says when there is none: what was looked for. */
vqp_status vk_api_open(struct vk_api *api, VkInstance *instance, struct vqp_error *err);
vqp_status vk_api_load_device(struct vk_api *api, VkDevice device, struct vqp_error *err);
/* Turns a failed call into an error: memory that ran out into VQP_E_NOMEM, all else into VQP_E_DEVICE. */
vqp_status vk_failed(const char *call, VkResult result, const char *what, struct vqp_error *err);
/* dev->api.name(dev->handle, info, NULL, out); where it fails *out is VK_NULL_HANDLE, which Vulkan does not promise. */
#define VK_CREATE(dev, name, info, out)                                                                                \
    ({                                                                                                                 \
        VkResult result_ = (dev)->api.name((dev)->handle, info, NULL, out);                                            \
        if (result_ != VK_SUCCESS)                                                                                     \
            *(out) = VK_NULL_HANDLE;                                                                                   \
        result_;                                                                                                       \
    })
/* In a test build, a function of the test that may put its own functions into the table; see tests/vulkan. */
#if defined(VK_TEST_HOOK)
void vk_test_hook(struct vk_api *api);
#endif

/* ---- adapter.c: what devices there are, and what each can do ---- */

enum {
    VK_MAX_ADAPTERS = 16,
    VK_LAYOUTS = 2 * VK_MAX_BINDINGS + 1
};
struct vk_adapter {
    VkPhysicalDevice handle;
    uint32_t index, queue_family, timestamp_bits, api_version;
    uint32_t usable, size_control, vulkan_memory_model, portability_subset;
    VkPhysicalDeviceType type;
    struct vk_caps caps;
    uint64_t max_range, max_buffer, max_allocation, memory_bytes, offset_alignment;
    double timestamp_ns;
    VkPhysicalDeviceMemoryProperties memory;
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE], driver[192], uuid[40], reason[256];
    /* Who compiles the pipelines: what a cache on disk must match. */
    struct {
        uint32_t vendor, device, driver_version, api_version, driver_id;
        uint8_t device_uuid[VK_UUID_SIZE], driver_uuid[VK_UUID_SIZE], cache_uuid[VK_UUID_SIZE];
    } identity;
};
vqp_status vk_adapters(const struct vk_api *api, VkInstance instance, struct vk_adapter *out, uint32_t *n,
                       struct vqp_error *err);
/* By index, UUID or part of the name; NULL: the first of the best kind. NULL with *err set. */
const struct vk_adapter *vk_adapter_choose(const struct vk_adapter *a, uint32_t n, const char *text,
                                           struct vqp_error *err);
vqp_status vk_adapter_create_device(const struct vk_api *api, const struct vk_adapter *a, VkDevice *out,
                                    struct vqp_error *err);

/* ---- the instance of the backend ---- */

struct vk_slice { /* a piece of device memory; buffer is VK_NULL_HANDLE where there is none */
    VkBuffer buffer;
    uint64_t offset, bytes; /* bytes is a multiple of 16 */
    struct vk_block *block;
};

struct vk_device {
    const struct vqp_host *host;
    struct vk_api api;
    VkInstance instance;
    struct vk_adapter adapter;
    VkDevice handle;
    uint32_t f16, timestamps, cache_on_disk;
    /* queue.c */
    VkQueue queue;
    VkSemaphore timeline;
    uint64_t submitted, completed; /* values of the timeline */
    VkCommandPool pool;
    /* memory.c */
    pthread_mutex_t lock; /* of memory and weights: forget() comes from any thread */
    struct vk_block *blocks;
    VkDeviceMemory staging_memory;
    VkBuffer staging;
    void *staging_data;
    VkCommandBuffer copy;
    struct vk_slice nothing; /* what VK_NONE is bound to */
    /* weights.c */
    struct vk_weight_copy *weights;
    /* pipeline.c */
    VkDescriptorSetLayout set_layout[VK_LAYOUTS]; /* vk_layout_of() */
    VkPipelineLayout layout[VK_LAYOUTS];
    struct vk_pipeline *pipelines;
    VkPipelineCache cache;
    uint32_t cache_grew;
    /* Whether this device and driver compute what they should with the kernel; set by who opens the device: vk_selftest. */
    vqp_status (*is_right)(struct vk_device *dev, const struct vk_kernel *kernel, int *right, struct vqp_error *err);
    /* selftest.c */
    uint8_t *verdicts;     /* by the place in vk_kernels; NULL: none yet */
    uint8_t (*passed)[32]; /* hashes of what passed, here or in an earlier run */
    uint32_t n_passed;
    /* ceiling.c */
    double flops_per_ns, bytes_per_ns; /* 0: not measured yet */
    const struct vqp_program_view *asked_first;
    uint32_t asked_op;
};

/* ---- queue.c: submitting and waiting ---- */

vqp_status vk_queue_open(struct vk_device *dev, struct vqp_error *err);
void vk_queue_close(struct vk_device *dev);
vqp_status vk_submit(struct vk_device *dev, VkCommandBuffer commands, const char *what, struct vqp_error *err);
/* Waits until the timeline has reached `value`; polls the host meanwhile where `cancellable`. VQP_E_CANCELLED leaves work running. */
vqp_status vk_wait(struct vk_device *dev, uint64_t value, int cancellable, const char *what, struct vqp_error *err);
/* Waits for everything, come what may: before anything is destroyed that work in flight may use. */
void vk_drain(struct vk_device *dev);

/* ---- memory.c: device memory and the way there and back ---- */

vqp_status vk_memory_open(struct vk_device *dev, struct vqp_error *err);
void vk_memory_close(struct vk_device *dev);
vqp_status vk_memory_take(struct vk_device *dev, uint64_t bytes, const char *what, struct vk_slice *out,
                          struct vqp_error *err);
void vk_memory_give(struct vk_device *dev, struct vk_slice *slice); /* accepts one without memory */
vqp_status vk_memory_zero(struct vk_device *dev, const struct vk_slice *s, struct vqp_error *err);
/* `fill` writes bytes off .. off+n-1 of what is to arrive at s; off and n are multiples of 4, but for the end. */
typedef void (*vk_fill)(void *ctx, void *dst, uint64_t off, uint64_t n);
vqp_status vk_memory_fill(struct vk_device *dev, const struct vk_slice *s, uint64_t bytes, vk_fill fill, void *ctx,
                          struct vqp_error *err);
vqp_status vk_memory_upload(struct vk_device *dev, const struct vk_slice *s, uint64_t off, const void *src, uint64_t n,
                            struct vqp_error *err);
vqp_status vk_memory_download(struct vk_device *dev, const struct vk_slice *s, uint64_t off, void *dst, uint64_t n,
                              struct vqp_error *err);

/* ---- weights.c: float16, and weights on the device, each once for its address and form ---- */

float vk_from_f16(uint16_t h);
uint16_t vk_to_f16(float f); /* to the nearest, halves to even; beyond the range infinity */
/* Bytes of the value in this form. */
uint64_t vk_form_bytes(const struct vqp_val_info *val, const struct vk_form *form);
/* 1 where no finite value becomes an infinity in float16. */
uint32_t vk_form_fits_f16(struct vk_device *dev, const struct vqp_val_info *val);
/* Brings data (CONSTANT or WEIGHT) to the device in a form. */
vqp_status vk_form_upload(struct vk_device *dev, const struct vqp_val_info *val, const struct vk_form *form,
                          struct vk_slice *out, struct vqp_error *err);
vqp_status vk_weight_obtain(struct vk_device *dev, const struct vqp_val_info *val, const struct vk_form *form,
                            struct vk_slice *out, struct vqp_error *err);
void vk_weights_forget(struct vk_device *dev, const void *data); /* [any-thread] */
void vk_weights_close(struct vk_device *dev);

/* ---- pipeline.c ---- */

/* Kernels with as many bindings share a layout, those with texel buffers another one. */
static inline uint32_t vk_layout_of(const struct vk_dispatch *d)
{
    return d->texels ? VK_MAX_BINDINGS + d->n : d->n;
}

vqp_status vk_pipelines_open(struct vk_device *dev, struct vqp_error *err);
void vk_pipelines_close(struct vk_device *dev);
/* The pipeline for a kernel, its constants and its number of bindings; made where it is not there yet. */
vqp_status vk_pipeline_obtain(struct vk_device *dev, const struct vk_dispatch *d, VkPipeline *out,
                              struct vqp_error *err);

/* ---- cache.c: compiled pipelines on disk, never trusted ---- */

/* What is kept: hashes of kernels that passed their tests, and what Vulkan's pipeline cache gave. */
struct vk_cache {
    uint32_t n_passed;
    uint8_t (*passed)[32];
    void *pipelines;
    size_t bytes;
};
/* What was kept for this device and driver; all zeros where there is nothing. vk_cache_free() it. */
void vk_cache_load(const struct vk_adapter *a, struct vk_cache *out);
void vk_cache_free(struct vk_cache *c);
void vk_cache_store(const struct vk_adapter *a, const struct vk_cache *c); /* all or nothing; a failure is silent */
void vk_sha256(const void *data, size_t bytes, uint8_t out[32]);

/* ---- plan.c: what the ops of a program add up to ---- */

struct vk_bound { /* an operand with its place */
    struct vk_slice slice;
    uint32_t written, scratch; /* scratch: slice.offset counts from the beginning of the program's scratch memory */
};
struct vk_node {
    VkPipeline pipeline;
    struct vk_dispatch d;
    struct vk_bound at[VK_MAX_BINDINGS];
    uint32_t op, barrier; /* barrier: one is needed before it */
    uint64_t work;
};
struct vk_plan {
    struct vk_device *dev;
    const struct vqp_program_view *p;
    struct vqp_error *err;
    vqp_status status;
    uint32_t op;                  /* the one being added */
    const struct vk_slice *bound; /* by value: what core bound to it */
    struct vk_slice arena;
    const struct vk_kernel *only,
        *wrong;       /* the only one to use, in its self-test; one that failed it and was asked for */
    uint32_t *stored; /* by value: its dtype on the device */
    struct vk_node *nodes;
    uint32_t n_nodes, cap_nodes;
    struct vk_slice *uploaded; /* weights and constants, which VK_WEIGHT's index counts */
    struct vk_constant {
        vqp_val root;
        struct vk_form form;
        uint32_t uploaded;
    } * constants; /* those of `uploaded` that belong to this program */
    uint32_t n_uploaded, cap_uploaded, n_constants, cap_constants;
    uint64_t *scratch; /* of the op being added: begin and bytes of each */
    uint32_t n_scratch, cap_scratch;
    uint64_t scratch_used, scratch_bytes; /* of this op; the most of any op */
};
/* Decides which temporaries of a program are float16: those whose every reader and writer allows it. */
void vk_choose_storage(struct vk_plan *plan);
/* Asks every op for its dispatches and decides where barriers are. */
vqp_status vk_plan_make(struct vk_plan *plan);
void vk_plan_free(struct vk_plan *plan); /* all but the slices that the program keeps */

/* ---- selftest.c ---- */

/* *right: whether the kernel passes its tests on this device; without a test it does. */
vqp_status vk_selftest(struct vk_device *dev, const struct vk_kernel *kernel, int *right, struct vqp_error *err);
void vk_selftest_close(struct vk_device *dev);

/* ---- program.c: recorded once, replayed ---- */

vqp_status vk_compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                      vqp_exec **out, struct vqp_error *err);
/* The same with one kernel of those that have tests, and how values are stored; both NULL: as vk_compile. Fails where that kernel is not
 * used. */
vqp_status vk_compile_for(struct vk_device *dev, const struct vqp_program_view *p, const struct vqp_binding *b,
                          uint32_t n, const struct vk_kernel *only, const uint32_t *stored, vqp_exec **out,
                          struct vqp_error *err);
vqp_status vk_run(void *self, vqp_exec *x, uint32_t times, struct vqp_error *err);
vqp_status vk_profile(void *self, vqp_exec *x, uint64_t *ns, uint32_t cap, uint32_t *n);
/* ceiling.c */
vqp_status vk_ceiling(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns, struct vqp_error *err);
void vk_exec_destroy(void *self, vqp_exec *x);
struct vqp_buffer {
    uint64_t bytes;
    struct vk_slice slice;
};

#endif
