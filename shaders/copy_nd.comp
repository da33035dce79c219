/* copy_nd: a box of elements from one place and stride to another; moves bits, or adds. */
#version 450
#include "common.glsl"

ACTC_READ(0, source);
ACTC_WRITE(1, target);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint rest = i, from = p.source_at, to = p.target_at;
        for (int k = 5; k >= 0; k--) {
            uint left = rest / p.size[k], at = rest - left * p.size[k];
            from += at * p.ss[k];
            to += at * p.ds[k];
            rest = left;
        }
        uint bits = source[from];
        if (p.accumulate != 0u)
            bits = actc_canon_bits(ACTC_ADD(ACTC_LOAD(target, to), actc_flush_bits(bits)));
        target[to] = bits;
    }
}
