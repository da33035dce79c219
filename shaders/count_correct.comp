/* count_correct: how many rows have their highest score at the label, by one group. */
#version 450
#include "common.glsl"

ACTC_READ(0, scores);
ACTC_READ(1, labels);
ACTC_READ(2, steps);
ACTC_WRITE(3, result);
#include "loss.glsl"

shared uint correct;

void actc_kernel(uint group, uint lane)
{
    if (lane == 0u)
        correct = 0u;
    barrier();
    for (uint row = lane; row < p.rows; row += ACTC_GROUP_SIZE) {
        uint label = actc_label_of(row), winner = 0u;
        float best = actc_canon(uintBitsToFloat(scores[row * p.cols]));
        for (uint c = 1u; c < p.cols; c++) {
            float v = actc_canon(uintBitsToFloat(scores[row * p.cols + c]));
            if (actc_beats(v, best)) {
                best = v;
                winner = c;
            }
        }
        if (winner == label)
            atomicAdd(correct, 1u);
    }
    barrier();
    if (lane == 0u)
        result[ACTC_RESULT_CORRECT] = correct;
}
