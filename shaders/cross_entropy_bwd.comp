/* cross_entropy_bwd: (softmax - one-hot label) / rows, +0 in rows that do not count. */
#version 450
#include "common.glsl"

ACTC_READ(0, log_p);
ACTC_READ(1, labels);
ACTC_READ(2, steps);
ACTC_WRITE(3, dx);
#include "loss.glsl"

void actc_kernel(uint group, uint lane)
{
    float inv_rows = uintBitsToFloat(steps[ACTC_STEP_INV_ROWS]);
    ACTC_FOR_ELEMENTS(i, p.rows * p.cols)
    {
        uint label = actc_label_of(i / p.cols);
        float probability = actc_exp(ACTC_LOAD(log_p, i));
        float d = ACTC_SUB(probability, i % p.cols == label ? 1.0 : 0.0);
        dx[i] = label < p.cols ? actc_canon_bits(ACTC_MUL(d, inv_rows)) : 0u;
    }
}
