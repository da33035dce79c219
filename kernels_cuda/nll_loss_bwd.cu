/* nll_loss_bwd.cu: the gradient with respect to the log-probabilities. */
#include "loss.cuh"

ACTC_CUDA_KERNEL(nll_loss_bwd, const uint *labels, const uint *step, uint *dx)
{
    ACTC_GROUP(group);
    const uint value = actc_canon_bits(ACTC_SUB(0.0f, actc_loss_scale(step[p.norm], p.weight)));
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.rows * p.cols)
            return;
        const uint r = i / p.cols;
        dx[i] = actc_row_counts(r, labels[r], p.cols, p.positions, step) && i % p.cols == labels[r] ? value : 0u;
    }
}
