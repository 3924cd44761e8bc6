/* A program on the device: command buffers recorded once and replayed. It is recorded twice, so that one run can wait in the queue
 * behind another, and each recording is cut into parts that should take no longer than a tenth of a second: drivers stop what takes
 * long, and between parts cancelling is noticed. */
#include "vulkan.h"
#include <stdlib.h>

enum {
    LANES = 2, /* recordings */
};

struct vk_exec {
    struct vk_plan plan;
    struct vk_slice *bound; /* by value; the memory belongs to the buffers */
    struct vk_slice scratch;
    VkDescriptorPool sets_pool;
    VkDescriptorSet *sets; /* one a node */
    VkBufferView *views;   /* of texel buffers, in the order of nodes and bindings */
    uint32_t n_views;
    uint32_t n_parts, n_ops;
    VkCommandBuffer *commands; /* lane-major: lane * n_parts + part */
    VkCommandPool pool;
    VkQueryPool queries[LANES]; /* the time before the first op and after each */
    uint64_t *times, *ns;       /* what was read from one; what profile() gives */
};

static vqp_status no_memory(const struct vk_exec *x)
{
    return vqp_fail(x->plan.err, VQP_E_NOMEM, "vulkan: no host memory to compile the program %s", x->plan.p->name);
}

/* ---- storage ---- */

static vqp_status bind(struct vk_exec *x, const struct vqp_binding *b, uint32_t n)
{
    const struct vqp_program_view *p = x->plan.p;
    for (uint32_t i = 0; i < n; i++) {
        vqp_val v = b[i].val;
        if (v == 0 || v >= p->n_vals || !b[i].buffer || b[i].buffer->bytes < p->vals[v].bytes)
            return vqp_fail(x->plan.err, VQP_E_INTERNAL,
                            "vulkan: %s: binding %u has no such value, no buffer, or one that is too small", p->name,
                            i);
        x->bound[v] = b[i].buffer->slice;
        x->bound[v].bytes = (p->vals[v].bytes + 15) / 16 * 16;
    }
    for (uint32_t v = 1; v < p->n_vals; v++)
        x->bound[v] = x->bound[p->vals[v].root];
    return VQP_OK;
}

static vqp_status prepare(struct vk_exec *x, struct vk_device *dev, const struct vqp_binding *b, uint32_t n,
                          const uint32_t *stored)
{
    const struct vqp_program_view *p = x->plan.p;
    struct vqp_error *err = x->plan.err;
    x->n_ops = p->n_ops;
    x->bound = calloc(p->n_vals + 1u, sizeof *x->bound);
    x->plan.stored = calloc(p->n_vals + 1u, sizeof *x->plan.stored);
    x->ns = calloc(p->n_ops + 1u, sizeof *x->ns);
    x->times = calloc(p->n_ops + 1u, sizeof *x->times);
    if (!x->bound || !x->plan.stored || !x->ns || !x->times)
        return no_memory(x);
    x->plan.bound = x->bound;
    if (stored)
        memcpy(x->plan.stored, stored, p->n_vals * sizeof *stored);
    else
        vk_choose_storage(&x->plan);
    vqp_status st = x->plan.status ? x->plan.status : bind(x, b, n);
    if (!st)
        st = vk_memory_take(dev, p->arena_bytes, "memory for what a program works on", &x->plan.arena, err);
    if (!st)
        st = vk_plan_make(&x->plan);
    if (!st && x->plan.scratch_bytes)
        st = vk_memory_take(dev, x->plan.scratch_bytes, "scratch memory of a program", &x->scratch, err);
    for (uint32_t i = 0; i < x->plan.n_nodes && !st; i++)
        for (uint32_t k = 0; k < x->plan.nodes[i].d.n; k++) {
            struct vk_slice *s = &x->plan.nodes[i].at[k].slice;
            if (x->plan.nodes[i].at[k].scratch) {
                s->buffer = x->scratch.buffer;
                s->offset += x->scratch.offset;
            }
        }
    return st;
}

/* ---- descriptors ---- */

