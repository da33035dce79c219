/* transpose.cu: (batch,rows,cols) -> (batch,cols,rows); moves bits.
 *
 * Written in the order of the output, so stores are whole lines and loads are served by the cache. */
#include "common.cuh"

ACTC_CUDA_KERNEL(transpose, const uint *x, uint *y)
{
    ACTC_GROUP(group);
    const uint plane = p.rows * p.cols;
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i < p.n) {
            const uint b = i / plane, at = i % plane;
            y[i] = x[b * plane + at % p.rows * p.cols + at / p.rows];
        }
    }
}
