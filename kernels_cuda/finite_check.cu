/* finite_check.cu: notes the first gradient element that is not finite.
 *
 * Blocks run in any order, so the word is lowered by compare and swap; that happens only where something is wrong. */
#include "common.cuh"

ACTC_CUDA_KERNEL(finite_check, const uint *g, uint *result)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    uint first = 0xffffffffu;
    if (i + 4u <= p.n) {
        const uint4 u = *(const uint4 *)(g + i);
        first = actc_not_finite(u.w) != 0u ? i + 3u : first;
        first = actc_not_finite(u.z) != 0u ? i + 2u : first;
        first = actc_not_finite(u.y) != 0u ? i + 1u : first;
        first = actc_not_finite(u.x) != 0u ? i : first;
    } else {
        for (uint j = p.n; j > i; j--)
            first = actc_not_finite(g[j - 1u]) != 0u ? j - 1u : first;
    }
    if (first == 0xffffffffu)
        return;
    const uint mine = 2u + p.first + first;
    uint now = result[ACTC_RESULT_BAD];
    while (now == 0u || mine < now) { /* 0 counts as the highest */
        const uint seen = atomicCAS(&result[ACTC_RESULT_BAD], now, mine);
        if (seen == now)
            break;
        now = seen;
    }
}
