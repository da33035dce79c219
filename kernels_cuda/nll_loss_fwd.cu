/* nll_loss_fwd.cu: the loss of each row, zero where the row does not count. */
#include "loss.cuh"

ACTC_CUDA_KERNEL(nll_loss_fwd, const float *log_p, const uint *labels, const uint *step, float *loss)
{
    ACTC_GROUP(group);
    const uint r = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (r >= p.rows)
        return;
    const float v = actc_row_counts(r, labels[r], p.cols, p.positions, step) ? actc_flush(log_p[r * p.cols + labels[r]]) : 0.0f;
    loss[r] = actc_canon(ACTC_SUB(0.0f, v));
}
