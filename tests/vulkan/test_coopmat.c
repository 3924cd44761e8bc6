/* Which tile a product on matrix units gets, on devices that are not here. */
#include "../check.h"
#include <coopmat.h>

static const struct vk_caps h200 = {.subgroup_size = 32,
                                    .subgroup_shuffle = 1,
                                    .full_subgroups = 1,
                                    .f16_math = 1,
                                    .shared_bytes = 49152,
                                    .max_invocations = 1024,
                                    .max_local = {1024, 1024, 64},
                                    .cores = 132,
                                    .n_coopmat = 3,
                                    .coopmat = {{16, 16, 16}, {16, 8, 16}, {16, 8, 8}}};

static struct vk_caps rdna3(void)
{
    struct vk_caps c = h200;
    c.subgroup_size = 64;
    c.shared_bytes = 65536;
    c.cores = 96;
    c.n_coopmat = 1;
    return c;
}

static struct vk_caps xe2(void)
{
    struct vk_caps c = h200;
    c.subgroup_size = 16;
    c.cores = 0; /* its driver does not tell */
    c.n_coopmat = 1;
    c.coopmat[0] = (struct vk_coopmat){8, 16, 16};
    return c;
}

static void expect(const struct vk_caps *caps, uint32_t rows, uint32_t outs, uint32_t m, uint32_t n)
{
    struct vk_tile t = {0};
    CU_ASSERT_FATAL(vk_tile_choose(caps, rows, outs, &t));
    if (t.m != m || t.n != n)
        printf("\n    %u x %u: a tile of %u x %u", rows, outs, t.m, t.n);
    CU_ASSERT(t.m == m && t.n == n);
}

static void fills_the_waves(void)
{
    expect(&h200, 2048, 1408, 128, 176);
    expect(&h200, 2048, 4224, 128, 128);
    expect(&h200, 2048, 5632, 128, 128);
    expect(&h200, 2048, 4096, 128, 128);
    expect(&h200, 77, 512, 64, 64); /* few rows: small tiles, or most cores have nothing to do */
}

static void every_tile_is_sound(void)
{
    struct vk_caps devices[] = {h200, rdna3(), xe2(), h200, h200};
    devices[3].shared_bytes = 16384; /* the least that Vulkan allows */
    devices[4].max_invocations = 128;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++)
        for (uint32_t rows = 8; rows < 5000; rows = rows * 3 / 2)
            for (uint32_t outs = 1; outs < 6000; outs = outs * 2 + 5) {
                const struct vk_caps *c = &devices[d];
                struct vk_tile t = {0};
                CU_ASSERT_FATAL(vk_tile_choose(c, rows, outs, &t));
                uint32_t own_m = t.m / (t.subgroups / t.across), own_n = t.n / t.across;
                int listed = 0;
                CU_ASSERT(t.shared_bytes <= c->shared_bytes && t.subgroups * c->subgroup_size <= c->max_invocations);
                CU_ASSERT(t.shared_bytes >= 16 * t.stages * (t.m + t.n) * (t.k / 8 + 1));
                CU_ASSERT(t.shared_bytes >= 4 * t.subgroups * t.fragment.m * own_n);
                CU_ASSERT(own_m % t.fragment.m == 0 && own_n % t.fragment.n == 0 && t.k % t.fragment.k == 0);
                for (uint32_t i = 0; i < c->n_coopmat; i++)
                    listed |= !memcmp(&c->coopmat[i], &t.fragment, sizeof t.fragment);
                CU_ASSERT(listed);
            }
}

static void refuses_what_has_no_fragments(void)
{
    struct vk_caps none = h200, odd = h200, tiny = h200;
    struct vk_tile t = {0};
    none.n_coopmat = 0;
    odd.n_coopmat = 1;
    odd.coopmat[0] = (struct vk_coopmat){12, 20, 4};
    tiny.shared_bytes = 256;
    CU_ASSERT(!vk_tile_choose(&none, 2048, 1408, &t));
    CU_ASSERT(!vk_tile_choose(&odd, 2048, 1408, &t));
    CU_ASSERT(!vk_tile_choose(&tiny, 2048, 1408, &t));
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"tiles fill the waves of a large device", fills_the_waves},
        {"every tile fits its device and is whole fragments", every_tile_is_sound},
        {"a device without usable fragments is refused", refuses_what_has_no_fragments},
    };
    return RUN_CASES("cooperative matrices", cases);
}