static vqp_status make_views(struct vk_exec *x, struct vk_device *dev, const struct vk_node *node)
{
    for (uint32_t k = 0; node->d.texels && k + 1 < node->d.n; k++) {
        uint32_t dtype = node->d.texel_dtype[k];
        VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                       .buffer = node->at[k].slice.buffer,
                                       .offset = node->at[k].slice.offset,
                                       .range = node->at[k].slice.bytes,
                                       .format = dtype == VQP_F16    ? VK_FORMAT_R16G16B16A16_SFLOAT
                                                 : dtype == VQP_Q8_0 ? VK_FORMAT_R8G8B8A8_SINT
                                                 : dtype == VQP_I32  ? VK_FORMAT_R32G32B32A32_SINT
                                                                     : VK_FORMAT_R32G32B32A32_SFLOAT};
        VkResult r = VK_CREATE(dev, vkCreateBufferView, &info, &x->views[x->n_views]);
        if (r != VK_SUCCESS)
            return vk_failed("vkCreateBufferView", r, x->plan.p->name, x->plan.err);
        x->n_views++;
    }
    return VQP_OK;
}

static vqp_status make_sets(struct vk_exec *x, struct vk_device *dev)
{
    const struct vk_plan *plan = &x->plan;
    uint32_t n = plan->n_nodes, buffers = 0, texels = 0;
    if (!n)
        return VQP_OK;
    VkDescriptorSetLayout *layouts = calloc(n, sizeof(VkDescriptorSetLayout));
    x->sets = calloc(n, sizeof(VkDescriptorSet));
    if (!layouts || !x->sets) {
        free(layouts);
        return no_memory(x);
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct vk_dispatch *d = &plan->nodes[i].d;
        layouts[i] = dev->set_layout[vk_layout_of(d)];
        texels += d->texels ? d->n - 1 : 0;
        buffers += d->texels ? 1 : d->n;
    }
    VkDescriptorPoolSize size[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers},
                                   {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, texels}};
    VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = n,
                                       .poolSizeCount = texels ? 2 : 1,
                                       .pPoolSizes = size};
    const char *call = "vkCreateDescriptorPool";
    VkResult r = VK_CREATE(dev, vkCreateDescriptorPool, &pool, &x->sets_pool);
    if (r == VK_SUCCESS) {
        VkDescriptorSetAllocateInfo sets = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = x->sets_pool,
                                            .descriptorSetCount = n,
                                            .pSetLayouts = layouts};
        call = "vkAllocateDescriptorSets";
        r = dev->api.vkAllocateDescriptorSets(dev->handle, &sets, x->sets);
    }
    free(layouts);
    if (r != VK_SUCCESS)
        return vk_failed(call, r, plan->p->name, plan->err);
    x->views = calloc((size_t)texels + 1, sizeof(VkBufferView));
    if (!x->views)
        return no_memory(x);
    for (uint32_t i = 0; i < n; i++) {
        const struct vk_node *node = &plan->nodes[i];
        uint32_t viewed = node->d.texels ? node->d.n - 1 : 0;
        VkDescriptorBufferInfo at[VK_MAX_BINDINGS];
        VkWriteDescriptorSet write[] = {{.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                         .dstSet = x->sets[i],
                                         .dstBinding = viewed,
                                         .descriptorCount = node->d.n - viewed,
                                         .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                         .pBufferInfo = at + viewed},
                                        {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                         .dstSet = x->sets[i],
                                         .descriptorCount = viewed,
                                         .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
                                         .pTexelBufferView = x->views + x->n_views}};
        vqp_status st = make_views(x, dev, node);
        if (st)
            return st;
        for (uint32_t k = 0; k < node->d.n; k++)
            at[k] =
                (VkDescriptorBufferInfo){node->at[k].slice.buffer, node->at[k].slice.offset, node->at[k].slice.bytes};
        dev->api.vkUpdateDescriptorSets(dev->handle, viewed ? 2 : 1, write, 0, NULL);
    }
    return VQP_OK;
}

/* ---- recording ---- */

/* How many multiply-adds, or bytes, a part may have: a tenth of a second on a slow device of the kind. */
static uint64_t part_work(const struct vk_device *dev)
{
    switch (dev->adapter.type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 100000000000u;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return 500000000u;
    default: return 10000000000u;
    }
}

static uint32_t count_parts(const struct vk_plan *plan, uint64_t most)
{
    uint32_t parts = 1;
    uint64_t work = 0;
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        if (work && work + plan->nodes[i].work > most) {
            parts++;
            work = 0;
        }
        work += plan->nodes[i].work;
    }
    return parts;
}

static void barrier(const struct vk_device *dev, VkCommandBuffer c, int first)
{
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                         .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | (first ? VK_ACCESS_TRANSFER_WRITE_BIT : 0u),
                         .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
    dev->api.vkCmdPipelineBarrier(c,
                                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | (first ? VK_PIPELINE_STAGE_TRANSFER_BIT : 0u),
                                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &b, 0, NULL, 0, NULL);
}

