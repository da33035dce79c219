/* max_pool2d_bwd.cu: each input element gathers the gradients of the windows that chose it, in ascending (oy, ox). */
#include "common.cuh"

ACTC_CUDA_KERNEL(max_pool2d_bwd, const float *dy, const unsigned char *index, float *dx)
{
    ACTC_GROUP(group);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        const uint c = i % p.channels, pixel = i / p.channels;
        const uint ix = pixel % p.iw, iy = pixel / p.iw % p.ih, n = pixel / p.iw / p.ih;
        /* windows that hold row iy: oy * sh <= iy + ph < oy * sh + kh */
        const uint py = iy + p.ph, px = ix + p.pw;
        const uint oy0 = py < p.kh ? 0u : (py - p.kh) / p.sh + 1u, oy1 = min(py / p.sh + 1u, p.oh);
        const uint ox0 = px < p.kw ? 0u : (px - p.kw) / p.sw + 1u, ox1 = min(px / p.sw + 1u, p.ow);
        float sum = 0.0f;
        for (uint oy = oy0; oy < oy1; oy++) {
            for (uint ox = ox0; ox < ox1; ox++) {
                const uint at = ((n * p.oh + oy) * p.ow + ox) * p.channels + c;
                if (index[at] == (py - oy * p.sh) * p.kw + (px - ox * p.sw))
                    sum = ACTC_ADD(sum, actc_flush(dy[at]));
            }
        }
        dx[i] = actc_canon(sum);
    }
}
