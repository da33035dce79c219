/* depthwise_fwd.cu: convolution of every channel by itself. One thread an output, channels fastest. */
#include "common.cuh"

ACTC_CUDA_KERNEL(depthwise_fwd, const float *__restrict__ x, const float *__restrict__ w, const float *__restrict__ bias,
                 float *__restrict__ y)
{
    ACTC_GROUP(group);
    const uint at = group * ACTC_GROUP_SIZE + threadIdx.x, o = at % p.oc, pixel = at / p.oc;
    const uint ox = pixel % p.ow, row = pixel / p.ow, oy = row % p.oh, plane = row / p.oh, oz = plane % p.od, n = plane / p.od;
    if (n >= p.batch)
        return;
    const uint channel = o / (p.oc / p.ic);
    /* what lies before the image wraps to large numbers */
    const uint z0 = oz * p.sd - p.pd, y0 = oy * p.sh - p.ph, x0 = ox * p.sw - p.pw;
    uint tap = o * p.kd * p.kh * p.kw;
    float sum = 0.0f;
    for (uint kz = 0u; kz < p.kd; kz++) {
        for (uint ky = 0u; ky < p.kh; ky++) {
            for (uint kx = 0u; kx < p.kw; kx++, tap++) {
                const uint iz = z0 + kz * p.dd, iy = y0 + ky * p.dh, ix = x0 + kx * p.dw;
                if (iz >= p.id || iy >= p.ih || ix >= p.iw)
                    continue;
                const float a = actc_factor(x[(((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic + channel]);
                sum = ACTC_ADD(sum, ACTC_MUL(a, actc_factor(w[tap])));
            }
        }
    }
    if (p.bias != 0u)
        sum = ACTC_ADD(sum, actc_flush(bias[o]));
    y[at] = actc_canon(sum);
}
