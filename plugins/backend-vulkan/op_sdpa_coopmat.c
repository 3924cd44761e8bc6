#include "coopmat.h"
#include "ops.h"

/* What a work group does: see shaders/sdpa_coopmat.comp. */
struct shape {
    struct vk_coopmat fragment;
    uint32_t subgroups, keys, padded, columns, shared_bytes;
};

static uint32_t round_up(uint32_t a, uint32_t unit)
{
    return (a + unit - 1) / unit * unit;
}

static uint32_t shared_bytes(const struct shape *s)
{
    uint32_t both = s->keys * (s->padded / 8 + 1 + s->columns / 8 + 1);
    uint32_t own = s->fragment.m * (s->keys / 4 + 1 + s->fragment.n / 4 + 1);
    return 16 * (both + s->subgroups * own);
}

/* The largest fragment whose rows the invocations of a subgroup share evenly. */
static int choose_fragment(const struct vk_caps *caps, struct vk_coopmat *out)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < caps->n_coopmat; i++) {
        const struct vk_coopmat *f = &caps->coopmat[i];
        uint32_t size = f->m * f->n * f->k, wide = f->n > f->k ? f->n : f->k;
        if (!f->m || f->n % 8 || f->k % 8 || wide % f->n || wide % f->k || size <= most ||
            (caps->subgroup_size % f->m && f->m % caps->subgroup_size))
            continue;
        most = size;
        *out = *f;
    }
    return most > 0;
}

/* Keys at a time: of the numbers that fit, the one that takes fewest steps for what it leaves empty. 77 keys are two steps of 48 in
 * 48 KB of shared memory and one of 80 in 64 KB; many keys are steps of 64 in 48 KB, of 32 in 32 KB. */
static int choose_keys(const struct vk_caps *caps, uint32_t keys, struct shape *s)
{
    enum {
        MOST_KEYS = 96,
        STEP = 24 /* what a step costs beside its keys */
    };
    uint32_t split = caps->subgroup_size > s->fragment.m ? caps->subgroup_size / s->fragment.m : 1, unit = 8 * split;
    uint32_t least = 0, best = 0;
    unit = round_up(unit, s->fragment.n > s->fragment.k ? s->fragment.n : s->fragment.k);
    /* On a driver on the processor the first will do: it takes long to compile more. */
    for (s->keys = unit; s->keys <= (caps->is_cpu ? unit : MOST_KEYS); s->keys += unit) {
        uint32_t cost = round_up(keys, s->keys) / s->keys * (s->keys + STEP);
        if (shared_bytes(s) <= caps->shared_bytes && (!least || cost <= least)) {
            least = cost;
            best = s->keys;
        }
    }
    s->keys = best;
    s->shared_bytes = shared_bytes(s);
    return best != 0;
}

static int choose(const struct vk_caps *caps, uint32_t size, uint32_t keys, struct shape *s)
{
    if (!choose_fragment(caps, &s->fragment))
        return 0;
    uint32_t wide = s->fragment.n > s->fragment.k ? s->fragment.n : s->fragment.k;
    uint32_t sums = 64 * caps->subgroup_size / s->fragment.m; /* columns of which an invocation has 64 sums */
    s->subgroups = 4;
    s->padded = round_up(size, wide);
    s->columns = s->padded < sums ? s->padded : sums / wide * wide;
    if (s->subgroups * caps->subgroup_size > caps->max_invocations ||
        s->subgroups * caps->subgroup_size > caps->max_local[0] || !s->columns)
        return 0;
    return choose_keys(caps, keys, s);
}

VK_COOPMAT(sdpa)
{
    const struct vk_caps *caps = vk_caps(plan);
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *q = &p->vals[op->in[0]], *k = &p->vals[op->in[1]];
    uint32_t heads = op->u.sdpa.heads, size = vk_dim(q, 2) / heads, subgroup = caps->subgroup_size;
    struct {
        uint32_t queries, keys, heads;
        float scale;
    } push = {vk_dim(q, 1), vk_dim(k, 1), heads, op->u.sdpa.scale * 1.44269504f};
    struct shape s = {0};
    uint64_t work = 2 * (uint64_t)vk_rows(q) * heads * push.keys * size;
    if (!vk_f16(plan) || !caps->subgroup_shuffle || (caps->is_cpu && work > VK_MOST_EMULATED) ||
        !choose(caps, size, push.keys, &s) || push.queries < s.fragment.m / 2 ||
        !vk_usable(plan, &vk_kernel_sdpa_coopmat))
        return 0;
    uint32_t constants[] = {s.subgroups * subgroup,
                            subgroup,
                            s.fragment.m,
                            s.fragment.n,
                            s.fragment.k,
                            s.keys,
                            size,
                            s.padded,
                            s.columns,
                            s.shared_bytes / 16,
                            size % 8 == 0,
                            op->u.sdpa.causal != 0,
                            vk_stored(plan, op->in[0]) == VQP_F16,
                            vk_stored(plan, op->in[1]) == VQP_F16,
                            vk_stored(plan, op->in[2]) == VQP_F16,
                            vk_stored(plan, op->out[0]) == VQP_F16};
    struct vk_dispatch d = {.kernel = &vk_kernel_sdpa_coopmat,
                            .subgroup_size = subgroup,
                            .work = work,
                            .groups = {(push.queries + s.subgroups * s.fragment.m - 1) / (s.subgroups * s.fragment.m),
                                       vk_dim(q, 0) * heads, (size + s.columns - 1) / s.columns}};
    for (size_t c = 0; c < sizeof constants / sizeof *constants; c++)
        vk_constant(&d, constants[c]);
    for (int at = 0; at < 3; at++)
        vk_bind(&d, vk_value(plan, op->in[at]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, &push, sizeof push);
    for (int axis = 0; axis < 3; axis++)
        if (d.groups[axis] > caps->max_groups[axis])
            return 0;
    vk_emit(plan, &d);
    return 1;
}
