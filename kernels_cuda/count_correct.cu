/* count_correct.cu: rows whose highest score is at the label, a count for every block of them. */
#include "loss.cuh"

ACTC_CUDA_KERNEL(count_correct, const float *scores, const uint *labels, const uint *step, uint *counts)
{
    ACTC_GROUP(group);
    const uint r = group * ACTC_GROUP_SIZE + threadIdx.x;
    int correct = 0;
    if (r < p.rows && actc_row_counts(r, labels[r], p.cols, p.positions, step)) {
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
        correct = best == labels[r];
    }
    const uint count = (uint)__syncthreads_count(correct);
    if (threadIdx.x == 0u)
        counts[group] = count;
}
