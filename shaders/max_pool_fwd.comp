/* max_pool_fwd: the largest value of each window and where in the window it is, 8 bits. */
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
        uint c = i % p.channels, position = i / p.channels;
        uint ox = position % p.ow, row = position / p.ow, oy = row % p.oh, slice = row / p.oh;
        uint oz = slice % p.od, image = slice / p.od;
        float best = 0.0;
        uint winner = 0u;
        bool any = false;
        for (uint kz = 0u; kz < p.kd; kz++) {
            uint iz = oz * p.sd + kz - p.pd; /* before the image: wraps, and is not below id */
            for (uint ky = 0u; ky < p.kh; ky++) {
                uint iy = oy * p.sh + ky - p.ph;
                if (iz >= p.id || iy >= p.ih)
                    continue;
                for (uint kx = 0u; kx < p.kw; kx++) {
                    uint ix = ox * p.sw + kx - p.pw;
                    if (ix < p.iw) {
                        uint at = (((image * p.id + iz) * p.ih + iy) * p.iw + ix) * p.channels + c;
                        float v = actc_canon(uintBitsToFloat(x[at]));
                        if (!any || actc_beats(v, best)) {
                            best = v;
                            winner = (kz * p.kh + ky) * p.kw + kx;
                        }
                        any = true;
                    }
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