static void stamp(const struct vk_exec *x, const struct vk_device *dev, VkCommandBuffer c, uint32_t lane, uint32_t at)
{
    if (x->queries[lane])
        dev->api.vkCmdWriteTimestamp(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, x->queries[lane], at);
}

static void dispatch(const struct vk_exec *x, const struct vk_device *dev, VkCommandBuffer c, uint32_t i)
{
    const struct vk_node *node = &x->plan.nodes[i];
    const struct vk_dispatch *d = &node->d;
    VkPipelineLayout layout = dev->layout[vk_layout_of(d)];
    dev->api.vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, node->pipeline);
    dev->api.vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &x->sets[i], 0, NULL);
    if (d->push_bytes)
        dev->api.vkCmdPushConstants(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, d->push_bytes, d->push);
    dev->api.vkCmdDispatch(c, d->groups[0], d->groups[1] ? d->groups[1] : 1, d->groups[2] ? d->groups[2] : 1);
}

static vqp_status record_lane(struct vk_exec *x, struct vk_device *dev, uint32_t lane, uint64_t most)
{
    const struct vk_plan *plan = &x->plan;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    uint32_t i = 0, stamps = 0;
    for (uint32_t part = 0; part < x->n_parts; part++) {
        VkCommandBuffer c = x->commands[lane * x->n_parts + part];
        uint64_t work = 0;
        VkResult r = dev->api.vkBeginCommandBuffer(c, &begin);
        if (r != VK_SUCCESS)
            return vk_failed("vkBeginCommandBuffer", r, plan->p->name, plan->err);
        if (part == 0 && x->queries[lane]) {
            dev->api.vkCmdResetQueryPool(c, x->queries[lane], 0, x->n_ops + 1);
            stamp(x, dev, c, lane, stamps++);
        }
        barrier(dev, c, 1);
        for (uint32_t first = i; i < plan->n_nodes; i++) {
            if (work && work + plan->nodes[i].work > most)
                break;
            work += plan->nodes[i].work;
            for (; stamps && stamps <= plan->nodes[i].op; stamps++)
                stamp(x, dev, c, lane, stamps);
            if (plan->nodes[i].barrier && i > first)
                barrier(dev, c, 0);
            dispatch(x, dev, c, i);
        }
        for (; stamps && part + 1 == x->n_parts && stamps <= x->n_ops; stamps++)
            stamp(x, dev, c, lane, stamps);
        if ((r = dev->api.vkEndCommandBuffer(c)) != VK_SUCCESS)
            return vk_failed("vkEndCommandBuffer", r, plan->p->name, plan->err);
    }
    return VQP_OK;
}

static vqp_status record(struct vk_exec *x, struct vk_device *dev)
{
    uint64_t most = part_work(dev);
    x->n_parts = count_parts(&x->plan, most);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = dev->adapter.queue_family};
    VkQueryPoolCreateInfo queries = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                     .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                     .queryCount = x->n_ops + 1};
    if (!(x->commands = calloc((size_t)LANES * x->n_parts, sizeof(VkCommandBuffer))))
        return no_memory(x);
    const char *call = "vkCreateCommandPool";
    VkResult r = VK_CREATE(dev, vkCreateCommandPool, &pool, &x->pool);
    if (r == VK_SUCCESS) {
        VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = x->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = LANES * x->n_parts};
        call = "vkAllocateCommandBuffers";
        r = dev->api.vkAllocateCommandBuffers(dev->handle, &info, x->commands);
    }
    vqp_status st = VQP_OK;
    for (uint32_t lane = 0; lane < LANES && r == VK_SUCCESS && !st; lane++) {
        if (dev->timestamps) {
            call = "vkCreateQueryPool";
            r = VK_CREATE(dev, vkCreateQueryPool, &queries, &x->queries[lane]);
        }
        if (r == VK_SUCCESS)
            st = record_lane(x, dev, lane, most);
    }
    return r == VK_SUCCESS ? st : vk_failed(call, r, x->plan.p->name, x->plan.err);
}

/* ---- the functions of the backend ---- */

void vk_exec_destroy(void *self, vqp_exec *exec)
{
    struct vk_device *dev = self;
    struct vk_exec *x = (struct vk_exec *)exec;
    if (!x)
        return;
    vk_drain(dev);
    for (uint32_t lane = 0; lane < LANES; lane++)
        dev->api.vkDestroyQueryPool(dev->handle, x->queries[lane], NULL);
    dev->api.vkDestroyCommandPool(dev->handle, x->pool, NULL);
    dev->api.vkDestroyDescriptorPool(dev->handle, x->sets_pool, NULL);
    for (uint32_t i = 0; i < x->n_views; i++)
        dev->api.vkDestroyBufferView(dev->handle, x->views[i], NULL);
    for (uint32_t i = 0; i < x->plan.n_constants; i++)
        vk_memory_give(dev, &x->plan.uploaded[x->plan.constants[i].uploaded]);
    vk_memory_give(dev, &x->plan.arena);
    vk_memory_give(dev, &x->scratch);
    vk_plan_free(&x->plan);
    free(x->bound);
    free(x->sets);
    free(x->views);
    free(x->commands);
    free(x->times);
    free(x->ns);
    free(x);
}

