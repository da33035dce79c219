/* accumulate.cu: b += a. */
#include "elements.cuh"

ACTC_CUDA_KERNEL(accumulate, const uint *a, uint *b)
{
    ACTC_GROUP(group);
    actc_map2(group, p.n, a, b, b,
              [](uint u, uint v) { return actc_canon_bits(ACTC_ADD(actc_flush_bits(u), actc_flush_bits(v))); });
}
