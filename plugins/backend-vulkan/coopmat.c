#include "coopmat.h"

/* A subgroup's rectangle decides how many bytes of shared memory a product takes: 64 x 64 keeps matrix units busier than 32 x 64. But work
 * groups come in waves of as many as the device has cores, and the last wave is seldom full: on 132 cores, 2048 x 1408 in tiles of
 * 128 x 128 uses 67 % of two waves, in tiles of 128 x 176 97 % of one. 176 columns are two subgroups of 11 fragments 8 wide. All terms
 * that VQ-Diffusion multiplies are whole steps of 32. The last is for drivers on the processor, which have nothing to gain from a large
 * tile and take long to compile one. */
static const struct {
    uint32_t m, n, k, subgroups, across;
} tiles[] = {
    {128, 128, 32, 4, 2}, {128, 176, 32, 8, 2}, {128, 128, 32, 8, 2},
    {128, 64, 32, 4, 2},  {64, 64, 32, 4, 2},   {16, 16, 8, 4, 2},
};
enum {
    TILES = sizeof tiles / sizeof *tiles,
    LEAST_ROWS = 8 /* with fewer most of a fragment would be empty */
};

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

/* As shaders/matrix.glsl counts: the steps of A and weight, or what the epilogue passes through, whichever is more. */
static uint32_t shared_bytes(const struct vk_tile *t)
{
    uint32_t steps = t->stages * (t->m + t->n) * (t->k / 8 + 1);
    uint32_t strips = t->subgroups * t->fragment.m * (t->n / t->across / 4 + 1);
    return 16 * (steps > strips ? steps : strips);
}

/* The largest fragment that a subgroup's rectangle is made of. */
static int choose_fragment(const struct vk_caps *caps, struct vk_tile *t)
{
    uint32_t own_m = t->m / (t->subgroups / t->across), own_n = t->n / t->across, most = 0;
    for (uint32_t i = 0; i < caps->n_coopmat; i++) {
        const struct vk_coopmat *f = &caps->coopmat[i];
        uint32_t size = f->m * f->n * f->k;
        if (!f->m || !f->n || !f->k || f->k % 8 || t->k % f->k || f->n % 4 || own_n % f->n || own_m % f->m ||
            size <= most)
            continue;
        most = size;
        t->fragment = *f;
    }
    return most > 0;
}

static int fits(const struct vk_caps *caps, struct vk_tile *t)
{
    uint32_t threads = t->subgroups * caps->subgroup_size, sums = threads ? t->m * t->n / threads : 0;
    if (!threads || threads > caps->max_invocations || threads > caps->max_local[0] || !choose_fragment(caps, t))
        return 0;
    /* Sums of an invocation: with more than half of its registers, the rest spills; narrow subgroups have fewer. */
    if (sums > (caps->subgroup_size < 32 ? 64 : 128) && !caps->is_cpu)
        return 0;
    for (t->stages = 2; t->stages > 0; t->stages--)
        if ((t->shared_bytes = shared_bytes(t)) <= caps->shared_bytes)
            return 1;
    return 0;
}

/* Waves of work groups, times what one takes: its products and the shared memory that they read. */
static double cost(const struct vk_caps *caps, const struct vk_tile *t, uint32_t rows, uint32_t outs)
{
    uint32_t cores = caps->cores ? caps->cores : 32;
    double waves = ceil_div(ceil_div(rows, t->m) * ceil_div(outs, t->n), cores);
    uint32_t own_m = t->m / (t->subgroups / t->across), own_n = t->n / t->across; /* of a subgroup */
    return waves * t->m * t->n * (1 + 16.0 / own_m + 16.0 / own_n) * (t->stages == 1 ? 1.25 : 1);
}

static int tile_fits(const struct vk_caps *caps, uint32_t i, struct vk_tile *t)
{
    *t = (struct vk_tile){
        .m = tiles[i].m, .n = tiles[i].n, .k = tiles[i].k, .subgroups = tiles[i].subgroups, .across = tiles[i].across};
    return (!caps->is_cpu || i == TILES - 1) && fits(caps, t);
}

int vk_tile_choose(const struct vk_caps *caps, uint32_t rows, uint32_t outs, struct vk_tile *out)
{
    double least = 0;
#if defined(VK_TEST_HOOK)
    if (vk_test_tile(out))
        return fits(caps, out);
#endif
    for (uint32_t i = 0; i < TILES; i++) {
        struct vk_tile t;
        if (!tile_fits(caps, i, &t))
            continue;
        double c = cost(caps, &t, rows, outs);
        if (least == 0 || c < least) {
            least = c;
            *out = t;
        }
    }
    return least > 0;
}

/* A self-test tries all tiles that fit: its number of rows says which. */
static int choose(const struct vk_plan *plan, const struct vk_product *p, struct vk_tile *t)
{
    const struct vk_caps *caps = vk_caps(plan);
    return (vk_on_trial(plan) && tile_fits(caps, p->rows % TILES, t)) || vk_tile_choose(caps, p->rows, p->outs, t);
}

int32_t vk_product_emit(struct vk_plan *plan, const struct vk_product *p)
{
    const struct vk_caps *caps = vk_caps(plan);
    struct vk_tile tile = {0}, *t = &tile;
    uint64_t work = (uint64_t)p->rows * p->terms * p->outs;
    if (!vk_f16(plan) || p->rows < LEAST_ROWS || (caps->is_cpu && work > VK_MOST_EMULATED) || !choose(plan, p, t) ||
        !vk_usable(plan, p->kernel) || !vk_fits_f16(plan, p->weight))
        return 0;
    uint32_t down = ceil_div(p->rows, t->m), across = ceil_div(p->outs, t->n), rows_first = down <= across;
    uint32_t subgroup = caps->subgroup_size, x = rows_first ? down : across, y = rows_first ? across : down;
    if (x > caps->max_groups[0] || y > caps->max_groups[1])
        return 0;
    uint32_t constants[] = {t->subgroups * subgroup,
                            subgroup,
                            t->m,
                            t->n,
                            t->k,
                            t->across,
                            t->fragment.m,
                            t->fragment.n,
                            t->fragment.k,
                            t->stages,
                            t->shared_bytes / 16,
                            rows_first,
                            p->vectors,
                            p->outs % 4 == 0,
                            vk_stored(plan, p->a) == VQP_F16,
                            vk_stored(plan, p->result) == VQP_F16,
                            p->bias != 0,
                            p->act,
                            p->residual != 0,
                            p->gate_form};
    struct vk_dispatch d = {.kernel = p->kernel, .subgroup_size = subgroup, .work = work, .groups = {x, y}};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        vk_constant(&d, constants[i]);
    vk_bind(&d, vk_value(plan, p->a));
    vk_bind(&d, vk_weight(plan, p->weight, &p->form));
    vk_bind(&d, vk_value(plan, p->bias));
    vk_bind(&d, vk_value(plan, p->residual));
    vk_bind(&d, vk_value(plan, p->gate));
    vk_bind_result(&d, vk_value(plan, p->result));
    vk_push(&d, p->push, p->push_bytes);
    vk_emit(plan, &d);
    return 1;
}
