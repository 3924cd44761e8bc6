/* How fast oneDNN alone makes the products of an op: the same shapes, its own choice of layout, no bias, no posts, memory of its own. */
#include "cpu.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS = 24,
    MOST_NS = 60000000 /* stop asking after that long, once there are some */
};

/* The memory of one product: operands that are no zeros, as some processors are faster on those. */
struct trial {
    struct vqp_cpu_product product;
    void *x, *weight, *out, *scratch;
};

static void *filled(uint64_t bytes, uint32_t dtype)
{
    void *p = vqp_hb_zeroed(bytes);
    for (uint64_t i = 0; p && i < bytes / (dtype == VQP_BF16 ? 2 : 4); i++) {
        float v = (float)((i * 2654435761u >> 7) % 1000) / 1000 - 0.5f;
        if (dtype == VQP_BF16)
            ((uint16_t *)p)[i] = vqp_cpu_bf16(v);
        else
            ((float *)p)[i] = v;
    }
    return p;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The median of several runs, in *ns. 0: no memory. */
static int measure(struct vqp_cpu *cpu, struct trial *t, uint64_t x_bytes, uint64_t weight_bytes, uint64_t out_bytes,
                   uint32_t dtype, uint64_t *ns)
{
    uint64_t times[ROUNDS], n = 0, begin = vqp_hb_now();
    t->x = filled(x_bytes, dtype);
    t->weight = filled(weight_bytes, dtype);
    t->out = vqp_hb_zeroed(out_bytes);
    t->scratch = vqp_hb_zeroed(t->product.scratch);
    if (!t->x || !t->weight || !t->out || !t->scratch)
        return 0;
    vqp_cpu_product_bind(&t->product, t->x, t->weight, t->out);
    vqp_cpu_product_run(&t->product, cpu->stream, t->scratch, 0);
    while (n < ROUNDS && (n < 3 || vqp_hb_now() - begin < MOST_NS)) {
        uint64_t start = vqp_hb_now();
        vqp_cpu_product_run(&t->product, cpu->stream, t->scratch, 0);
        times[n++] = vqp_hb_now() - start;
    }
    qsort(times, n, sizeof *times, compare);
    *ns = times[n / 2];
    return 1;
}

static int matmul_ns(struct vqp_cpu *cpu, int64_t batch, int64_t m, int64_t n, int64_t k, int weight_plain,
                     uint64_t *ns)
{
    uint32_t dtype = cpu->bf16 ? VQP_BF16 : VQP_F32;
    uint64_t size = cpu->bf16 ? 2 : 4;
    struct vqp_cpu_matmul d = {.batch = batch, .m = m, .n = n, .k = k, .weight_plain = weight_plain};
    struct vqp_cpu_form *form = NULL;
    struct trial t = {0};
    d.x_dtype = d.weight_dtype = dtype;
    d.out_dtype = VQP_F32;
    int ok = vqp_cpu_matmul_create(cpu->engine, &d, &t.product, &form) &&
             measure(cpu, &t, (uint64_t)(batch * m * k) * size, vqp_cpu_form_bytes(form),
                     (uint64_t)(batch * m * n) * sizeof(float), dtype, ns);
    vqp_cpu_product_destroy(&t.product);
    vqp_cpu_form_destroy(form);
    free(t.x);
    free(t.weight);
    free(t.out);
    free(t.scratch);
    return ok;
}

static int conv_ns(struct vqp_cpu *cpu, const struct vqp_program_view *p, const struct vqp_op *op, uint64_t *ns)
{
    const int64_t *x = p->vals[op->in[0]].shape.dim, *w = p->vals[op->in[1]].shape.dim;
    const int64_t *out = p->vals[op->out[0]].shape.dim;
    uint32_t dtype = cpu->bf16 ? VQP_BF16 : VQP_F32;
    uint64_t size = cpu->bf16 ? 2 : 4;
    struct vqp_cpu_form *form = NULL;
    struct trial t = {0};
    struct vqp_cpu_conv c = vqp_cpu_conv_of(op, x, w, out);
    c.x_dtype = c.weight_dtype = dtype;
    c.out_dtype = VQP_F32;
    int ok = vqp_cpu_conv_create(cpu->engine, &c, &t.product, &form) &&
             measure(cpu, &t, (uint64_t)(c.b * c.h * c.w * c.i * c.groups) * size, vqp_cpu_form_bytes(form),
                     (uint64_t)(c.b * c.oh * c.ow * c.o * c.groups) * sizeof(float), dtype, ns);
    vqp_cpu_product_destroy(&t.product);
    vqp_cpu_form_destroy(form);
    free(t.x);
    free(t.weight);
    free(t.out);
    free(t.scratch);
    return ok;
}

/* Both products as batches of one matrix a head; of the two layouts of the keys the faster one. */
static int sdpa_ns(struct vqp_cpu *cpu, const struct vqp_program_view *p, const struct vqp_op *op, uint64_t *ns)
{
    const int64_t *q = p->vals[op->in[0]].shape.dim, *k = p->vals[op->in[1]].shape.dim;
    int64_t heads = op->u.sdpa.heads, d = q[2] / heads;
    uint64_t scores, transposed, values;
    if (!matmul_ns(cpu, q[0] * heads, q[1], k[1], d, 0, &transposed) ||
        !matmul_ns(cpu, q[0] * heads, q[1], k[1], d, 1, &scores) ||
        !matmul_ns(cpu, q[0] * heads, q[1], d, k[1], 1, &values))
        return 0;
    *ns = (scores < transposed ? scores : transposed) + values;
    return 1;
}

vqp_status vqp_cpu_ceiling(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns,
                           struct vqp_error *err)
{
    struct vqp_cpu *cpu = self;
    const struct vqp_op *op = &p->ops[i];
    int before = omp_get_max_threads(), ok = 1;
    omp_set_num_threads((int)cpu->threads);
    *ns = 0;
    if (op->kind == VQP_OP_LINEAR) {
        const struct vqp_val_info *w = &p->vals[op->in[1]], *x = &p->vals[op->in[0]];
        uint64_t elements = 1;
        for (uint32_t r = 0; r < x->shape.rank; r++)
            elements *= (uint64_t)x->shape.dim[r];
        ok = matmul_ns(cpu, 1, (int64_t)elements / w->shape.dim[1], w->shape.dim[0], w->shape.dim[1], 0, ns);
    } else if (op->kind == VQP_OP_CONV2D) {
        ok = conv_ns(cpu, p, op, ns);
    } else if (op->kind == VQP_OP_SDPA) {
        ok = sdpa_ns(cpu, p, op, ns);
    }
    omp_set_num_threads(before);
    return ok ? VQP_OK : vqp_fail(err, VQP_E_NOMEM, "cpu: %s: no memory to measure oneDNN alone", p->name);
}
