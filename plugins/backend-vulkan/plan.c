#include "kernels.h"
#include "vulkan.h"
#include <stdlib.h>

/* Keeps the first failure; all later calls do nothing. */
static struct vk_operand fail(struct vk_plan *plan, vqp_status st)
{
    if (!plan->status)
        plan->status = st;
    return (struct vk_operand){0};
}

static vqp_status grow(struct vk_plan *plan, void *array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return VQP_OK;
    uint32_t more = *cap ? 2 * *cap : 64;
    void *p = reallocarray(*(void **)array, more, size);
    if (!p)
        return vqp_fail(plan->err, VQP_E_NOMEM, "vulkan: %s: out of host memory", plan->p->name);
    *(void **)array = p;
    *cap = more;
    return VQP_OK;
}

/* ---- what ops ask ---- */

const struct vk_caps *vk_caps(const struct vk_plan *plan)
{
    return &plan->dev->adapter.caps;
}

uint32_t vk_f16(const struct vk_plan *plan)
{
    return plan->dev->f16;
}

uint32_t vk_stored(const struct vk_plan *plan, vqp_val v)
{
    return plan->stored[plan->p->vals[v].root];
}

static int is_weight(const struct vqp_val_info *val)
{
    return val->role == VQP_VAL_WEIGHT || val->role == VQP_VAL_CONSTANT;
}

struct vk_operand vk_value(struct vk_plan *plan, vqp_val v)
{
    const struct vqp_val_info *val = &plan->p->vals[v];
    if (v && is_weight(val)) {
        int floats = val->dtype == VQP_F16 || val->dtype == VQP_BF16;
        return vk_weight(plan, v, &(struct vk_form){.dtype = floats ? VQP_F32 : 0});
    }
    return (struct vk_operand){v ? VK_VALUE : VK_NONE, v};
}

uint32_t vk_value_dtype(const struct vk_plan *plan, vqp_val v)
{
    uint32_t dtype = v ? vk_stored(plan, v) : VQP_F32;
    return is_weight(&plan->p->vals[v]) && (dtype == VQP_F16 || dtype == VQP_BF16) ? VQP_F32 : dtype;
}

struct vk_operand vk_weight(struct vk_plan *plan, vqp_val v, const struct vk_form *form)
{
    const struct vqp_val_info *val = &plan->p->vals[v];
    uint32_t constant = val->role == VQP_VAL_CONSTANT, at = plan->n_uploaded;
    vqp_status st = plan->status;
    if (!v || st)
        return (struct vk_operand){0};
    if (!is_weight(val))
        return fail(plan, vqp_fail(plan->err, VQP_E_INTERNAL, "vulkan: %s: op %u takes value %%%u for a weight",
                                   plan->p->name, plan->op, v));
    if (!form->permute) /* views of one constant are one copy */
        v = val->root;
    for (uint32_t i = 0; constant && i < plan->n_constants; i++)
        if (plan->constants[i].root == v && !memcmp(&plan->constants[i].form, form, sizeof *form))
            return (struct vk_operand){VK_WEIGHT, plan->constants[i].uploaded};
    st = grow(plan, &plan->uploaded, at, &plan->cap_uploaded, sizeof *plan->uploaded);
    if (!st && constant)
        st = grow(plan, &plan->constants, plan->n_constants, &plan->cap_constants, sizeof *plan->constants);
    if (!st)
        st = constant ? vk_form_upload(plan->dev, val, form, &plan->uploaded[at], plan->err)
                      : vk_weight_obtain(plan->dev, val, form, &plan->uploaded[at], plan->err);
    if (st)
        return fail(plan, st);
    if (constant)
        plan->constants[plan->n_constants++] = (struct vk_constant){v, *form, at};
    plan->n_uploaded++;
    return (struct vk_operand){VK_WEIGHT, at};
}

uint32_t vk_fits_f16(struct vk_plan *plan, vqp_val v)
{
    const struct vqp_val_info *val = &plan->p->vals[v];
    uint32_t fits = vk_form_fits_f16(plan->dev, val);
    char msg[300];
    snprintf(msg, sizeof msg, "vulkan: %.200s has values beyond 65504 and stays float32",
             val->name ? val->name : "a constant");
    if (!fits)
        plan->dev->host->log(plan->dev->host, VQP_LOG_INFO, msg);
    return fits;
}

struct vk_operand vk_scratch(struct vk_plan *plan, uint64_t bytes)
{
    vqp_status st = plan->status;
    if (!st)
        st = grow(plan, &plan->scratch, 2 * plan->n_scratch + 1, &plan->cap_scratch, sizeof *plan->scratch);
    if (!st && bytes > plan->dev->adapter.max_range)
        st = vqp_fail(plan->err, VQP_E_UNSUPPORTED,
                      "vulkan: %s: %s: needs %llu bytes of scratch memory at once, more than this device binds",
                      plan->p->name, plan->p->op_scope[plan->op], (unsigned long long)bytes);
    if (st)
        return fail(plan, st);
    plan->scratch[2 * (size_t)plan->n_scratch] = plan->scratch_used;
    plan->scratch[2 * (size_t)plan->n_scratch + 1] = bytes;
    plan->scratch_used += (bytes + 255) / 256 * 256;
    if (plan->scratch_used > plan->scratch_bytes)
        plan->scratch_bytes = plan->scratch_used;
    return (struct vk_operand){VK_SCRATCH, plan->n_scratch++};
}

