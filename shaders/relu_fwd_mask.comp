/* relu_fwd_mask: y = min(max(x, 0), cap) and a bit an element, set where the gradient passes. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);
ACTC_WRITE(2, mask);

const uint WORDS = ACTC_GROUP_ELEMENTS / 32u;
shared uint words[WORDS];

void actc_kernel(uint group, uint lane)
{
    if (lane < WORDS)
        words[lane] = 0u;
    barrier();
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint v = actc_clip_bits(actc_relu_bits(x[i]), floatBitsToUint(p.cap));
        y[i] = v;
        if (actc_clip_passes(v, floatBitsToUint(p.cap)))
            atomicOr(words[i % ACTC_GROUP_ELEMENTS / 32u], 1u << (i % 32u));
    }
    barrier();
    uint word = group * WORDS + lane;
    if (lane < WORDS && word < (p.n + 31u) / 32u)
        mask[word] = words[lane];
}
