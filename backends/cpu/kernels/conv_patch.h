/* conv_patch.h: the input patch of an output pixel, as the factors (kz,ky,kx,i) of a convolution, i fastest. */
#ifndef ACTC_CPU_CONV_PATCH_H
#define ACTC_CPU_CONV_PATCH_H

#include "mac_tile.h"

/* The row (z, y) of a volume of `depth` planes of height x width pixels, or NULL where it lies outside. */
static inline const float *conv_row(const float *volume, int64_t z, int64_t y, uint32_t depth, uint32_t height, uint32_t width,
                                    uint32_t channels)
{
    if (z < 0 || y < 0 || z >= (int64_t)depth || y >= (int64_t)height)
        return NULL;
    return volume + ((uint64_t)z * height + (uint64_t)y) * width * channels;
}

/* The input row that tap (kz,ky) of output row (oz,oy) meets, or NULL. line: kz * kh + ky. */
static inline const float *conv_input_row(const struct actc_params_conv *p, const float *volume, uint32_t oz, uint32_t oy,
                                          uint32_t line)
{
    return conv_row(volume, (int64_t)oz * p->sd - p->pd + (int64_t)(line / p->kh) * p->dd,
                    (int64_t)oy * p->sh - p->ph + (int64_t)(line % p->kh) * p->dh, p->id, p->ih, p->iw, p->ic);
}

/* to[0, depth): the factors k0 .. k0 + depth of output pixel `pixel`; outside the image they are 0. */
static inline void conv_patch(const struct actc_params_conv *p, const float *x, float *to, uint32_t pixel, uint32_t k0,
                              uint32_t depth)
{
    uint32_t ox = pixel % p->ow, oy = pixel / p->ow % p->oh, plane = pixel / p->ow / p->oh;
    int64_t x0 = (int64_t)ox * p->sw - p->pw;
    const float *volume = x + (uint64_t)(plane / p->od) * p->id * p->ih * p->iw * p->ic;
    uint32_t row = p->kw * p->ic, line = k0 / row, j = k0 % row, done = 0;
    for (; done < depth; line++, j = 0) {
        uint32_t count = ACTC_MIN(row - j, depth - done);
        const float *from = conv_input_row(p, volume, plane % p->od, oy, line);
        if (!from) {
            mac_zero(to + done, count);
        } else if (p->dw == 1) {
            /* The row of the kernel lies side by side in memory: elements [low, high) of it are inside. */
            int64_t low = x0 < 0 ? -x0 * p->ic : 0, high = ((int64_t)p->iw - x0) * p->ic;
            for (uint32_t e = 0; e < count;) {
                int64_t at = (int64_t)j + e;
                if (at < low) {
                    uint32_t skip = (uint32_t)ACTC_MIN((int64_t)(count - e), low - at);
                    mac_zero(to + done + e, skip);
                    e += skip;
                } else if (at >= high) {
                    mac_zero(to + done + e, count - e);
                    e = count;
                } else {
                    uint32_t run = (uint32_t)ACTC_MIN((int64_t)(count - e), high - at);
                    mac_copy(to + done + e, from + x0 * p->ic + at, run);
                    e += run;
                }
            }
        } else {
            uint32_t kx = j / p->ic, i = j % p->ic;
            for (uint32_t e = 0; e < count; kx++, i = 0) {
                uint32_t run = ACTC_MIN(p->ic - i, count - e);
                int64_t ix = x0 + (int64_t)kx * p->dw;
                if (ix < 0 || ix >= (int64_t)p->iw)
                    mac_zero(to + done + e, run);
                else
                    mac_copy(to + done + e, from + (uint64_t)ix * p->ic + i, run);
                e += run;
            }
        }
        done += count;
    }
}

#endif
