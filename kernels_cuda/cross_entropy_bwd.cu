/* cross_entropy_bwd.cu: the gradient of softmax cross-entropy from the log-probabilities. */
#include "loss.cuh"

ACTC_CUDA_KERNEL(cross_entropy_bwd, const float *log_p, const uint *labels, const uint *step, float *dx)
{
    ACTC_GROUP(group);
    const float scale = actc_loss_scale(step[p.norm], p.weight);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.rows * p.cols)
            return;
        const uint r = i / p.cols;
        const float target = i % p.cols == labels[r] ? 1.0f : 0.0f;
        const float g = actc_canon(ACTC_MUL(ACTC_SUB(actc_exp(actc_flush(log_p[i])), target), scale));
        dx[i] = actc_row_counts(r, labels[r], p.cols, p.positions, step) ? g : 0.0f;
    }
}
