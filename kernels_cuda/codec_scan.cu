/* codec_scan.cu: exclusive sums over the segments. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_scan, uint *sums)
{
    ACTC_GROUP(group);
    __shared__ uint scanned[ACTC_GROUP_SIZE];
    for (uint word = 0u; word < 2u; word++) {
        uint before = 0u;
        for (uint first = 0u; first < p.segments; first += ACTC_GROUP_SIZE) {
            const uint s = first + threadIdx.x, own = s < p.segments ? sums[2u * s + word] : 0u;
            const uint through = codec_scan_threads(scanned, own);
            if (s < p.segments)
                sums[2u * s + word] = before + through - own;
            before += scanned[ACTC_GROUP_SIZE - 1u];
            __syncthreads(); /* the total is read before the next scan writes it */
        }
    }
}
