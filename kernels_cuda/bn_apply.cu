/* bn_apply.cu: batch norm from its statistics, with what may follow: scale and shift, a residual, ReLU and its mask.
 *
 * The 32 threads of a warp hold 32 consecutive elements, so a ballot is their mask word. */
#include "index.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(bn_apply, const float *x, const float *statistics, const float *gamma, const float *beta,
                 const float *residual, uint *y, uint *mask)
{
    ACTC_GROUP(group);
    const actc_divisor by_cols = actc_divide_by(p.cols);
    const uint cap = ACTC_F32_BITS(p.cap);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        uint bits = 0u;
        if (i < p.n) {
            uint c = i;
            actc_div_rem(c, by_cols);
            float v = actc_flush(x[i]);
            if (p.normalise != 0u)
                v = actc_normalise(v, actc_flush(statistics[c]), actc_flush(statistics[p.cols + c]));
            if (p.affine != 0u)
                v = actc_flush(ACTC_ADD(ACTC_MUL(v, actc_flush(gamma[c])), actc_flush(beta[c])));
            if (p.residual != 0u)
                v = ACTC_ADD(v, actc_flush(residual[i]));
            bits = actc_canon_bits(v);
            if (p.relu != 0u)
                bits = actc_clip_bits(bits, cap);
            y[i] = bits;
        }
        if (p.mask != 0u) {
            const uint word = __ballot_sync(0xffffffffu, i < p.n && actc_clip_passes(bits, cap));
            if (i < p.n && i % 32u == 0u)
                mask[i / 32u] = word;
        }
    }
}
