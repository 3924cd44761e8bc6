#include "vulkan.h"
#include <stdlib.h>
#include <vqpipe/plugin.h>

/* ---- devices ---- */

static void describe(const struct vk_adapter *a, struct vqp_device_info *out)
{
    uint32_t size = out->struct_size;
    struct vqp_device_info info = {.struct_size = size,
                                   .index = a->index,
                                   .is_host = a->type == VK_PHYSICAL_DEVICE_TYPE_CPU,
                                   .usable = a->usable,
                                   .memory_bytes = a->memory_bytes,
                                   .max_buffer_bytes = a->max_range,
                                   .alignment = 1};
    snprintf(info.name, sizeof info.name, "%.127s", a->name);
    snprintf(info.driver, sizeof info.driver, "%.127s", a->driver);
    snprintf(info.uuid, sizeof info.uuid, "%s", a->uuid);
    snprintf(info.reason, sizeof info.reason, "%s", a->reason);
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
}

static void info(void *self, struct vqp_device_info *out)
{
    describe(&((struct vk_device *)self)->adapter, out);
}

static vqp_status devices(const struct vqp_host *host, struct vqp_device_info *out, uint32_t cap, uint32_t *n,
                          struct vqp_error *err)
{
    (void)host;
    struct vk_api api = {0};
    VkInstance instance = VK_NULL_HANDLE;
    struct vk_adapter *found = calloc(VK_MAX_ADAPTERS, sizeof *found);
    vqp_status st =
        found ? vk_api_open(&api, &instance, err) : vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
    if (!st)
        st = vk_adapters(&api, instance, found, n, err);
    for (uint32_t i = 0; !st && i < *n && i < cap; i++)
        describe(&found[i], &out[i]);
    if (instance)
        api.vkDestroyInstance(instance, NULL);
    free(found);
    return st;
}

/* ---- buffers ---- */

static vqp_status buffer_create(void *self, uint64_t bytes, vqp_buffer **out, struct vqp_error *err)
{
    struct vk_device *dev = self;
    struct vqp_buffer *b = calloc(1, sizeof *b);
    if (!b)
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
    b->bytes = bytes;
    vqp_status st = vk_memory_take(dev, bytes, "a buffer", &b->slice, err);
    if (!st && (st = vk_memory_zero(dev, &b->slice, err)))
        vk_memory_give(dev, &b->slice);
    if (st)
        free(b);
    else
        *out = b;
    return st;
}

static void buffer_destroy(void *self, vqp_buffer *b)
{
    if (!b)
        return;
    vk_drain(self);
    vk_memory_give(self, &b->slice);
    free(b);
}

static vqp_status check_range(const char *what, const vqp_buffer *b, uint64_t off, uint64_t n, struct vqp_error *err)
{
    if (off <= b->bytes && n <= b->bytes - off)
        return VQP_OK;
    return vqp_fail(err, VQP_E_INTERNAL, "vulkan: %s of %llu bytes at %llu, but the buffer has %llu bytes", what,
                    (unsigned long long)n, (unsigned long long)off, (unsigned long long)b->bytes);
}

static vqp_status upload(void *self, vqp_buffer *b, uint64_t off, const void *src, uint64_t n, struct vqp_error *err)
{
    vqp_status st = check_range("upload", b, off, n, err);
    return st ? st : vk_memory_upload(self, &b->slice, off, src, n, err);
}

static vqp_status download(void *self, vqp_buffer *b, uint64_t off, void *dst, uint64_t n, struct vqp_error *err)
{
    vqp_status st = check_range("download", b, off, n, err);
    return st ? st : vk_memory_download(self, &b->slice, off, dst, n, err);
}

/* ---- programs: program.c ---- */

static uint32_t activation(const struct vqp_op *op)
{
    switch (op->kind) {
    case VQP_OP_LINEAR: return op->u.linear.act;
    case VQP_OP_CONV2D: return op->u.conv.act;
    case VQP_OP_GROUP_NORM: return op->u.norm.act;
    default: return VQP_ACT_NONE;
    }
}

static int32_t supports(void *self, const struct vqp_program_view *p, uint32_t i)
{
    const struct vk_device *dev = self;
    const struct vqp_op *op = &p->ops[i];
    if (op->kind >= VQP_OP_PLAIN_END || !vk_ops[op->kind].emit || op->flags || activation(op) > VQP_ACT_SILU)
        return 0;
    for (int k = 0; k < VQP_OP_MAX_IN; k++)
        if (op->in[k] && (p->vals[op->in[k]].dtype < VQP_F32 || p->vals[op->in[k]].dtype > VQP_BF16) &&
            !(op->kind == VQP_OP_LINEAR && k == 1 && p->vals[op->in[k]].dtype == VQP_Q8_0))
            return 0;
    for (int k = 0; k < VQP_OP_MAX_IN + VQP_OP_MAX_OUT; k++) { /* kernels count in 32 bits */
        const struct vqp_val_info *val = &p->vals[k < VQP_OP_MAX_IN ? op->in[k] : op->out[k - VQP_OP_MAX_IN]];
        if (val->bytes > (uint64_t)INT32_MAX)
            return 0;
    }
    return !vk_ops[op->kind].supports || vk_ops[op->kind].supports(&dev->adapter.caps, p, i);
}

