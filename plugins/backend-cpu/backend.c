#include "cpu.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#if defined(VQP_CPU_X86)
#include <cpuid.h>
#endif

/* ---- the processor ---- */

static int multiplies_bf16(void)
{
#if defined(VQP_CPU_X86)
    unsigned a, b, c, d;
    int amx = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1); /* AMX-BF16 */
    return amx || __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

/* Intel's AVX512_BF16 multiplies at half the rate of float32; there AMX is the fast way (measured: docs/benchmarks.md). */
static int bf16_is_slow(void)
{
#if defined(VQP_CPU_X86)
    unsigned a, b, c, d;
    return __builtin_cpu_is("intel") && !(__get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1));
#else
    return 0;
#endif
}

static const struct vqp_hb_class *best_class(void)
{
#if defined(VQP_CPU_X86)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return __builtin_cpu_supports("avx512bf16") ? &vqp_cpu_class_avx512_bf16 : &vqp_cpu_class_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &vqp_cpu_class_avx2;
#endif
    return &vqp_cpu_class_generic;
}

/* The model's name as the processor gives it. */
static void processor_name(char *out, size_t cap)
{
    snprintf(out, cap, "host processor");
#if defined(VQP_CPU_X86)
    unsigned r[12];
    int ok = 1;
    for (size_t i = 0; i < 3; i++)
        ok = ok && __get_cpuid(0x80000002u + (unsigned)i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    char name[sizeof r + 1] = {0};
    memcpy(name, r, sizeof r);
    char *first = name + strspn(name, " ");
    if (ok && *first)
        snprintf(out, cap, "%s", first);
#endif
}

static void describe(struct vqp_device_info *out)
{
    uint32_t size = out->struct_size;
    struct vqp_device_info full = {.struct_size = sizeof full};
    char version[32];
    vqp_hb_describe(best_class(), &full);
    processor_name(full.name, sizeof full.name);
    snprintf(full.driver, sizeof full.driver, "%s, %s, %d threads", vqp_cpu_onednn_version(version, sizeof version),
             best_class()->driver, omp_get_num_procs());
    full.struct_size = size;
    memcpy(out, &full, size < sizeof full ? size : sizeof full);
}

static void info(void *self, struct vqp_device_info *out)
{
    (void)self;
    describe(out);
}

static vqp_status devices(const struct vqp_host *host, struct vqp_device_info *out, uint32_t cap, uint32_t *n,
                          struct vqp_error *err)
{
    (void)host;
    (void)err;
    *n = 1;
    if (cap)
        describe(&out[0]);
    return VQP_OK;
}

/* ---- compiling and running ---- */

/* oneDNN reads OpenMP's setting, which belongs to the calling thread: ours inside, the caller's again afterwards. */
static int enter(void *self)
{
    int before = omp_get_max_threads();
    omp_set_num_threads((int)((struct vqp_cpu *)self)->threads);
    return before;
}

static vqp_status compile(void *self, const struct vqp_program_view *p, const struct vqp_binding *b, uint32_t n,
                          vqp_exec **out, struct vqp_error *err)
{
    int before = enter(self);
    vqp_status st = vqp_hb_compile(self, p, b, n, out, err);
    omp_set_num_threads(before);
    return st;
}

static vqp_status run(void *self, vqp_exec *x, uint32_t times, struct vqp_error *err)
{
    int before = enter(self);
    vqp_status st = vqp_hb_run(self, x, times, err);
    omp_set_num_threads(before);
    return st;
}

/* ---- precision bf16 ---- */

static int reads_bf16(const struct vqp_op *op, int operand)
{
    switch (op->kind) {
    case VQP_OP_LINEAR: return operand == 0 && !op->in[5]; /* q8_0: in float32 */
    case VQP_OP_CONV2D: return operand == 0;
    case VQP_OP_SDPA: return operand < 3;
    default: return 0;
    }
}

static int writes_bf16(const struct vqp_op *op)
{
    switch (op->kind) {
    case VQP_OP_LINEAR: return !op->in[5];
    case VQP_OP_LAYER_NORM:
    case VQP_OP_RMS_NORM:
    case VQP_OP_SDPA:
    case VQP_OP_GROUP_NORM: return 1;
    case VQP_OP_CONV2D: return op->in[3] == 0; /* its residual is summed in the destination */
    default: return 0;
    }
}

void vqp_cpu_storage(struct vqp_hb *self, const struct vqp_program_view *p, uint32_t *dtype)
{
    if (!vqp_cpu_of(self)->bf16)
        return;
    for (uint32_t v = 1; v < p->n_vals; v++)
        if (p->vals[v].root == v && p->vals[v].role == VQP_VAL_TEMP && dtype[v] == VQP_F32)
            dtype[v] = VQP_BF16;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const struct vqp_op *op = &p->ops[i];
        for (int k = 0; k < VQP_OP_MAX_IN; k++) {
            vqp_val v = op->in[k] ? p->vals[op->in[k]].root : 0;
            if (v && dtype[v] == VQP_BF16 && p->vals[v].role == VQP_VAL_TEMP && !reads_bf16(op, k))
                dtype[v] = VQP_F32;
        }
        for (int k = 0; k < VQP_OP_MAX_OUT; k++) {
            vqp_val v = op->out[k] ? p->vals[op->out[k]].root : 0;
            if (v && dtype[v] == VQP_BF16 && p->vals[v].role == VQP_VAL_TEMP && !writes_bf16(op))
                dtype[v] = VQP_F32;
        }
    }
}

