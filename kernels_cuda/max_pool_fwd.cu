/* max_pool_fwd.cu: the largest value of each window, and its place in the window as one byte.
 *
 * A thread makes four consecutive outputs, hence one word of places. Where channels come in fours the four share their
 * window and are scanned together. */
#include "common.cuh"

/* Scans `count` channels from x[...+c] of the window of an output position. */
template <uint COUNT>
static __device__ __forceinline__ void scan(const actc_params_max_pool_fwd &p, const float *x, uint position, uint c,
                                            float *value, uint *place)
{
    const uint ox = position % p.ow, row = position / p.ow, oy = row % p.oh, slice = row / p.oh;
    const uint oz = slice % p.od, n = slice / p.od;
    const int z0 = (int)(oz * p.sd) - (int)p.pd, y0 = (int)(oy * p.sh) - (int)p.ph, x0 = (int)(ox * p.sw) - (int)p.pw;
    bool first = true;
    for (uint kz = 0; kz < p.kd; kz++) {
        const int iz = z0 + (int)kz;
        if (iz < 0 || iz >= (int)p.id)
            continue;
        for (uint ky = 0; ky < p.kh; ky++) {
            const int iy = y0 + (int)ky;
            if (iy < 0 || iy >= (int)p.ih)
                continue;
            for (uint kx = 0; kx < p.kw; kx++) {
                const int ix = x0 + (int)kx;
                if (ix < 0 || ix >= (int)p.iw)
                    continue;
                const uint at = (((n * p.id + (uint)iz) * p.ih + (uint)iy) * p.iw + (uint)ix) * p.channels + c;
                float v[COUNT];
                if (COUNT == 4u) {
                    const float4 u = *(const float4 *)(x + at);
                    v[0] = u.x;
                    v[1 % COUNT] = u.y;
                    v[2 % COUNT] = u.z;
                    v[3 % COUNT] = u.w;
                } else {
                    v[0] = x[at];
                }
#pragma unroll
                for (uint e = 0; e < COUNT; e++) {
                    const float w = actc_canon(v[e]);
                    if (first || actc_beats(w, value[e])) {
                        value[e] = w;
                        place[e] = (kz * p.kh + ky) * p.kw + kx;
                    }
                }
                first = false;
            }
        }
    }
}

ACTC_CUDA_KERNEL(max_pool_fwd, const float *x, float *y, uint *index)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    if (i >= p.n)
        return;
    float value[4];
    uint place[4] = {0u, 0u, 0u, 0u};
    if (p.channels % 4u == 0u) { /* then n is a multiple of four too */
        scan<4>(p, x, i / p.channels, i % p.channels, value, place);
        *(float4 *)(y + i) = make_float4(value[0], value[1], value[2], value[3]);
    } else {
#pragma unroll
        for (uint e = 0; e < 4u; e++) {
            if (i + e < p.n) {
                scan<1>(p, x, (i + e) / p.channels, (i + e) % p.channels, value + e, place + e);
                y[i + e] = value[e];
            }
        }
    }
    index[i / 4u] = place[0] | place[1] << 8 | place[2] << 16 | place[3] << 24;
}
