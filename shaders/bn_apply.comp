/* bn_apply: batch norm from its statistics, with what may follow: scale and shift, a residual, ReLU and its mask. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, x);
ACTC_READ(1, statistics);
ACTC_READ(2, gamma);
ACTC_READ(3, beta);
ACTC_READ(4, residual);
ACTC_WRITE(5, y);
ACTC_WRITE(6, mask);

const uint WORDS = ACTC_GROUP_ELEMENTS / 32u;
shared uint words[WORDS];

void actc_kernel(uint group, uint lane)
{
    uint cap = floatBitsToUint(p.cap);
    if (lane < WORDS)
        words[lane] = 0u;
    barrier();
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.cols;
        float v = ACTC_LOAD(x, i);
        if (p.normalise != 0u)
            v = actc_normalise(v, ACTC_LOAD(statistics, c), ACTC_LOAD(statistics, p.cols + c));
        if (p.affine != 0u)
            v = actc_flush(ACTC_ADD(ACTC_MUL(v, ACTC_LOAD(gamma, c)), ACTC_LOAD(beta, c)));
        if (p.residual != 0u)
            v = ACTC_ADD(v, ACTC_LOAD(residual, i));
        uint bits = actc_canon_bits(v);
        if (p.relu != 0u)
            bits = actc_clip_bits(bits, cap);
        y[i] = bits;
        if (p.mask != 0u && actc_clip_passes(bits, cap))
            atomicOr(words[i % ACTC_GROUP_ELEMENTS / 32u], 1u << (i % 32u));
    }
    barrier();
    uint word = group * WORDS + lane;
    if (p.mask != 0u && lane < WORDS && word < (p.n + 31u) / 32u)
        mask[word] = words[lane];
}
