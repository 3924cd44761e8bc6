#include "vulkan.h"

enum {
    POLL_NS = 20000000,                    /* how long a wait may go without a look at the host */
    PATIENCE = 60 * (1000000000 / POLL_NS) /* polls of draining before the device is given up: a minute */
};

vqp_status vk_queue_open(struct vk_device *dev, struct vqp_error *err)
{
    dev->api.vkGetDeviceQueue(dev->handle, dev->adapter.queue_family, 0, &dev->queue);
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VkResult r = VK_CREATE(dev, vkCreateSemaphore, &semaphore, &dev->timeline);
    if (r != VK_SUCCESS)
        return vk_failed("vkCreateSemaphore", r, "starting", err);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = dev->adapter.queue_family};
    r = VK_CREATE(dev, vkCreateCommandPool, &pool, &dev->pool);
    return r == VK_SUCCESS ? VQP_OK : vk_failed("vkCreateCommandPool", r, "starting", err);
}

void vk_queue_close(struct vk_device *dev)
{
    dev->api.vkDestroyCommandPool(dev->handle, dev->pool, NULL);
    dev->api.vkDestroySemaphore(dev->handle, dev->timeline, NULL);
}

vqp_status vk_submit(struct vk_device *dev, VkCommandBuffer commands, const char *what, struct vqp_error *err)
{
    uint64_t value = dev->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                              .signalSemaphoreValueCount = 1,
                                              .pSignalSemaphoreValues = &value};
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .pNext = &timeline,
                         .commandBufferCount = 1,
                         .pCommandBuffers = &commands,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &dev->timeline};
    VkResult r = dev->api.vkQueueSubmit(dev->queue, 1, &info, VK_NULL_HANDLE);
    if (r != VK_SUCCESS)
        return vk_failed("vkQueueSubmit", r, what, err);
    dev->submitted = value;
    return VQP_OK;
}

static VkResult wait_once(struct vk_device *dev, uint64_t value)
{
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &dev->timeline,
                                .pValues = &value};
    VkResult r = dev->api.vkWaitSemaphores(dev->handle, &info, POLL_NS);
    if (r == VK_SUCCESS && dev->completed < value)
        dev->completed = value;
    return r;
}

vqp_status vk_wait(struct vk_device *dev, uint64_t value, int cancellable, const char *what, struct vqp_error *err)
{
    while (dev->completed < value) {
        VkResult r = wait_once(dev, value);
        if (r < 0)
            return vk_failed("vkWaitSemaphores", r, what, err);
        if (r == VK_TIMEOUT && cancellable && dev->host->cancelled(dev->host))
            return vqp_fail(err, VQP_E_CANCELLED, "vulkan: cancelled");
    }
    return VQP_OK;
}

void vk_drain(struct vk_device *dev)
{
    /* A driver on the processor may be slow, but it ends; and it crashes where memory goes that it works on. */
    int cpu = dev->adapter.caps.is_cpu != 0;
    for (uint32_t i = 0; dev->completed < dev->submitted && (cpu || i < PATIENCE); i++)
        if (wait_once(dev, dev->submitted) < 0) { /* lost, or out of memory: the next best way to be sure */
            dev->api.vkDeviceWaitIdle(dev->handle);
            dev->completed = dev->submitted;
        }
}