/* ---- dispatches ---- */

static vqp_status locate(const struct vk_plan *plan, struct vk_operand o, struct vk_bound *out)
{
    const struct vqp_val_info *val;
    *out = (struct vk_bound){0};
    switch (o.kind) {
    case VK_VALUE:
        val = &plan->p->vals[plan->p->vals[o.index].root];
        out->slice = plan->bound[o.index];
        if (val->role == VQP_VAL_TEMP) {
            out->slice = plan->arena;
            out->slice.offset += val->arena_offset;
            out->slice.bytes = (val->bytes + 15) / 16 * 16;
        }
        break;
    case VK_WEIGHT: out->slice = plan->uploaded[o.index]; break;
    case VK_SCRATCH:
        out->scratch = 1;
        out->slice.offset = plan->scratch[2 * (size_t)o.index];
        out->slice.bytes = (plan->scratch[2 * (size_t)o.index + 1] + 15) / 16 * 16;
        break;
    default: out->slice = plan->dev->nothing; break;
    }
    if (!out->slice.buffer && !out->scratch)
        return vqp_fail(plan->err, VQP_E_INTERNAL, "vulkan: %s: value %%%u has no storage", plan->p->name, o.index);
    if (out->slice.bytes > plan->dev->adapter.max_range)
        return vqp_fail(plan->err, VQP_E_UNSUPPORTED,
                        "vulkan: %s: %s: a tensor of %.1f MB, but this device binds at most %.1f MB at once; use fewer "
                        "images at once or --backend cpu",
                        plan->p->name, plan->p->op_scope[plan->op], (double)out->slice.bytes / 1e6,
                        (double)plan->dev->adapter.max_range / 1e6);
    return VQP_OK;
}

static int fits(const struct vk_plan *plan, const struct vk_dispatch *d)
{
    const struct vk_caps *c = &plan->dev->adapter.caps;
    int ok = d->kernel && d->n > 0 && d->n <= VK_MAX_BINDINGS && d->n_spec <= VK_MAX_SPEC &&
             d->push_bytes <= VK_MAX_PUSH && d->groups[0] > 0 && (!d->subgroup_size || c->full_subgroups) &&
             (!d->texels || d->writes == 1u << (d->n - 1));
    for (int i = 0; i < 3; i++)
        ok = ok && d->groups[i] <= c->max_groups[i];
    return ok;
}

vqp_status vk_emit(struct vk_plan *plan, const struct vk_dispatch *d)
{
    if (plan->status)
        return plan->status;
    vqp_status st = grow(plan, &plan->nodes, plan->n_nodes, &plan->cap_nodes, sizeof *plan->nodes);
    if (!st && !fits(plan, d))
        st = vqp_fail(plan->err, VQP_E_UNSUPPORTED,
                      "vulkan: %s: %s: a dispatch of %s, [%u,%u,%u] work groups, is beyond what this device takes",
                      plan->p->name, plan->p->op_scope[plan->op], d->kernel ? d->kernel->name : "no kernel",
                      d->groups[0], d->groups[1], d->groups[2]);
    if (!st && vk_caps(plan)->is_cpu && d->turns > VK_CPU_TURNS)
        st = vqp_fail(
            plan->err, VQP_E_UNSUPPORTED,
            "vulkan: %s: %s: the loops of %s turn %llu times, but a driver on the processor may end them after "
            "%d; use --backend cpu",
            plan->p->name, plan->p->op_scope[plan->op], d->kernel->name, (unsigned long long)d->turns, VK_CPU_TURNS);
    struct vk_node *node = st ? NULL : &plan->nodes[plan->n_nodes];
    uint64_t bytes = 0;
    if (!st) {
        *node = (struct vk_node){.d = *d, .op = plan->op};
        st = vk_pipeline_obtain(plan->dev, d, &node->pipeline, plan->err);
    }
    for (uint32_t i = 0; i < d->n && !st; i++) {
        st = locate(plan, d->operands[i], &node->at[i]);
        node->at[i].written = d->writes >> i & 1;
        bytes += node->at[i].slice.bytes;
    }
    if (st) {
        fail(plan, st);
        return st;
    }
    node->work = d->work > bytes ? d->work : bytes;
    plan->n_nodes++;
    return VQP_OK;
}

int32_t vk_usable(struct vk_plan *plan, const struct vk_kernel *kernel)
{
    int right = 0;
    if (plan->status || plan->only)
        return !plan->status && plan->only == kernel;
    fail(plan, plan->dev->is_right(plan->dev, kernel, &right, plan->err));
    if (!plan->status && !right)
        plan->wrong = kernel;
    return !plan->status && right;
}

int32_t vk_on_trial(const struct vk_plan *plan)
{
    return plan->only != NULL;
}

