/* conv_patch.h: the input patch of an output pixel, as the factors (ky,kx,i) of a convolution, i fastest. */
#ifndef ACTC_CPU_CONV_PATCH_H
#define ACTC_CPU_CONV_PATCH_H

#include "mac_tile.h"

/* The parameter structs of the three convolutions have the same members; this is what patches need of them. */
typedef struct conv_shape {
    uint32_t ic, ih, iw, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
} conv_shape;
#define CONV_SHAPE(p)                                                                                              \
    ((conv_shape){(p)->ic, (p)->ih, (p)->iw, (p)->oh, (p)->ow, (p)->kh, (p)->kw, (p)->sh, (p)->sw, (p)->ph, (p)->pw, \
                  (p)->dh, (p)->dw})

/* to[0, depth): the factors k0 .. k0 + depth of output pixel `pixel`; outside the image they are 0. */
static inline void conv_patch(const conv_shape *s, const float *x, float *to, uint32_t pixel, uint32_t k0, uint32_t depth)
{
    uint32_t ox = pixel % s->ow, oy = pixel / s->ow % s->oh, n = pixel / s->ow / s->oh;
    int64_t y0 = (int64_t)oy * s->sh - s->ph, x0 = (int64_t)ox * s->sw - s->pw;
    const float *image = x + (uint64_t)n * s->ih * s->iw * s->ic;
    uint32_t row = s->kw * s->ic, ky = k0 / row, j = k0 % row, done = 0;
    for (; done < depth; ky++, j = 0) {
        uint32_t count = ACTC_MIN(row - j, depth - done);
        int64_t iy = y0 + (int64_t)ky * s->dh;
        if (iy < 0 || iy >= (int64_t)s->ih) {
            mac_zero(to + done, count);
        } else if (s->dw == 1) {
            /* The row of the kernel lies side by side in memory: elements [low, high) of it are inside. */
            const float *line = image + (uint64_t)iy * s->iw * s->ic;
            int64_t low = x0 < 0 ? -x0 * s->ic : 0, high = ((int64_t)s->iw - x0) * s->ic;
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
                    mac_copy(to + done + e, line + x0 * s->ic + at, run);
                    e += run;
                }
            }
        } else {
            const float *line = image + (uint64_t)iy * s->iw * s->ic;
            uint32_t kx = j / s->ic, i = j % s->ic;
            for (uint32_t e = 0; e < count; kx++, i = 0) {
                uint32_t run = ACTC_MIN(s->ic - i, count - e);
                int64_t ix = x0 + (int64_t)kx * s->dw;
                if (ix < 0 || ix >= (int64_t)s->iw)
                    mac_zero(to + done + e, run);
                else
                    mac_copy(to + done + e, line + (uint64_t)ix * s->ic + i, run);
                e += run;
            }
        }
        done += count;
    }
}

#endif
