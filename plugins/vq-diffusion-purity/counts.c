#include "counts.h"

/* By timestep: first those of the lowest, then a cycle, then those of the highest. The entry of timestep 0 is what its evaluation finds
 * masked at most: that one draws every token anew. */
static const struct table {
    uint32_t steps;
    int several; /* evaluations a step */
    uint32_t n_low, low[2], n_cycle, cycle[3], n_high, high[2];
} tables[] = {
    {100, 0, 2, {1, 10}, 3, {11, 10, 10}, 2, {11, 11}},
    {100, 1, 2, {1, 6}, 3, {11, 10, 10}, 2, {11, 15}},
    {50, -1, 1, {10}, 2, {21, 20}, 1, {30}},
    {25, -1, 1, {21}, 1, {41}, 1, {60}},
    {10, -1, 1, {69}, 1, {102}, 1, {139}},
};
enum {
    TABLE_TOKENS = 1024
};

static uint32_t entry(const struct table *t, uint32_t timestep)
{
    uint32_t above = t->steps - t->n_high;
    if (timestep < t->n_low)
        return t->low[timestep];
    return timestep < above ? t->cycle[(timestep - t->n_low) % t->n_cycle] : t->high[timestep - above];
}

uint32_t vqp_purity_drawn(uint32_t tokens, uint32_t steps, uint32_t evaluations, uint32_t i)
{
    for (uint32_t k = 0; k < sizeof tables / sizeof *tables; k++) {
        const struct table *t = &tables[k];
        uint64_t drawn = 0;
        if (t->steps != steps || (t->several >= 0 && t->several != (evaluations > 1)))
            continue;
        for (uint32_t timestep = steps - 1; timestep >= steps - 1 - i; timestep--)
            drawn += entry(t, timestep);
        return (uint32_t)((drawn * tokens + TABLE_TOKENS / 2) / TABLE_TOKENS);
    }
    return (uint32_t)((uint64_t)tokens * (2 * (uint64_t)i + 3) / (2 * (uint64_t)steps));
}
