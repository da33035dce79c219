/* depthwise_bwd_data.cu: input gradients, every channel by itself. One thread an input, channels fastest. */
#include "index.cuh"

ACTC_CUDA_KERNEL(depthwise_bwd_data, const float *__restrict__ dy, const float *__restrict__ w,
                 const float *__restrict__ bias, float *__restrict__ dx)
{
    ACTC_GROUP(group);
    const uint at = group * ACTC_GROUP_SIZE + threadIdx.x, channel = at % p.ic, pixel = at / p.ic;
    const uint ix = pixel % p.iw, row = pixel / p.iw, iy = row % p.ih, plane = row / p.ih, iz = plane % p.id, n = plane / p.id;
    if (n >= p.batch)
        return;
    const actc_divisor by_sd = actc_divide_by(p.sd), by_sh = actc_divide_by(p.sh), by_sw = actc_divide_by(p.sw);
    const uint outputs = p.oc / p.ic, taps = p.kd * p.kh * p.kw;
    uint tap = 0u;
    float sum = 0.0f;
    for (uint kz = 0u; kz < p.kd; kz++) {
        for (uint ky = 0u; ky < p.kh; ky++) {
            for (uint kx = 0u; kx < p.kw; kx++, tap++) {
                /* oy = (iy + ph - ky*dh) / sh where that is whole and inside */
                const int z = (int)(iz + p.pd - kz * p.dd), y = (int)(iy + p.ph - ky * p.dh), x = (int)(ix + p.pw - kx * p.dw);
                uint rest_z = (uint)z, rest_y = (uint)y, rest_x = (uint)x;
                const uint oz = actc_div_rem(rest_z, by_sd), oy = actc_div_rem(rest_y, by_sh), ox = actc_div_rem(rest_x, by_sw);
                if (z < 0 || y < 0 || x < 0 || (rest_z | rest_y | rest_x) != 0u || oz >= p.od || oy >= p.oh || ox >= p.ow)
                    continue;
                const float *const from = dy + (((n * p.od + oz) * p.oh + oy) * p.ow + ox) * p.oc;
                for (uint o = channel * outputs; o < (channel + 1u) * outputs; o++)
                    sum = ACTC_ADD(sum, ACTC_MUL(actc_factor(from[o]), actc_factor(w[o * taps + tap])));
            }
        }
    }
    if (p.bias != 0u)
        sum = ACTC_ADD(sum, actc_flush(bias[channel]));
    dx[at] = actc_canon(sum);
}
