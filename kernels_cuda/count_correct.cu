/* count_correct.cu: rows whose highest score is at the label. One group. */
#include "loss.cuh"

ACTC_CUDA_KERNEL(count_correct, const float *scores, const uint *labels, const uint *step, uint *result)
{
    ACTC_GROUP(group);
    __shared__ uint total;
    const uint t = threadIdx.x;
    if (t == 0u)
        total = 0u;
    __syncthreads();
    uint correct = 0u;
    for (uint r = t; r < p.rows; r += ACTC_GROUP_SIZE) {
        const float *in = scores + r * p.cols;
        uint best = 0u;
        float highest = actc_canon(in[0]);
        for (uint c = 1; c < p.cols; c++) {
            const float v = actc_canon(in[c]);
            if (actc_beats(v, highest)) {
                highest = v;
                best = c;
            }
        }
        correct += actc_row_counts(r, labels[r], p.cols, step) && best == labels[r] ? 1u : 0u;
    }
    if (correct != 0u)
        atomicAdd(&total, correct); /* integers: any order gives the same sum */
    __syncthreads();
    if (t == 0u && group == 0u)
        result[ACTC_RESULT_CORRECT] = total;
}
