// What the shaders share: where an invocation is, sums over a work group, and functions that are the same on every device. What a driver's own
// exp and log give differs from device to device by more than the ops allow.

// Macros, as a shader says how large its work groups are after it includes this.
#define work_group() (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x)
#define invocation() (work_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x)

#define INFINITY uintBitsToFloat(0x7f800000u)

// Element i of an operand, and the texel buffer that it may be: always of four elements a texel.
#ifdef TEXEL
#define TEXELS(number, name)  layout(set = 0, binding = number) uniform samplerBuffer name##_texels;
#define ITEXELS(number, name) layout(set = 0, binding = number) uniform isamplerBuffer name##_texels;
#define AT(name, i)           texelFetch(name##_texels, int((i) / 4))[(i) % 4]
#else
#define AT(name, i) name[i]
#endif

bool is_nan(float x) // a compiler may take isnan() for false
{
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

bool is_finite(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) < 0x7f800000u;
}

// To about an ulp, by Cody and Waite's reduction and the polynomial of the Cephes library.
float exp_f32(float x)
{
    if (is_nan(x))
        return x;
    if (x < -104.0)
        return 0.0;
    if (x > 88.8)
        return INFINITY;
    precise float n = roundEven(x * 1.44269504);
    precise float r = x - n * 0.693359375;
    r = r - n * -2.12194440e-4;
    precise float p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    p = p * (r * r) + r + 1.0;
    int e = int(n), half_e = e / 2; // in two steps: 2^e alone may be out of range
    p = p * uintBitsToFloat(uint(half_e + 127) << 23);
    p = p * uintBitsToFloat(uint(e - half_e + 127) << 23);
    return p;
}

float log_f32(float x)
{
    if (is_nan(x) || x == INFINITY)
        return x;
    if (x <= 0.0)
        return x == 0.0 ? -INFINITY : uintBitsToFloat(0x7fc00000u);
    int e = 0;
    if (x < 1.17549435e-38) {
        x *= 8388608.0;
        e = -23;
    }
    uint bits = floatBitsToUint(x);
    e += int(bits >> 23) - 126;
    precise float m = uintBitsToFloat((bits & 0x7fffffu) | 0x3f000000u); // in 0.5 .. 1
    if (m < 0.707106781) {
        e -= 1;
        m = m + m;
    }
    m = m - 1.0;
    precise float z = m * m, p = 7.0376836292e-2, f = float(e);
    p = p * m - 1.1514610310e-1;
    p = p * m + 1.1676998740e-1;
    p = p * m - 1.2420140846e-1;
    p = p * m + 1.4249322787e-1;
    p = p * m - 1.6668057665e-1;
    p = p * m + 2.0000714765e-1;
    p = p * m - 2.4999993993e-1;
    p = p * m + 3.3333331174e-1;
    p = p * m * z;
    p = p + f * -2.12194440e-4;
    p = p - 0.5 * z;
    p = m + p;
    p = p + f * 0.693359375;
    return p;
}

float log_add_exp(float a, float b)
{
    float high = max(a, b), low = min(a, b);
    return low == -INFINITY ? high : high + log_f32(1.0 + exp_f32(low - high));
}

float sigmoid_f32(float x)
{
    return 1.0 / (1.0 + exp_f32(-x));
}

// Abramowitz and Stegun 7.1.26: to 1.5e-7.
float erf_f32(float x)
{
    float a = abs(x), t = 1.0 / (1.0 + 0.3275911 * a);
    float y = 1.0 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t *
                        exp_f32(-a * a);
    return x < 0.0 ? -y : y;
}

// VQP_ACT_*
float activate(uint act, float v)
{
    switch (act) {
    case 1: return v * (1.0 + erf_f32(v * 0.70710678)) * 0.5;
    case 2: return v * sigmoid_f32(1.702 * v);
    case 3: return v * sigmoid_f32(v);
    default: return v;
    }
}

// A sum that keeps what was rounded off (Knuth's two-sum): s.x + s.y.
void add_to(inout vec2 s, float v)
{
    precise float t = s.x + v, b = t - s.x, low = (s.x - (t - b)) + (v - b);
    s.x = t;
    s.y = s.y + low;
}

// Philox4x32-10: core/include/vqpipe/philox.h.
uvec4 philox(uvec4 c, uvec2 key)
{
    for (int round = 0; round < 10; round++) {
        uint ah, al, bh, bl;
        umulExtended(0xD2511F53u, c.x, ah, al);
        umulExtended(0xCD9E8D57u, c.z, bh, bl);
        c = uvec4(bh ^ c.y ^ key.x, bl, ah ^ c.w ^ key.y, al);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

float unit_float(uint bits)
{
    precise float u = float(bits >> 9) * 1.1920929e-7 + 5.9604645e-8; // 2^-23, 2^-24
    return u;
}

float gumbel(float u)
{
    precise float a = u + 1e-30, b = -log_f32(a) + 1e-30;
    return -log_f32(b);
}
