/* avg_pool_bwd.cu: each input element gathers its part of the gradients of the windows that hold it, in ascending (oz, oy, ox). */
#include "common.cuh"

#include "exact/pool.h"

static __device__ __forceinline__ uint length(actc_range r)
{
    return r.last - r.first;
}

ACTC_CUDA_KERNEL(avg_pool_bwd, const float *dy, float *dx)
{
    ACTC_GROUP(group);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        const uint c = i % p.channels, position = i / p.channels, rest = position / p.iw, slice = rest / p.ih;
        const actc_range z = actc_pool_holders(slice % p.id, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive);
        const actc_range y = actc_pool_holders(rest % p.ih, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive);
        const actc_range x = actc_pool_holders(position % p.iw, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive);
        const uint image = slice / p.id * p.od;
        float sum = 0.0f, factor = p.scale;
        for (uint oz = z.first; oz < z.last; oz++) {
            for (uint oy = y.first; oy < y.last; oy++) {
                for (uint ox = x.first; ox < x.last; ox++) {
                    if (p.scale == 0.0f)
                        factor = actc_pool_factor(
                            0.0f, length(actc_pool_window(oz, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive)) *
                                      length(actc_pool_window(oy, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive)) *
                                      length(actc_pool_window(ox, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive)));
                    const uint at = (((image + oz) * p.oh + oy) * p.ow + ox) * p.channels + c;
                    sum = ACTC_ADD(sum, ACTC_MUL(actc_flush(dy[at]), factor));
                }
            }
        }
        dx[i] = actc_canon(sum);
    }
}
