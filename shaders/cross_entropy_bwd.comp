/* cross_entropy_bwd: (softmax - one-hot label) * scale, +0 in rows that do not count. */
#version 450
#include "common.glsl"

ACTC_READ(0, log_p);
ACTC_READ(1, labels);
ACTC_READ(2, steps);
ACTC_WRITE(3, dx);
#include "loss.glsl"

void actc_kernel(uint group, uint lane)
{
    float scale = actc_loss_scale(steps[p.norm], p.weight);
    ACTC_FOR_ELEMENTS(i, p.rows * p.cols)
    {
        uint label = actc_label_of(i / p.cols);
        float probability = actc_exp(ACTC_LOAD(log_p, i));
        float d = ACTC_SUB(probability, i % p.cols == label ? 1.0 : 0.0);
        dx[i] = label < p.cols ? actc_canon_bits(ACTC_MUL(d, scale)) : 0u;
    }
}
