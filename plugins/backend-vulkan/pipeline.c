#include "vulkan.h"
#include <stdlib.h>

struct vk_pipeline {
    struct vk_pipeline *next;
    const struct vk_kernel *kernel;
    uint32_t layout, subgroup_size, n_spec, spec[VK_MAX_SPEC];
    VkPipeline handle;
};

vqp_status vk_pipelines_open(struct vk_device *dev, struct vqp_error *err)
{
    struct vk_cache kept = {0};
    if (dev->cache_on_disk)
        vk_cache_load(&dev->adapter, &kept);
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = kept.bytes,
                                      .pInitialData = kept.pipelines};
    VkResult r = VK_CREATE(dev, vkCreatePipelineCache, &info, &dev->cache);
    dev->passed = kept.passed;
    dev->n_passed = kept.n_passed;
    kept.passed = NULL;
    vk_cache_free(&kept);
    return r == VK_SUCCESS ? VQP_OK : vk_failed("vkCreatePipelineCache", r, "starting", err);
}

static void keep_cache(struct vk_device *dev)
{
    struct vk_cache c = {.n_passed = dev->n_passed, .passed = dev->passed};
    if (dev->cache_on_disk && dev->cache_grew &&
        dev->api.vkGetPipelineCacheData(dev->handle, dev->cache, &c.bytes, NULL) == VK_SUCCESS &&
        (c.pipelines = malloc(c.bytes)) &&
        dev->api.vkGetPipelineCacheData(dev->handle, dev->cache, &c.bytes, c.pipelines) == VK_SUCCESS)
        vk_cache_store(&dev->adapter, &c);
    free(c.pipelines);
}

void vk_pipelines_close(struct vk_device *dev)
{
    if (dev->cache)
        keep_cache(dev);
    for (struct vk_pipeline *p = dev->pipelines, *next; p; p = next) {
        next = p->next;
        dev->api.vkDestroyPipeline(dev->handle, p->handle, NULL);
        free(p);
    }
    dev->api.vkDestroyPipelineCache(dev->handle, dev->cache, NULL);
    for (int i = 0; i < VK_LAYOUTS; i++) {
        dev->api.vkDestroyPipelineLayout(dev->handle, dev->layout[i], NULL);
        dev->api.vkDestroyDescriptorSetLayout(dev->handle, dev->set_layout[i], NULL);
    }
}

/* n buffers and room for the most constants that may be pushed. */
static vqp_status create_layout(struct vk_device *dev, const struct vk_dispatch *d, struct vqp_error *err)
{
    uint32_t n = d->n, at = vk_layout_of(d);
    VkDescriptorSetLayoutBinding binding[VK_MAX_BINDINGS] = {0};
    for (uint32_t i = 0; i < n; i++)
        binding[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                    .descriptorType = d->texels && i + 1 < n
                                                                          ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                                          : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                    .descriptorCount = 1,
                                                    .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = n, .pBindings = binding};
    VkResult r =
        dev->set_layout[at] ? VK_SUCCESS : VK_CREATE(dev, vkCreateDescriptorSetLayout, &set, &dev->set_layout[at]);
    if (r != VK_SUCCESS)
        return vk_failed("vkCreateDescriptorSetLayout", r, d->kernel->name, err);
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, VK_MAX_PUSH};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &dev->set_layout[at],
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    r = VK_CREATE(dev, vkCreatePipelineLayout, &layout, &dev->layout[at]);
    return r == VK_SUCCESS ? VQP_OK : vk_failed("vkCreatePipelineLayout", r, d->kernel->name, err);
}

static vqp_status create(struct vk_device *dev, struct vk_pipeline *p, struct vqp_error *err)
{
    VkSpecializationMapEntry entry[VK_MAX_SPEC];
    for (uint32_t i = 0; i < p->n_spec; i++)
        entry[i] = (VkSpecializationMapEntry){i, i * (uint32_t)sizeof *p->spec, sizeof *p->spec};
    VkSpecializationInfo spec = {p->n_spec, entry, p->n_spec * sizeof *p->spec, p->spec};
    VkShaderModuleCreateInfo module = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = p->kernel->bytes, .pCode = p->kernel->words};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = p->subgroup_size};
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .pName = "main",
                                                  .pSpecializationInfo = &spec},
                                        .layout = dev->layout[p->layout]};
    if (p->subgroup_size) {
        info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
        info.stage.pNext = &size;
    }
    VkResult r = VK_CREATE(dev, vkCreateShaderModule, &module, &info.stage.module);
    if (r != VK_SUCCESS)
        return vk_failed("vkCreateShaderModule", r, p->kernel->name, err);
    r = dev->api.vkCreateComputePipelines(dev->handle, dev->cache, 1, &info, NULL, &p->handle);
    dev->api.vkDestroyShaderModule(dev->handle, info.stage.module, NULL);
    return r == VK_SUCCESS ? VQP_OK : vk_failed("vkCreateComputePipelines", r, p->kernel->name, err);
}

vqp_status vk_pipeline_obtain(struct vk_device *dev, const struct vk_dispatch *d, VkPipeline *out,
                              struct vqp_error *err)
{
    struct vk_pipeline *p = dev->pipelines;
    while (p && (p->kernel != d->kernel || p->layout != vk_layout_of(d) || p->subgroup_size != d->subgroup_size ||
                 p->n_spec != d->n_spec || memcmp(p->spec, d->spec, d->n_spec * sizeof *d->spec)))
        p = p->next;
    if (!p) {
        vqp_status st = dev->layout[vk_layout_of(d)] ? VQP_OK : create_layout(dev, d, err);
        if (!st && !(p = calloc(1, sizeof *p)))
            st = vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
        if (st)
            return st;
        *p = (struct vk_pipeline){
            .kernel = d->kernel, .layout = vk_layout_of(d), .subgroup_size = d->subgroup_size, .n_spec = d->n_spec};
        memcpy(p->spec, d->spec, d->n_spec * sizeof *d->spec);
        if ((st = create(dev, p, err))) {
            free(p);
            return st;
        }
        p->next = dev->pipelines;
        dev->pipelines = p;
        dev->cache_grew = 1;
    }
    *out = p->handle;
    return VQP_OK;
}
