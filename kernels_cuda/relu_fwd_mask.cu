/* relu_fwd_mask.cu: y = min(max(x, 0), cap), and a bit an element that says where the gradient passes.
 *
 * The 32 threads of a warp hold 32 consecutive elements, so a ballot is their mask word. */
#include "common.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(relu_fwd_mask, const uint *x, uint *y, uint *mask)
{
    ACTC_GROUP(group);
    const uint cap = ACTC_F32_BITS(p.cap);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        const uint u = i < p.n ? actc_clip_bits(actc_relu_bits(x[i]), cap) : 0u;
        const uint word = __ballot_sync(0xffffffffu, actc_clip_passes(u, cap));
        if (i < p.n) {
            y[i] = u;
            if (i % 32u == 0u)
                mask[i / 32u] = word;
        }
    }
}
