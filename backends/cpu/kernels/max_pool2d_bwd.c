/* max_pool2d_bwd.c: each input element gathers the gradients of the windows that chose it, in ascending (oy, ox). */
#include "kernel.h"

#define BLOCK 256u

ACTC_CPU_KERNEL(max_pool2d_bwd)
{
    const struct actc_params_max_pool2d_bwd *p = params;
    const float *dy = views[0];
    const uint8_t *index = views[1];
    float *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    float sum[BLOCK];
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t c = i % p->channels, pixel = i / p->channels;
        uint32_t ix = pixel % p->iw, iy = pixel / p->iw % p->ih, n = pixel / p->iw / p->ih;
        uint32_t count = ACTC_MIN(ACTC_MIN(p->channels - c, BLOCK), span.last - i);
        for (uint32_t k = 0; k < count; k++)
            sum[k] = 0.0f;
        /* Windows that hold row iy: oy * sh <= iy + ph < oy * sh + kh. */
        uint32_t py = iy + p->ph, px = ix + p->pw;
        uint32_t oy0 = py < p->kh ? 0 : (py - p->kh) / p->sh + 1, oy1 = ACTC_MIN(py / p->sh + 1, p->oh);
        uint32_t ox0 = px < p->kw ? 0 : (px - p->kw) / p->sw + 1, ox1 = ACTC_MIN(px / p->sw + 1, p->ow);
        for (uint32_t oy = oy0; oy < oy1; oy++) {
            for (uint32_t ox = ox0; ox < ox1; ox++) {
                uint64_t at = (((uint64_t)n * p->oh + oy) * p->ow + ox) * p->channels + c;
                uint32_t place = (py - oy * p->sh) * p->kw + (px - ox * p->sw);
                ACTC_CPU_SIMD
                for (uint32_t k = 0; k < count; k++)
                    sum[k] = index[at + k] == place ? ACTC_ADD(sum[k], actc_flush(dy[at + k])) : sum[k];
            }
        }
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            dx[i + k] = actc_canon(sum[k]);
        i += count;
    }
}
