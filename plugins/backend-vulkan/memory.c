#include "vulkan.h"
#include <stdlib.h>

enum {
    ALIGNMENT = 256,
    BLOCK = 64 << 20,   /* small pieces share allocations of this size */
    STAGING = 16 << 20, /* transfers go through this buffer, part by part */
};

struct piece {
    struct piece *next; /* in order of `begin` */
    uint64_t begin, end;
};
struct vk_block {
    struct vk_block *next;
    VkDeviceMemory memory;
    VkBuffer buffer;
    uint64_t bytes;
    struct piece *pieces; /* those in use */
};

/* ---- blocks ---- */

static int find_type(const struct vk_device *dev, uint32_t allowed, VkMemoryPropertyFlags flags, uint32_t *out)
{
    for (uint32_t i = 0; i < dev->adapter.memory.memoryTypeCount; i++)
        if ((allowed >> i & 1) && (dev->adapter.memory.memoryTypes[i].propertyFlags & flags) == flags) {
            *out = i;
            return 1;
        }
    return 0;
}

/* What the host could give without swapping; UINT64_MAX where it does not say. */
static uint64_t free_host_memory(void)
{
    unsigned long long kb = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && !kb && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kb) != 1)
            kb = 0;
    if (f)
        fclose(f);
    return kb ? kb * 1024 : UINT64_MAX;
}

/* A buffer with memory of its own; `wanted` are sets of properties, the best first, ended by 0. */
static vqp_status create_buffer(struct vk_device *dev, uint64_t bytes, const VkMemoryPropertyFlags *wanted,
                                const char *what, VkBuffer *buffer, VkDeviceMemory *memory, struct vqp_error *err)
{
    uint64_t limit =
        dev->adapter.max_allocation < dev->adapter.max_buffer ? dev->adapter.max_allocation : dev->adapter.max_buffer;
    uint64_t host = dev->adapter.caps.is_cpu ? free_host_memory() : UINT64_MAX;
    if (bytes > limit || bytes > host)
        return vqp_fail(
            err, VQP_E_NOMEM,
            "vulkan: %s needs %.1f MB and %s %.1f MB; use fewer images at once, precision f16 or --backend cpu", what,
            (double)bytes / 1e6, bytes > limit ? "this device allocates at most" : "the host has free",
            (double)(bytes > limit ? limit : host) / 1e6);
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkResult r = VK_CREATE(dev, vkCreateBuffer, &info, buffer);
    if (r != VK_SUCCESS)
        return vk_failed("vkCreateBuffer", r, what, err);
    VkMemoryRequirements need;
    dev->api.vkGetBufferMemoryRequirements(dev->handle, *buffer, &need);
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size};
    while (*wanted && !find_type(dev, need.memoryTypeBits, *wanted, &allocate.memoryTypeIndex))
        wanted++;
    const char *call = "vkAllocateMemory";
    r = *wanted ? VK_CREATE(dev, vkAllocateMemory, &allocate, memory) : VK_ERROR_FEATURE_NOT_PRESENT;
    if (r == VK_SUCCESS) {
        call = "vkBindBufferMemory";
        r = dev->api.vkBindBufferMemory(dev->handle, *buffer, *memory, 0);
    }
    if (r == VK_SUCCESS)
        return VQP_OK;
    dev->api.vkDestroyBuffer(dev->handle, *buffer, NULL);
    dev->api.vkFreeMemory(dev->handle, *memory, NULL);
    *buffer = VK_NULL_HANDLE;
    *memory = VK_NULL_HANDLE;
    return vk_failed(call, r, what, err);
}

/* Puts a piece into the first gap of the block that is long enough. */
static int place(struct vk_block *b, struct piece *piece, uint64_t bytes)
{
    uint64_t begin = 0;
    struct piece **link = &b->pieces;
    for (; *link && (*link)->begin - begin < bytes; link = &(*link)->next)
        begin = ((*link)->end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!*link && (begin > b->bytes || b->bytes - begin < bytes))
        return 0;
    *piece = (struct piece){*link, begin, begin + bytes};
    *link = piece;
    return 1;
}

static vqp_status take(struct vk_device *dev, uint64_t bytes, struct piece *piece, const char *what,
                       struct vk_slice *out, struct vqp_error *err)
{
    static const VkMemoryPropertyFlags wanted[] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                                   VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, 0};
    struct vk_block *b = dev->blocks;
    while (b && !place(b, piece, bytes))
        b = b->next;
    if (!b) {
        if (!(b = calloc(1, sizeof *b)))
            return vqp_fail(err, VQP_E_NOMEM, "vulkan: %s: out of host memory", what);
        b->bytes = bytes > BLOCK / 4 ? bytes : BLOCK;
        vqp_status st = create_buffer(dev, b->bytes, wanted, what, &b->buffer, &b->memory, err);
        if (st) {
            free(b);
            return st;
        }
        b->next = dev->blocks;
        dev->blocks = b;
        place(b, piece, bytes);
    }
    *out = (struct vk_slice){b->buffer, piece->begin, bytes, b};
    return VQP_OK;
}

vqp_status vk_memory_take(struct vk_device *dev, uint64_t bytes, const char *what, struct vk_slice *out,
                          struct vqp_error *err)
{
    struct piece *piece = bytes < (uint64_t)INT64_MAX ? malloc(sizeof *piece) : NULL;
    if (!piece)
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: %s: no memory for %llu bytes", what, (unsigned long long)bytes);
    bytes = bytes ? (bytes + 15) / 16 * 16 : 16;
    pthread_mutex_lock(&dev->lock);
    vqp_status st = take(dev, bytes, piece, what, out, err);
    pthread_mutex_unlock(&dev->lock);
    if (st)
        free(piece);
    return st; /* NOLINT(clang-analyzer-unix.Malloc): where st is 0 the piece is in its block's list */
}

