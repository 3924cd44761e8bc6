/* How fast this device could be: the rate of our best matrix product at a large shape, and the rate of a copy, both measured now. There is
 * no matrix library of a vendor to compare with. */
#include "vulkan.h"
#include <stdlib.h>
#include <time.h>

enum {
    RUNS = 4
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least nanoseconds of op `i` in one run of the program; every value with a role that is bound gets memory. */
static vqp_status measure(struct vk_device *dev, const struct vqp_program_view *p, uint32_t i, double *ns,
                          struct vqp_error *err)
{
    struct vqp_buffer buffers[8] = {{0}};
    struct vqp_binding bind[8];
    uint32_t n = 0;
    vqp_exec *exec = NULL;
    vqp_status st = VQP_OK;
    for (uint32_t v = 1; v < p->n_vals && !st; v++)
        if (p->vals[v].role != VQP_VAL_CONSTANT && p->vals[v].role != VQP_VAL_TEMP) {
            buffers[n].bytes = p->vals[v].bytes;
            bind[n] = (struct vqp_binding){.val = v, .buffer = &buffers[n]};
            st = vk_memory_take(dev, p->vals[v].bytes, "measuring", &buffers[n].slice, err);
            if (!st)
                st = vk_memory_zero(dev, &buffers[n].slice, err);
            n++;
        }
    if (!st)
        st = vk_compile(dev, p, bind, n, &exec, err);
    for (int run = 0; run <= RUNS && !st; run++) { /* the first one is on cold caches */
        uint64_t of[2] = {0};
        uint32_t ops = 0;
        double start = now();
        st = vk_run(dev, exec, 1, err);
        double took = 1e9 * (now() - start);
        if (!st && dev->timestamps && !vk_profile(dev, exec, of, 2, &ops) && ops > i && of[i])
            took = (double)of[i];
        if (run == 1 || (run > 1 && took < *ns))
            *ns = took;
    }
    vk_exec_destroy(dev, exec);
    for (uint32_t k = 0; k < n; k++)
        vk_memory_give(dev, &buffers[k].slice);
    return st;
}

static struct vqp_val_info value(uint32_t v, uint32_t role, int64_t rows, int64_t columns)
{
    return (struct vqp_val_info){.dtype = VQP_F32,
                                 .role = role,
                                 .shape = vqp_shape2(rows, columns),
                                 .bytes = 4 * (uint64_t)(rows * columns),
                                 .root = v};
}

/* x = layer_norm(input), which may be float16; result = x weight^T */
static vqp_status measure_product(struct vk_device *dev, double *flops_per_ns, struct vqp_error *err)
{
    static const char *const scope[] = {"measuring", "measuring"};
    int64_t m = dev->adapter.caps.is_cpu ? 128 : 4096, k = dev->adapter.caps.is_cpu ? 256 : 2048, n = m;
    struct vqp_val_info vals[] = {{0},
                                  value(1, VQP_VAL_INPUT, m, k),
                                  value(2, VQP_VAL_TEMP, m, k),
                                  value(3, VQP_VAL_CONSTANT, n, k),
                                  value(4, VQP_VAL_OUTPUT, m, n)};
    struct vqp_op ops[] = {{VQP_OP_LAYER_NORM, 0, {1}, {2}, .u.norm = {.eps = 1}},
                           {VQP_OP_LINEAR, 0, {2, 3}, {4}, {{0}}}};
    struct vqp_program_view p = {sizeof p, 5, 2, 0, "measuring", vals, ops, scope, vals[2].bytes};
    float *weight = calloc((size_t)(n * k), sizeof *weight);
    double ns = 0;
    if (!weight)
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: no host memory to measure with");
    for (int64_t i = 0; i < n * k; i++)
        weight[i] = (float)(i % 31 - 15) / 16;
    vals[3].data = weight;
    vqp_status st = measure(dev, &p, 1, &ns, err);
    free(weight);
    *flops_per_ns = ns > 0 ? 2 * (double)m * (double)n * (double)k / ns : 0;
    return st;
}

static vqp_status measure_copy(struct vk_device *dev, double *bytes_per_ns, struct vqp_error *err)
{
    static const char *const scope[] = {"measuring"};
    int64_t rows = dev->adapter.caps.is_cpu ? 1 << 10 : 1 << 15; /* beyond any cache of a GPU: 128 MB each way */
    struct vqp_val_info vals[] = {{0}, value(1, VQP_VAL_STATE, rows, 1 << 10), value(2, VQP_VAL_INPUT, rows, 1 << 10)};
    struct vqp_op op = {VQP_OP_STORE, 0, {1, 2}, {0}, {{0}}};
    struct vqp_program_view p = {sizeof p, 3, 1, 0, "measuring", vals, &op, scope, 0};
    double ns = 0;
    vqp_status st = measure(dev, &p, 0, &ns, err);
    *bytes_per_ns = ns > 0 ? 2 * (double)vals[1].bytes / ns : 0;
    return st;
}

static double multiply_adds(const struct vqp_program_view *p, const struct vqp_op *op)
{
    const struct vqp_val_info *a = &p->vals[op->in[0]], *b = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    double n = (double)out->bytes / 4;
    switch (op->kind) {
    case VQP_OP_LINEAR: return n * (double)b->shape.dim[1];
    case VQP_OP_CONV2D: return n * (double)(b->shape.dim[1] * b->shape.dim[2] * b->shape.dim[3]);
    case VQP_OP_SDPA: /* n * keys, twice; causal: half of them */
        return n * (double)(op->u.sdpa.causal ? a->shape.dim[1] + 1 : 2 * b->shape.dim[1]);
    default: return 0;
    }
}

/* Every operand and result once; weights of products in the precision. */
static double bytes(const struct vk_device *dev, const struct vqp_program_view *p, const struct vqp_op *op)
{
    double sum = (double)p->vals[op->out[0]].bytes;
    for (uint32_t k = 0; k < VQP_OP_MAX_IN; k++) {
        const struct vqp_val_info *val = &p->vals[op->in[k]];
        int matrix = k == 1 && op->kind != VQP_OP_SDPA;
        if (op->in[k])
            sum += (double)vk_form_bytes(val, &(struct vk_form){.dtype = val->dtype == VQP_Q8_0 ? 0
                                                                         : matrix && dev->f16   ? VQP_F16
                                                                                                : VQP_F32});
    }
    return sum;
}

vqp_status vk_ceiling(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns, struct vqp_error *err)
{
    struct vk_device *dev = self;
    const struct vqp_op *op = &p->ops[i];
    double sums = multiply_adds(p, op);
    vqp_status st = VQP_OK;
    *ns = 0;
    if (sums <= 0)
        return VQP_OK;
    /* Core asks for all ops in each of some rounds, so that a busy machine shows: one measurement a round. */
    if (dev->flops_per_ns <= 0 || (dev->asked_first == p && dev->asked_op == i)) {
        dev->asked_first = p;
        dev->asked_op = i;
        st = measure_product(dev, &dev->flops_per_ns, err);
        if (!st)
            st = measure_copy(dev, &dev->bytes_per_ns, err);
    }
    if (st || dev->flops_per_ns <= 0 || dev->bytes_per_ns <= 0)
        return st;
    double product = 2 * sums / dev->flops_per_ns, copy = bytes(dev, p, op) / dev->bytes_per_ns;
    *ns = (uint64_t)(product > copy ? product : copy);
    return VQP_OK;
}
