/* finite_check: lowers BAD to 2 + the first element that is not finite. */
#version 450
#include "common.glsl"

ACTC_READ(0, g);
ACTC_WRITE(1, result);

const uint NONE = 0xffffffffu;
shared uint first;

void actc_kernel(uint group, uint lane)
{
    if (lane == 0u)
        first = NONE;
    barrier();
    ACTC_FOR_ELEMENTS(i, p.n)
        if (actc_not_finite(g[i]) != 0u)
            atomicMin(first, i);
    barrier();
    if (lane == 0u && first != NONE) {
        /* 0 is the highest, so this is no atomic min: write over 0, then over whatever is higher. */
        uint bad = 2u + p.first + first;
        uint old = atomicCompSwap(result[ACTC_RESULT_BAD], 0u, bad);
        while (old != 0u && bad < old) {
            uint seen = atomicCompSwap(result[ACTC_RESULT_BAD], old, bad);
            if (seen == old)
                break;
            old = seen;
        }
    }
}