/* ---- the component ---- */

enum {
    PRODUCTS_AUTO = 0,
    PRODUCTS_NATIVE,
    PRODUCTS_F32
};
struct options {
    int64_t threads;
    int32_t bf16_products;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, threads, .type = VQP_OPT_INT, .min = 0, .max = 1024, .def = "0",
            .help = "threads; 0: as many as processors"),
    VQP_OPT(struct options, bf16_products, .type = VQP_OPT_CHOICE, .def = "auto", .choices = "auto|native|f32",
            .help =
                "how precision bf16 multiplies: by the processor's bf16 instructions, or in f32; auto: the faster one"),
    {0},
};

static void destroy(void *self)
{
    struct vqp_cpu *cpu = self;
    if (!cpu)
        return;
    if (cpu->stream)
        dnnl_stream_destroy(cpu->stream);
    vqp_cpu_engine_destroy(cpu->engine);
    vqp_hb_destroy(&cpu->hb);
    omp_pause_resource_all(omp_pause_soft); /* ends this caller's threads; a later run makes new ones */
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *opts = args->opts;
    int bf16 = args->precision && strcmp(args->precision, "bf16") == 0;
    if (args->precision && !bf16 && strcmp(args->precision, "f32") != 0)
        return vqp_fail(err, VQP_E_ARG, "cpu: precision %s: this backend has f32 and bf16", args->precision);
    if (bf16 && !multiplies_bf16())
        return vqp_fail(err, VQP_E_DEVICE,
                        "cpu: precision bf16: this processor has neither AVX512_BF16 nor AMX; use precision f32");
    struct vqp_cpu *cpu = (struct vqp_cpu *)vqp_hb_create(best_class(), sizeof *cpu, args, err);
    if (!cpu)
        return err->code;
    int32_t products = opts ? opts->bf16_products : PRODUCTS_AUTO;
    cpu->bf16 = bf16 && products != PRODUCTS_F32 && !(products == PRODUCTS_AUTO && bf16_is_slow());
    if (bf16 && !cpu->bf16 && products == PRODUCTS_AUTO)
        args->host->log(args->host, VQP_LOG_INFO,
                        "cpu: precision bf16: this processor multiplies bf16 at half the rate of f32, so products are "
                        "computed in f32; bf16_products: native forces the other");
    cpu->threads = opts && opts->threads ? (uint32_t)opts->threads : (uint32_t)omp_get_num_procs();
    if (!(cpu->engine = vqp_cpu_engine_create()) ||
        dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_default_flags) != dnnl_success) {
        char version[32];
        destroy(cpu);
        return vqp_fail(err, VQP_E_DEVICE, "cpu: %s did not start; use backend reference",
                        vqp_cpu_onednn_version(version, sizeof version));
    }
    *self = cpu;
    return VQP_OK;
}

static const struct vqp_backend_vtbl vtbl = {
    .struct_size = sizeof vtbl,
    .info = info,
    .supports = vqp_hb_supports,
    .buffer_create = vqp_hb_buffer_create,
    .buffer_destroy = vqp_hb_buffer_destroy,
    .upload = vqp_hb_upload,
    .download = vqp_hb_download,
    .compile = compile,
    .run = run,
    .exec_destroy = vqp_hb_exec_destroy,
    .profile = vqp_hb_profile,
    .devices = devices,
    .forget = vqp_hb_forget,
    .ceiling = vqp_cpu_ceiling,
};
static const struct vqp_component cpu = {
    .struct_size = sizeof cpu,
    .iface = VQP_IFACE_BACKEND,
    .name = "cpu",
    .summary = "oneDNN and vectorised loops on the host processor",
    .opts_size = sizeof(struct options),
    .opts = option_table,
    .create = create,
    .destroy = destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component *const components[] = {&cpu, NULL};

VQP_PLUGIN(.id = "org.vqpipe.cpu", .version = "0.1.0", .license = "MIT", .components = components);
