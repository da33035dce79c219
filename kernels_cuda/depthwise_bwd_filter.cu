/* depthwise_bwd_filter.cu: weight gradients of each chunk of output pixels, every channel by itself. One thread a weight,
 * channels fastest. */
#include "common.cuh"

ACTC_CUDA_KERNEL(depthwise_bwd_filter, const float *__restrict__ x, const float *__restrict__ dy,
                 float *__restrict__ partial)
{
    ACTC_GROUP(group);
    const uint taps = p.kd * p.kh * p.kw, pixels = p.batch * p.od * p.oh * p.ow;
    const uint at = group * ACTC_GROUP_SIZE + threadIdx.x, o = at % p.oc, tap = at / p.oc % taps, chunk = at / p.oc / taps;
    const uint all_runs = (pixels - 1u) / ACTC_FILTER_PIXELS + 1u;
    if (chunk >= (all_runs - 1u) / p.runs + 1u)
        return;
    const uint channel = o / (p.oc / p.ic), line = tap / p.kw;
    const uint z0 = line / p.kh * p.dd - p.pd, y0 = line % p.kh * p.dh - p.ph, x0 = tap % p.kw * p.dw - p.pw;
    uint pixel = chunk * p.runs * ACTC_FILTER_PIXELS;
    const uint row = pixel / p.ow, plane = row / p.oh;
    uint ox = pixel % p.ow, oy = row % p.oh, oz = plane % p.od, n = plane / p.od;
    float sum = 0.0f;
    for (uint run = 0u; run < p.runs && pixel < pixels; run++) {
        float s = 0.0f;
        for (const uint end = min(pixel + ACTC_FILTER_PIXELS, pixels); pixel < end; pixel++) {
            /* what lies before the image wraps to large numbers */
            const uint iz = oz * p.sd + z0, iy = oy * p.sh + y0, ix = ox * p.sw + x0;
            if (iz < p.id && iy < p.ih && ix < p.iw) {
                const float a = actc_factor(x[(((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic + channel]);
                s = ACTC_ADD(s, ACTC_MUL(a, actc_factor(dy[pixel * p.oc + o])));
            }
            if (++ox == p.ow) {
                ox = 0u;
                if (++oy == p.oh) {
                    oy = 0u;
                    if (++oz == p.od) {
                        oz = 0u;
                        n++;
                    }
                }
            }
        }
        sum = run == 0u ? actc_canon(s) : actc_canon(ACTC_ADD(sum, actc_canon(s)));
    }
    partial[(chunk * p.oc + o) * taps + tap] = sum;
}