static void forget(void *self, const void *data)
{
    vk_weights_forget(self, data);
}

/* ---- the component ---- */

struct options {
    int32_t pipeline_cache, timestamps;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, pipeline_cache, .type = VQP_OPT_BOOL, .def = "true",
            .help = "keep compiled pipelines in $XDG_CACHE_HOME/vqpipe or ~/.cache/vqpipe"),
    VQP_OPT(struct options, timestamps, .type = VQP_OPT_BOOL, .def = "true",
            .help = "time every op on the device, for vqpipe bench"),
    {0},
};

static void destroy(void *self)
{
    struct vk_device *dev = self;
    if (!dev)
        return;
    if (dev->handle && dev->api.vkUpdateDescriptorSets) { /* the last of the table: all of it is there */
        vk_drain(dev);
        vk_weights_close(dev);
        vk_memory_close(dev);
        vk_pipelines_close(dev);
        vk_selftest_close(dev);
        vk_queue_close(dev);
    }
    if (dev->handle && dev->api.vkDestroyDevice)
        dev->api.vkDestroyDevice(dev->handle, NULL);
    if (dev->instance)
        dev->api.vkDestroyInstance(dev->instance, NULL);
    pthread_mutex_destroy(&dev->lock);
    free(dev);
}

static vqp_status open_device(struct vk_device *dev, const char *device, struct vqp_error *err)
{
    struct vk_adapter *found = calloc(VK_MAX_ADAPTERS, sizeof *found);
    uint32_t n = 0;
    const struct vk_adapter *a = NULL;
    vqp_status st =
        found ? vk_api_open(&dev->api, &dev->instance, err) : vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
    if (!st)
        st = vk_adapters(&dev->api, dev->instance, found, &n, err);
    if (!st && !(a = vk_adapter_choose(found, n, device, err)))
        st = VQP_E_DEVICE;
    if (a)
        dev->adapter = *a;
    free(found);
    if (!st)
        st = vk_adapter_create_device(&dev->api, &dev->adapter, &dev->handle, err);
    if (!st)
        st = vk_api_load_device(&dev->api, dev->handle, err);
    if (!st)
        st = vk_queue_open(dev, err);
    if (!st)
        st = vk_pipelines_open(dev, err);
    if (!st)
        st = vk_memory_open(dev, err);
    return st;
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *opts = args->opts;
    uint32_t f16 = args->precision && !strcmp(args->precision, "f16");
    if (args->precision && !f16 && strcmp(args->precision, "f32") != 0)
        return vqp_fail(err, VQP_E_ARG, "vulkan: precision %s: this backend has f32 and f16", args->precision);
    struct vk_device *dev = calloc(1, sizeof *dev);
    if (!dev || pthread_mutex_init(&dev->lock, NULL)) {
        free(dev);
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: no host memory to create the backend");
    }
    dev->host = args->host;
    dev->is_right = vk_selftest;
    dev->cache_on_disk = !opts || opts->pipeline_cache;
    vqp_status st = open_device(dev, args->device, err);
    if (st) {
        destroy(dev);
        return st;
    }
    dev->f16 = f16 && dev->adapter.caps.f16_pairs;
    if (f16 && !dev->f16)
        dev->host->log(dev->host, VQP_LOG_WARN,
                       "vulkan: VQPIPE_VK_DISABLE has f16: precision f16 is float32 throughout");
    dev->timestamps = (!opts || opts->timestamps) && dev->adapter.timestamp_bits;
    *self = dev;
    return VQP_OK;
}

static const struct vqp_backend_vtbl vtbl = {
    .struct_size = sizeof vtbl,
    .info = info,
    .supports = supports,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .compile = vk_compile,
    .run = vk_run,
    .exec_destroy = vk_exec_destroy,
    .profile = vk_profile,
    .devices = devices,
    .forget = forget,
    .ceiling = vk_ceiling,
};
static const struct vqp_component vulkan = {
    .struct_size = sizeof vulkan,
    .iface = VQP_IFACE_BACKEND,
    .name = "vulkan",
    .summary = "compute shaders on a GPU of any vendor, through Vulkan 1.2",
    .opts_size = sizeof(struct options),
    .opts = option_table,
    .create = create,
    .destroy = destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component *const components[] = {&vulkan, NULL};

VQP_PLUGIN(.id = "org.vqpipe.vulkan", .version = "0.1.0", .license = "MIT", .components = components);
