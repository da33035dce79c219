/* max_pool_bwd.cu: each input element gathers the gradients of the windows that chose it, in ascending (oz, oy, ox). */
#include "common.cuh"

/* Windows o along one axis with 0 <= at - o * stride < taps: x to y - 1. */
static __device__ __forceinline__ uint2 windows(uint at, uint taps, uint stride, uint extent)
{
    return make_uint2(at < taps ? 0u : (at - taps) / stride + 1u, min(at / stride + 1u, extent));
}

ACTC_CUDA_KERNEL(max_pool_bwd, const float *dy, const unsigned char *index, float *dx)
{
    ACTC_GROUP(group);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        const uint c = i % p.channels, position = i / p.channels;
        const uint row = position / p.iw, slice = row / p.ih, n = slice / p.id;
        const uint pz = slice % p.id + p.pd, py = row % p.ih + p.ph, px = position % p.iw + p.pw;
        const uint2 z = windows(pz, p.kd, p.sd, p.od), y = windows(py, p.kh, p.sh, p.oh), x = windows(px, p.kw, p.sw, p.ow);
        float sum = 0.0f;
        for (uint oz = z.x; oz < z.y; oz++) {
            for (uint oy = y.x; oy < y.y; oy++) {
                for (uint ox = x.x; ox < x.y; ox++) {
                    const uint at = (((n * p.od + oz) * p.oh + oy) * p.ow + ox) * p.channels + c;
                    if (index[at] == ((pz - oz * p.sd) * p.kh + (py - oy * p.sh)) * p.kw + (px - ox * p.sw))
                        sum = ACTC_ADD(sum, actc_flush(dy[at]));
                }
            }
        }
        dx[i] = actc_canon(sum);
    }
}