void vk_memory_give(struct vk_device *dev, struct vk_slice *slice)
{
    struct vk_block *b = slice->block;
    if (!b)
        return;
    pthread_mutex_lock(&dev->lock);
    struct piece **link = &b->pieces, *piece;
    while ((*link)->begin != slice->offset)
        link = &(*link)->next;
    piece = *link;
    *link = piece->next;
    free(piece);
    if (!b->pieces) {
        struct vk_block **at = &dev->blocks;
        while (*at != b)
            at = &(*at)->next;
        *at = b->next;
        dev->api.vkDestroyBuffer(dev->handle, b->buffer, NULL);
        dev->api.vkFreeMemory(dev->handle, b->memory, NULL);
        free(b);
    }
    pthread_mutex_unlock(&dev->lock);
    *slice = (struct vk_slice){0};
}

/* ---- transfers ---- */

vqp_status vk_memory_open(struct vk_device *dev, struct vqp_error *err)
{
    static const VkMemoryPropertyFlags wanted[] = {
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, 0};
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = dev->pool,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    vqp_status st =
        create_buffer(dev, STAGING, wanted, "the buffer for transfers", &dev->staging, &dev->staging_memory, err);
    if (st)
        return st;
    VkResult r = dev->api.vkMapMemory(dev->handle, dev->staging_memory, 0, STAGING, 0, &dev->staging_data);
    if (r != VK_SUCCESS)
        return vk_failed("vkMapMemory", r, "the buffer for transfers", err);
    r = dev->api.vkAllocateCommandBuffers(dev->handle, &info, &dev->copy);
    if (r != VK_SUCCESS)
        return vk_failed("vkAllocateCommandBuffers", r, "the commands for transfers", err);
    st = vk_memory_take(dev, ALIGNMENT, "starting", &dev->nothing, err);
    return st ? st : vk_memory_zero(dev, &dev->nothing, err);
}

void vk_memory_close(struct vk_device *dev)
{
    vk_memory_give(dev, &dev->nothing);
    dev->api.vkDestroyBuffer(dev->handle, dev->staging, NULL);
    dev->api.vkFreeMemory(dev->handle, dev->staging_memory, NULL);
}

enum transfer {
    TO_DEVICE,
    FROM_DEVICE,
    ZEROS
};

/* One part, from or to the beginning of the staging buffer. */
static vqp_status transfer(struct vk_device *dev, enum transfer kind, const struct vk_slice *s, uint64_t off,
                           uint64_t n, struct vqp_error *err)
{
    const struct vk_api *api = &dev->api;
    static const char *const what[] = {"sending data to the device", "fetching data from the device",
                                       "clearing memory of the device"};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkResult r = api->vkBeginCommandBuffer(dev->copy, &begin);
    if (r != VK_SUCCESS)
        return vk_failed("vkBeginCommandBuffer", r, what[kind], err);
    VkMemoryBarrier before = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                              .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    api->vkCmdPipelineBarrier(dev->copy, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                              VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    if (kind == TO_DEVICE) {
        api->vkCmdCopyBuffer(dev->copy, dev->staging, s->buffer, 1, &(VkBufferCopy){0, s->offset + off, n});
    } else if (kind == ZEROS) {
        api->vkCmdFillBuffer(dev->copy, s->buffer, s->offset + off, n, 0);
    } else {
        VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                 .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                 .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
        api->vkCmdCopyBuffer(dev->copy, s->buffer, dev->staging, 1, &(VkBufferCopy){s->offset + off, 0, n});
        api->vkCmdPipelineBarrier(dev->copy, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after,
                                  0, NULL, 0, NULL);
    }
    r = api->vkEndCommandBuffer(dev->copy);
    if (r != VK_SUCCESS)
        return vk_failed("vkEndCommandBuffer", r, what[kind], err);
    vqp_status st = vk_submit(dev, dev->copy, what[kind], err);
    return st ? st : vk_wait(dev, dev->submitted, 0, what[kind], err);
}

vqp_status vk_memory_zero(struct vk_device *dev, const struct vk_slice *s, struct vqp_error *err)
{
    vk_drain(dev);
    return transfer(dev, ZEROS, s, 0, s->bytes, err);
}

vqp_status vk_memory_fill(struct vk_device *dev, const struct vk_slice *s, uint64_t bytes, vk_fill fill, void *ctx,
                          struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    vk_drain(dev);
    for (uint64_t off = 0, n; off < bytes && !st; off += n) {
        n = bytes - off < STAGING ? bytes - off : STAGING;
        fill(ctx, dev->staging_data, off, n);
        st = transfer(dev, TO_DEVICE, s, off, n, err);
    }
    return st;
}

vqp_status vk_memory_upload(struct vk_device *dev, const struct vk_slice *s, uint64_t off, const void *src, uint64_t n,
                            struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    vk_drain(dev);
    for (uint64_t done = 0, part; done < n && !st; done += part) {
        part = n - done < STAGING ? n - done : STAGING;
        memcpy(dev->staging_data, (const char *)src + done, part);
        st = transfer(dev, TO_DEVICE, s, off + done, part, err);
    }
    return st;
}

vqp_status vk_memory_download(struct vk_device *dev, const struct vk_slice *s, uint64_t off, void *dst, uint64_t n,
                              struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    vk_drain(dev);
    for (uint64_t done = 0, part; done < n && !st; done += part) {
        part = n - done < STAGING ? n - done : STAGING;
        if (!(st = transfer(dev, FROM_DEVICE, s, off + done, part, err)))
            memcpy((char *)dst + done, dev->staging_data, part);
    }
    return st;
}
