/* Runs the tests of a kernel on the device the first time that it is about to be used there. That it passed is kept with the compiled
 * pipelines, under a hash of the kernel, its tests and what the device can do, in a file for this device and driver; that it did not
 * is found out again every time. */
#include "selftest.h"
#include <math.h>
#include <stdlib.h>

enum {
    VERSION = 1, /* of the tests, where they say something new about the same kernel */
    OUT = VQP_OP_MAX_IN + 1,
    N_VALS,
    UNKNOWN = 0,
    RIGHT,
    WRONG
};

static uint32_t number_of_kernels(void)
{
    uint32_t n = 0;
    while (vk_kernels[n])
        n++;
    return n;
}

/* ---- one test ---- */

struct trial { /* a program of one op, and what it works on */
    struct vqp_val_info vals[N_VALS];
    struct vqp_op op;
    uint32_t stored[N_VALS];
    struct vqp_buffer buffers[N_VALS];
    void *data[N_VALS]; /* as uploaded */
    double *values[N_VALS];
    uint64_t count[N_VALS];
};

/* Multiples of 1/64 in -1 .. 1: float16 has them all. */
static double number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)((int32_t)(*state >> 24) % 129 - 64) / 64;
}

static void store(void *to, uint32_t dtype, uint64_t i, double v)
{
    float f = (float)v;
    uint16_t h = vk_to_f16(f);
    if (dtype == VQP_F16)
        memcpy((uint16_t *)to + i, &h, sizeof h);
    else
        memcpy((float *)to + i, &f, sizeof f);
}

static double fetch(const void *from, uint32_t dtype, uint64_t i)
{
    return dtype == VQP_F16 ? (double)vk_from_f16(((const uint16_t *)from)[i]) : (double)((const float *)from)[i];
}

static int is_weight(const struct vqp_op *op, uint32_t k)
{
    return op->kind == VQP_OP_LINEAR || op->kind == VQP_OP_CONV2D ? k == 1 || k == 2 || k == 5
                                                                  : k > 0 && op->kind != VQP_OP_SDPA && k < 3;
}

/* Fills one value of the program; 0 where memory ran out. */
static int fill(struct trial *t, uint32_t v, const struct vk_test_value *like, uint32_t role, int half, uint32_t *seed)
{
    struct vqp_val_info *val = &t->vals[v];
    *val = (struct vqp_val_info){.dtype = VQP_F32, .role = role, .shape = {.rank = like->rank}, .root = v};
    t->count[v] = 1;
    for (uint32_t k = 0; k < like->rank; k++) {
        val->shape.dim[k] = like->dim[k];
        t->count[v] *= (uint64_t)like->dim[k];
    }
    val->bytes = 4 * t->count[v];
    t->stored[v] = half ? VQP_F16 : VQP_F32;
    t->data[v] = calloc(t->count[v], 4);
    t->values[v] = calloc(t->count[v], sizeof(double));
    for (uint64_t i = 0; t->data[v] && t->values[v] && role != VQP_VAL_OUTPUT && i < t->count[v]; i++) {
        t->values[v][i] = number(seed);
        store(t->data[v], t->stored[v], i, t->values[v][i]);
    }
    val->data = role == VQP_VAL_CONSTANT ? t->data[v] : NULL;
    return t->data[v] && t->values[v];
}

static vqp_status set_up(struct trial *t, struct vk_test *test, struct vqp_error *err)
{
    uint32_t seed = 1, complete = 1;
    t->op = test->op;
    for (uint32_t k = 0; k < sizeof test->in / sizeof *test->in && complete; k++)
        if (test->in[k].rank) {
            uint32_t role = is_weight(&test->op, k) ? VQP_VAL_CONSTANT : VQP_VAL_INPUT;
            complete = (uint32_t)fill(t, k + 1, &test->in[k], role, (test->half >> k & 1) != 0, &seed);
            t->op.in[k] = k + 1;
            test->in[k].data = t->values[k + 1];
        }
    if (complete && test->in[5].rank) { /* the weight, int8 by its scale */
        t->vals[2].dtype = t->stored[2] = VQP_Q8_0;
        t->vals[2].bytes = t->count[2];
        for (uint64_t n = 0; n < t->count[2]; n++) {
            double entry = 64 * t->values[2][n];
            ((int8_t *)t->data[2])[n] = (int8_t)entry;
            t->values[2][n] = entry * t->values[6][n / 32];
        }
    }
    complete = complete && fill(t, OUT, &test->out, VQP_VAL_OUTPUT, test->half_out != 0, &seed);
    t->op.out[0] = OUT;
    return complete ? VQP_OK
                    : vqp_fail(err, VQP_E_NOMEM, "vulkan: no host memory for the self-test of %s", test->kernel->name);
}

