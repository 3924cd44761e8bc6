#version 450
#include "common.glsl"
#include "group.glsl"
// variant texel: -DTEXEL
// A work group a row. No sorting: the cut is the least key (floats in the order of their bits) above which the sum is still below the rate, and is
// looked for between eight parts at a time; every sum has the same order of terms, so that a larger set never gives a smaller sum.
#ifdef TEXEL
TEXELS(0, logp)
TEXELS(1, rate)
#else
layout(set = 0, binding = 0) readonly buffer Logp { float logp[]; };
layout(set = 0, binding = 1) readonly buffer Rate { float rate[]; };
#endif
layout(set = 0, binding = 2) buffer Result { float result[]; }; // holds exp(logp) meanwhile
layout(push_constant) uniform Push
{
    uint rows, classes;
    float low;
};

#ifdef TEXEL
#define EXP(i) exp_f32(AT(logp, i))
#else
#define EXP(i) result[i]
#endif

uint key(float v)
{
    uint b = floatBitsToUint(v);
    return is_nan(v) ? 0u : b == 0x80000000u ? 0x80000000u : (b & 0x80000000u) != 0 ? ~b : b | 0x80000000u;
}

shared uint keys[GROUP];

// The largest key, and the first place where it is.
void find_first(uint at, out uint most, out uint where)
{
    uint me = gl_LocalInvocationID.x;
    most = 0;
    where = 0xffffffffu;
    for (uint k = me; k < classes; k += GROUP)
        if (where == 0xffffffffu || key(AT(logp, at + k)) > most) {
            most = key(AT(logp, at + k));
            where = k;
        }
    keys[me] = most;
    exchange[me] = uintBitsToFloat(where);
    barrier();
    for (uint i = 0; i < GROUP; i++) {
        uint other = floatBitsToUint(exchange[i]);
        if (other != 0xffffffffu && (keys[i] > most || (keys[i] == most && other < where))) {
            most = keys[i];
            where = other;
        }
    }
    barrier();
}

// Equals of the cut come in the order of their classes: the first that the rate drops, or `classes`. Each invocation takes neighbours.
uint first_dropped(uint at, uint cut, float sum_above, float limit)
{
    uint me = gl_LocalInvocationID.x, chunk = (classes + GROUP - 1) / GROUP, first = me * chunk, end = min(first + chunk, classes), stop = classes;
    float before = 0.0;
    for (uint k = first; k < end; k++)
        before += key(AT(logp, at + k)) == cut ? 1.0 : 0.0;
    exchange[me] = before;
    barrier();
    before = 0.0;
    for (uint i = 0; i < me; i++)
        before += exchange[i];
    for (uint k = first; k < end && stop == classes; k++)
        if (key(AT(logp, at + k)) == cut) {
            if (!(sum_above + (before > 0.0 ? before * exp_f32(AT(logp, at + k)) : 0.0) < limit))
                stop = k;
            before += 1.0;
        }
    keys[me] = stop;
    barrier();
    for (uint i = 0; i < GROUP; i++)
        stop = min(stop, keys[i]);
    barrier();
    return stop;
}

void main()
{
    uint row = work_group(), me = gl_LocalInvocationID.x, at = row * classes, most, where;
    if (row >= rows)
        return;
    float limit = AT(rate, 0), sum_above = 0.0;
    find_first(at, most, where);
#ifndef TEXEL // there it takes longer to read than to compute
    for (uint k = me; k < classes; k += GROUP)
        result[at + k] = exp_f32(AT(logp, at + k));
#endif
    uint from = 0, to = most; // the cut is in from .. to
    while (from < to && limit > 0.0) {
        float part[7] = {0, 0, 0, 0, 0, 0, 0};
        uint step = max((to - from) / 8, 1u);
        for (uint k = me; k < classes; k += GROUP) {
            uint mine = key(AT(logp, at + k));
            float e = mine == 0 ? 0.0 : EXP(at + k);
            for (uint i = 0; i < 7; i++)
                part[i] += mine > from + i * step ? e : 0.0;
        }
        uint next_from = from, next_to = to;
        bool found = false;
        for (uint i = 0; i < 7; i++) {
            float s = group_sum(part[i]);
            if (!found && from + i * step < to) {
                if (s < limit) {
                    next_to = from + i * step;
                    found = true;
                } else {
                    next_from = from + i * step + 1;
                }
            }
        }
        from = next_from;
        to = next_to;
    }
    float equals = 0.0;
    for (uint k = me; k < classes; k += GROUP) {
        uint mine = key(AT(logp, at + k));
        sum_above += mine > to && mine != 0 ? EXP(at + k) : 0.0;
        equals += mine == to ? 1.0 : 0.0;
    }
    sum_above = group_sum(sum_above);
    uint stop = sum_above < limit ? classes : 0;
    if (group_sum(equals) > 1.0)
        stop = min(stop, first_dropped(at, to, sum_above, limit));
    for (uint k = me; k < classes; k += GROUP) {
        float v = AT(logp, at + k);
        uint mine = key(v);
        bool kept = mine > to || (mine == to && k < stop);
        kept = limit > 0.0 ? kept || k == where : k == where;
        result[at + k] = !kept || v < low ? low : v;
    }
}
