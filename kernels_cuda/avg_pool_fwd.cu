/* avg_pool_fwd.cu: the mean of each window.
 *
 * A thread makes four consecutive outputs. Where channels come in fours the four share their window and are summed together. */
#include "common.cuh"

#include "exact/pool.h"

/* The means of COUNT channels of x from c on in the window of an output position. */
template <uint COUNT>
static __device__ __forceinline__ void mean(const actc_params_avg_pool_fwd &p, const float *x, uint position, uint c, float *y)
{
    const uint rest = position / p.ow, slice = rest / p.oh, image = slice / p.od * p.id;
    const actc_range z = actc_pool_window(slice % p.od, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive);
    const actc_range r = actc_pool_window(rest % p.oh, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive);
    const actc_range k = actc_pool_window(position % p.ow, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive);
    float sum[COUNT];
#pragma unroll
    for (uint e = 0; e < COUNT; e++)
        sum[e] = 0.0f;
    for (uint iz = z.first; iz < z.last; iz++) {
        for (uint iy = r.first; iy < r.last; iy++) {
            uint at = (((image + iz) * p.ih + iy) * p.iw + k.first) * p.channels + c;
            float row[COUNT];
#pragma unroll
            for (uint e = 0; e < COUNT; e++)
                row[e] = 0.0f;
            for (uint ix = k.first; ix < k.last; ix++, at += p.channels) {
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
                for (uint e = 0; e < COUNT; e++)
                    row[e] = ACTC_ADD(row[e], actc_flush(v[e]));
            }
#pragma unroll
            for (uint e = 0; e < COUNT; e++)
                sum[e] = ACTC_ADD(sum[e], row[e]);
        }
    }
    const float factor = actc_pool_factor(p.scale, (z.last - z.first) * (r.last - r.first) * (k.last - k.first));
#pragma unroll
    for (uint e = 0; e < COUNT; e++)
        y[e] = actc_canon(ACTC_MUL(sum[e], factor));
}

ACTC_CUDA_KERNEL(avg_pool_fwd, const float *x, float *y)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    if (i >= p.n)
        return;
    if (p.channels % 4u == 0u) { /* then n is a multiple of four too */
        float value[4];
        mean<4>(p, x, i / p.channels, i % p.channels, value);
        *(float4 *)(y + i) = make_float4(value[0], value[1], value[2], value[3]);
    } else {
        for (uint j = i; j < min(i + 4u, p.n); j++)
            mean<1>(p, x, j / p.channels, j % p.channels, y + j);
    }
}