static int is_right(const struct trial *t, const struct vk_test *test)
{
    const double *want = t->values[OUT];
    double squares = 0;
    for (uint64_t i = 0; i < t->count[OUT]; i++)
        squares += want[i] * want[i];
    double rms = sqrt(squares / (double)t->count[OUT]);
    for (uint64_t i = 0; i < t->count[OUT]; i++)
        if (!(fabs(fetch(t->data[OUT], t->stored[OUT], i) - want[i]) <=
              test->allowed * fmax(rms, fabs(want[i])))) /* NaN too */
            return 0;
    return 1;
}

static vqp_status try(struct vk_device *dev, const struct vk_test *of, int *right, struct vqp_error *err)
{
    static const char *const scope = "self-test";
    struct vk_test test = *of;
    struct trial t = {0};
    struct vqp_binding bind[N_VALS];
    uint32_t n = 0;
    vqp_exec *exec = NULL;
    struct vqp_program_view p = {sizeof p, N_VALS, 1, 0, test.kernel->name, t.vals, &t.op, &scope, 0};
    vqp_status st = set_up(&t, &test, err);
    for (uint32_t v = 1; v < N_VALS && !st; v++)
        if (t.vals[v].root && t.vals[v].role != VQP_VAL_CONSTANT) {
            t.buffers[v].bytes = t.vals[v].bytes;
            st = vk_memory_take(dev, t.vals[v].bytes, "a self-test", &t.buffers[v].slice, err);
            bind[n++] = (struct vqp_binding){.val = v, .buffer = &t.buffers[v]};
            if (!st)
                st = vk_memory_upload(dev, &t.buffers[v].slice, 0, t.data[v], t.vals[v].bytes, err);
        }
    if (!st)
        st = vk_compile_for(dev, &p, bind, n, test.kernel, t.stored, &exec, err);
    if (!st)
        st = vk_run(dev, exec, 1, err);
    if (!st)
        st = vk_memory_download(dev, &t.buffers[OUT].slice, 0, t.data[OUT], t.vals[OUT].bytes, err);
    if (!st) {
        vk_define(&test, t.values[OUT]);
        *right = is_right(&t, &test);
    }
    vk_exec_destroy(dev, exec);
    for (uint32_t v = 0; v < N_VALS; v++) {
        vk_memory_give(dev, &t.buffers[v].slice);
        free(t.data[v]);
        free(t.values[v]);
    }
    return st;
}

/* ---- what is known ---- */

static void hash(const struct vk_device *dev, const struct vk_kernel *kernel, uint8_t out[32])
{
    struct {
        uint32_t version;
        struct vk_caps caps;
        uint8_t kernel[32];
    } all;
    memset(&all, 0, sizeof all);
    all.version = VERSION;
    all.caps = dev->adapter.caps;
    vk_sha256(kernel->words, kernel->bytes, all.kernel);
    vk_sha256(&all, sizeof all, out);
}

static vqp_status examine(struct vk_device *dev, const struct vk_kernel *kernel, uint8_t *verdict,
                          struct vqp_error *err)
{
    uint8_t is[32];
    int right = 1, tests = 0;
    hash(dev, kernel, is);
    for (uint32_t i = 0; i < dev->n_passed; i++)
        if (!memcmp(dev->passed[i], is, sizeof is)) {
            *verdict = RIGHT;
            return VQP_OK;
        }
    for (const struct vk_test *t = vk_tests; t->kernel && right; t++)
        if (t->kernel == kernel) {
            vqp_status st = try(dev, t, &right, err);
            if (st == VQP_E_UNSUPPORTED) /* not on this device */
                right = 0;
            else if (st)
                return st;
            tests++;
        }
    *verdict = right ? RIGHT : WRONG;
    if (!right) {
        char msg[600];
        snprintf(msg, sizeof msg, "vulkan: the kernel %s gives wrong results on %.200s (%.190s) and is not used",
                 kernel->name, dev->adapter.name, dev->adapter.driver);
        dev->host->log(dev->host, VQP_LOG_WARN, msg);
    }
    void *more = right && tests ? reallocarray(dev->passed, dev->n_passed + 1u, sizeof *dev->passed) : NULL;
    if (more) {
        dev->passed = more;
        memcpy(dev->passed[dev->n_passed++], is, sizeof is);
        dev->cache_grew = 1;
    }
    return VQP_OK;
}

vqp_status vk_selftest(struct vk_device *dev, const struct vk_kernel *kernel, int *right, struct vqp_error *err)
{
    uint32_t i = 0, n = number_of_kernels();
    if (!dev->verdicts && !(dev->verdicts = calloc(n + 1u, 1)))
        return vqp_fail(err, VQP_E_NOMEM, "vulkan: out of host memory");
    while (i < n && vk_kernels[i] != kernel)
        i++;
    vqp_status st = dev->verdicts[i] == UNKNOWN ? examine(dev, kernel, &dev->verdicts[i], err) : VQP_OK;
    *right = dev->verdicts[i] == RIGHT;
    return st;
}

void vk_selftest_close(struct vk_device *dev)
{
    free(dev->verdicts);
    free(dev->passed);
}
