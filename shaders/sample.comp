#version 450
#include "common.glsl"
#include "group.glsl"
// posterior_sample and categorical_sample: a work group a column, four neighbouring classes an invocation, as Philox gives four numbers.
// variant posterior: -DPOSTERIOR
layout(constant_id = 1) const uint NOISE = 0;
layout(set = 0, binding = 0) readonly buffer Logp { float logp[]; };
layout(set = 0, binding = 1) readonly buffer Seed { uint seed[]; };
layout(set = 0, binding = 2) readonly buffer Eval { uint eval[]; };
layout(set = 0, binding = 3) readonly buffer Noise { float noise[]; };
layout(set = 0, binding = 4) writeonly buffer Result { int result[]; };
#if defined(POSTERIOR)
layout(set = 0, binding = 5) readonly buffer Tokens { int tokens[]; };
layout(set = 0, binding = 6) readonly buffer Par { float par[]; };
#else
layout(set = 0, binding = 5) writeonly buffer Chosen { float chosen[]; };
#endif
layout(push_constant) uniform Push { uint columns, positions, classes, stream; };

shared int which[GROUP];
shared uint bad[GROUP];

#if defined(POSTERIOR)
const float LOG_ZERO = -69.0775528; // log 1e-30
struct Posterior {
    int token;
    float clean_other, clean_same, s_other, s_same, a, b, sum, mask; // names as in ops.h: CUM_S_A - S + ..., CUM_S_B, S, l[C]
};

float clean(Posterior p, uint at, uint k)
{
    return logp[at + k] - (int(k) == p.token ? p.clean_same : p.clean_other);
}

Posterior prepare(uint column, uint at)
{
    Posterior p;
    p.token = tokens[column];
    bool masked = p.token == int(classes);
    p.clean_other = masked ? par[5] : log_add_exp(par[3] + LOG_ZERO, par[4]);
    p.clean_same = masked ? par[5] : log_add_exp(par[3], par[4]);
    p.s_other = masked ? par[2] : log_add_exp(par[0] + LOG_ZERO, par[1]);
    p.s_same = masked ? par[2] : log_add_exp(par[0], par[1]);
    float most = -INFINITY;
    for (uint k = gl_LocalInvocationID.x; k < classes; k += GROUP)
        most = max(most, clean(p, at, k));
    most = group_max(most);
    vec2 sum = vec2(0);
    for (uint k = gl_LocalInvocationID.x; k < classes; k += GROUP)
        add_to(sum, exp_f32(clean(p, at, k) - most));
    p.sum = most + log_f32(group_sum(sum.x + sum.y));
    p.a = par[6] - p.sum;
    p.b = par[7];
    p.mask = par[8] + (masked ? 0.0 : LOG_ZERO) + p.sum;
    return p;
}

float score(Posterior p, uint at, uint k)
{
    if (k == classes)
        return p.mask;
    return log_add_exp(clean(p, at, k) + p.a, p.b) + (int(k) == p.token ? p.s_same : p.s_other) + p.sum;
}
#endif

void main()
{
    uint column = work_group(), me = gl_LocalInvocationID.x, at = column * classes;
    if (column >= columns)
        return;
    uint b = column / positions, n = column % positions, offered = classes;
#if defined(POSTERIOR)
    bool last = par[9] == 1.0;
    Posterior p;
    if (!last) {
        p = prepare(column, at);
        offered++;
    }
#endif
    float best = -INFINITY;
    int cls = -1;
    uint wrong = 0;
    for (uint first = 4 * me; first < offered; first += 4 * GROUP) {
        uvec4 bits = NOISE != 0 ? uvec4(0) : philox(uvec4(n, first / 4, eval[0], stream), uvec2(seed[2 * b], seed[2 * b + 1]));
        for (uint k = first; k < min(first + 4, offered); k++) {
#if defined(POSTERIOR)
            float l = last ? logp[at + k] : score(p, at, k);
#else
            float l = logp[at + k];
#endif
            float u = NOISE != 0 ? noise[(b * offered + k) * positions + n] : unit_float(bits[k - first]);
            precise float v = l + gumbel(u);
            if (is_nan(l) || l == INFINITY)
                wrong = 1;
            if (is_finite(l) && (cls < 0 || v > best)) {
                best = v;
                cls = int(k);
            }
        }
    }
    exchange[me] = best;
    which[me] = cls;
    bad[me] = wrong;
    barrier();
    if (me > 0)
        return;
    for (uint i = 1; i < GROUP; i++) {
        wrong |= bad[i];
        if (which[i] >= 0 && (cls < 0 || exchange[i] > best || (exchange[i] == best && which[i] < cls))) {
            best = exchange[i];
            cls = which[i];
        }
    }
    cls = wrong != 0 ? -1 : cls;
    result[column] = cls;
#if !defined(POSTERIOR)
    chosen[column] = cls < 0 ? 0.0 : logp[at + uint(cls)];
#endif
}
