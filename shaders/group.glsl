// Sums over a work group of GROUP invocations, a power of two: always in the same order.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 8;
shared float exchange[GROUP];

float group_sum(float v)
{
    uint me = gl_LocalInvocationID.x;
    exchange[me] = v;
    barrier();
    for (uint half_way = GROUP / 2; half_way > 0; half_way /= 2) {
        if (me < half_way)
            exchange[me] += exchange[me + half_way];
        barrier();
    }
    v = exchange[0];
    barrier();
    return v;
}

float group_max(float v)
{
    uint me = gl_LocalInvocationID.x;
    exchange[me] = v;
    barrier();
    for (uint half_way = GROUP / 2; half_way > 0; half_way /= 2) {
        if (me < half_way)
            exchange[me] = max(exchange[me], exchange[me + half_way]);
        barrier();
    }
    v = exchange[0];
    barrier();
    return v;
}
