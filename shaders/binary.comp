/* binary: y = f(a, b) over an index space, with broadcasting. */
#version 450
#include "common.glsl"
#include "exact/binary.h"

ACTC_READ(0, a);
ACTC_READ(1, b);
ACTC_WRITE(2, y);

void actc_kernel(uint group, uint lane)
{
    bool plain = true;
    for (int k = 3, dense = 1; k >= 0; dense *= int(p.size[k]), k--)
        plain = plain && (p.size[k] == 1u || (p.sa[k] == uint(dense) && p.sb[k] == uint(dense)));
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint ia = i, ib = i;
        if (!plain) {
            uint rest = i;
            ia = 0u;
            ib = 0u;
            for (int k = 3; k >= 0; k--) {
                uint left = rest / p.size[k], at = rest - left * p.size[k];
                ia += at * p.sa[k];
                ib += at * p.sb[k];
                rest = left;
            }
        }
        y[i] = actc_canon_bits(actc_binary(p.op, ACTC_LOAD(a, ia), ACTC_LOAD(b, ib), p.alpha));
    }
}