vqp_status vk_offer(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, const vk_tier *tiers,
                    struct vqp_error *err)
{
    for (; *tiers && !plan->status; tiers++)
        if ((*tiers)(plan, p, i))
            return plan->status;
    if (!plan->status && plan->only)
        return vqp_fail(err, VQP_E_UNSUPPORTED, "vulkan: the self-test of the kernel %s does not reach it",
                        plan->only->name);
    return plan->status
               ? plan->status
               : vqp_fail(err, VQP_E_DEVICE,
                          "vulkan: %s: the kernel %s gives wrong results on %s (%s), and there is no other; update its "
                          "driver, or use --backend cpu",
                          p->name, plan->wrong ? plan->wrong->name : "", plan->dev->adapter.name,
                          plan->dev->adapter.driver);
}

/* ---- the whole ---- */

static int overlap(const struct vk_bound *a, const struct vk_bound *b)
{
    return a->scratch == b->scratch && a->slice.buffer == b->slice.buffer &&
           a->slice.offset < b->slice.offset + b->slice.bytes && b->slice.offset < a->slice.offset + a->slice.bytes;
}

static int conflict(const struct vk_node *a, const struct vk_node *b)
{
    for (uint32_t i = 0; i < a->d.n; i++)
        for (uint32_t k = 0; k < b->d.n; k++)
            if ((a->at[i].written || b->at[k].written) && overlap(&a->at[i], &b->at[k]))
                return 1;
    return 0;
}

/* A dispatch waits for all before it where one of those since the last barrier wrote what it touches, or touched what it writes. */
static void place_barriers(struct vk_plan *plan)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        for (uint32_t k = first; k < i && !plan->nodes[i].barrier; k++)
            plan->nodes[i].barrier = (uint32_t)conflict(&plan->nodes[k], &plan->nodes[i]);
        if (plan->nodes[i].barrier)
            first = i;
    }
}

/* For -v: which products matrix units compute. */
static void report_coopmat(const struct vk_plan *plan)
{
    static const struct vk_kernel *const kernels[] = {&vk_kernel_linear_coopmat, &vk_kernel_conv2d_coopmat,
                                                      &vk_kernel_sdpa_coopmat};
    uint32_t n[3] = {0};
    char msg[256];
    for (uint32_t i = 0; i < plan->n_nodes; i++)
        for (int k = 0; k < 3; k++)
            n[k] += plan->nodes[i].d.kernel == kernels[k];
    snprintf(msg, sizeof msg, "vulkan: %.100s: on matrix units: linear %u, conv2d %u, sdpa %u of %u dispatches",
             plan->p->name, n[0], n[1], n[2], plan->n_nodes);
    if (vk_caps(plan)->n_coopmat && vk_f16(plan) && !plan->only)
        plan->dev->host->log(plan->dev->host, VQP_LOG_INFO, msg);
}

vqp_status vk_plan_make(struct vk_plan *plan)
{
    for (uint32_t i = 0; i < plan->p->n_ops && !plan->status; i++) {
        plan->op = i;
        plan->n_scratch = 0;
        plan->scratch_used = 0;
        fail(plan, vk_ops[plan->p->ops[i].kind].emit(plan, plan->p, i, plan->err));
    }
    if (!plan->status) {
        place_barriers(plan);
        report_coopmat(plan);
    }
    return plan->status;
}

void vk_plan_free(struct vk_plan *plan)
{
    free(plan->nodes);
    free(plan->uploaded);
    free(plan->constants);
    free(plan->scratch);
    free(plan->stored);
}

/* Could op i read and write float16? */
static int allows(struct vk_plan *plan, uint32_t i, const struct vk_op *k)
{
    return k->f16 && (!k->f16_fits || k->f16_fits(plan->p, i)) && vk_usable(plan, k->f16);
}

static int has_quads(const struct vqp_val_info *val)
{
    return val->shape.rank && val->shape.dim[val->shape.rank - 1] % 4 == 0;
}

void vk_choose_storage(struct vk_plan *plan)
{
    const struct vqp_program_view *p = plan->p;
    for (uint32_t v = 1; v < p->n_vals; v++)
        if (p->vals[v].root == v)
            plan->stored[v] = vk_f16(plan) && p->vals[v].role == VQP_VAL_TEMP && p->vals[v].dtype == VQP_F32
                                  ? VQP_F16
                                  : p->vals[v].dtype;
    for (uint32_t i = 0; i < p->n_ops && vk_f16(plan) && !plan->status; i++) {
        const struct vqp_op *op = &p->ops[i];
        const struct vk_op *k = &vk_ops[op->kind];
        int any = allows(plan, i, k);
        for (uint32_t at = 0; at < VQP_OP_MAX_IN + VQP_OP_MAX_OUT; at++) {
            int in = at < VQP_OP_MAX_IN;
            uint32_t which = in ? at : at - VQP_OP_MAX_IN, allowed = (in ? k->f16_in : k->f16_out) >> which & 1;
            vqp_val v = in ? op->in[which] : op->out[which], root = p->vals[v].root;
            if (v && !(any && allowed && has_quads(&p->vals[v])) && p->vals[root].role == VQP_VAL_TEMP)
                plan->stored[root] = p->vals[root].dtype;
        }
    }
}