vqp_status vk_compile_for(struct vk_device *dev, const struct vqp_program_view *p, const struct vqp_binding *b,
                          uint32_t n, const struct vk_kernel *only, const uint32_t *stored, vqp_exec **out,
                          struct vqp_error *err)
{
    struct vk_exec *x = calloc(1, sizeof *x);
    if (!x)
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: no host memory to compile the program %s", p->name);
    x->plan = (struct vk_plan){.dev = dev, .p = p, .err = err, .only = only};
    vqp_status st = prepare(x, dev, b, n, stored);
    if (!st)
        st = make_sets(x, dev);
    if (!st)
        st = record(x, dev);
    if (st) {
        vk_exec_destroy(dev, (vqp_exec *)x);
        return st;
    }
    x->plan.p = NULL; /* valid only during compile */
    x->plan.err = NULL;
    *out = (vqp_exec *)x;
    return VQP_OK;
}

vqp_status vk_compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                      vqp_exec **out, struct vqp_error *err)
{
    return vk_compile_for(self, p, b, n, NULL, NULL, out, err);
}

static vqp_status read_times(struct vk_exec *x, struct vk_device *dev, uint32_t lane, struct vqp_error *err)
{
    if (!x->queries[lane] || !x->n_ops)
        return VQP_OK;
    uint32_t bits = dev->adapter.timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    VkResult r = dev->api.vkGetQueryPoolResults(dev->handle, x->queries[lane], 0, x->n_ops + 1,
                                                (x->n_ops + 1) * sizeof *x->times, x->times, sizeof *x->times,
                                                VK_QUERY_RESULT_64_BIT);
    if (r < 0)
        return vk_failed("vkGetQueryPoolResults", r, "reading the time", err);
    for (uint32_t i = 0; i < x->n_ops && r == VK_SUCCESS; i++)
        x->ns[i] += (uint64_t)((double)((x->times[i + 1] - x->times[i]) & mask) * dev->adapter.timestamp_ns);
    return VQP_OK;
}

/* Two parts are in flight: one that works, and one that waits behind it. */
vqp_status vk_run(void *self, vqp_exec *exec, uint32_t times, struct vqp_error *err)
{
    struct vk_device *dev = self;
    struct vk_exec *x = (struct vk_exec *)exec;
    vqp_status st = VQP_OK;
    vk_drain(dev);
    memset(x->ns, 0, x->n_ops * sizeof *x->ns);
    uint64_t start = dev->submitted, n = (uint64_t)times * x->n_parts;
    for (uint64_t i = 0; i < n && !st; i++) {
        uint64_t lane = i / x->n_parts % LANES, part = i % x->n_parts;
        if (i >= 2)
            st = vk_wait(dev, start + i - 1, 1, "running", err);
        if (!st && part == 0 && i / x->n_parts >= LANES) { /* this lane's last run is over? then read its times */
            st = vk_wait(dev, start + i - (uint64_t)(LANES - 1) * x->n_parts, 1, "running", err);
            st = st ? st : read_times(x, dev, (uint32_t)lane, err);
        }
        if (!st && dev->host->cancelled(dev->host))
            st = vqp_fail(err, VQP_E_CANCELLED, "vulkan: cancelled");
        if (!st)
            st = vk_submit(dev, x->commands[lane * x->n_parts + part], "running", err);
    }
    if (!st)
        st = vk_wait(dev, dev->submitted, 1, "running", err);
    for (uint32_t t = times < LANES ? times : LANES; t > 0 && !st; t--)
        st = read_times(x, dev, (times - t) % LANES, err);
    if (st)
        vk_drain(dev);
    return st;
}

vqp_status vk_profile(void *self, vqp_exec *exec, uint64_t *ns, uint32_t cap, uint32_t *n)
{
    (void)self;
    struct vk_exec *x = (struct vk_exec *)exec;
    *n = cap < x->n_ops ? cap : x->n_ops;
    memcpy(ns, x->ns, *n * sizeof *ns);
    return VQP_OK;
}
