/* add.cu: c = a + b, element by element. The example to start a new kernel from. */
#include "elements.cuh"

ACTC_CUDA_KERNEL(add, const uint *a, const uint *b, uint *c)
{
    ACTC_GROUP(group);
    actc_map2(group, p.n, a, b, c,
              [](uint u, uint v) { return actc_canon_bits(ACTC_ADD(actc_flush_bits(u), actc_flush_bits(v))); });
}
