/* max_pool2d_fwd: the largest value of each window and where in the window it is, 8 bits. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);
ACTC_WRITE(2, index);

const uint WORDS = ACTC_GROUP_ELEMENTS / 4u;
shared uint words[WORDS];

void actc_kernel(uint group, uint lane)
{
    words[lane] = 0u;
    barrier();
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, pixel = i / p.channels;
        uint ox = pixel % p.ow, oy = pixel / p.ow % p.oh, image = pixel / (p.ow * p.oh);
        float best = 0.0;
        uint winner = 0u;
        bool any = false;
        for (uint ky = 0u; ky < p.kh; ky++) {
            uint iy = oy * p.sh + ky - p.ph; /* above the image: wraps, and is not below ih */
            for (uint kx = 0u; kx < p.kw; kx++) {
                uint ix = ox * p.sw + kx - p.pw;
                if (iy < p.ih && ix < p.iw) {
                    float v = actc_canon(uintBitsToFloat(x[((image * p.ih + iy) * p.iw + ix) * p.channels + c]));
                    if (!any || actc_beats(v, best)) {
                        best = v;
                        winner = ky * p.kw + kx;
                    }
                    any = true;
                }
            }
        }
        y[i] = floatBitsToUint(best);
        atomicOr(words[i % ACTC_GROUP_ELEMENTS / 4u], winner << (i % 4u * 8u));
    }
    barrier();
    uint word = group * WORDS + lane;
    if (word < (p.n + 3u) / 4u)
        index[word] = words[lane];
}
