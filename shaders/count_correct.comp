/* count_correct: how many rows of each group have their highest score at the label. */
#version 450
#include "common.glsl"

ACTC_READ(0, scores);
ACTC_READ(1, labels);
ACTC_READ(2, steps);
ACTC_WRITE(3, counts);
#include "loss.glsl"

shared uint correct;

void actc_kernel(uint group, uint lane)
{
    if (lane == 0u)
        correct = 0u;
    barrier();
    uint row = group * ACTC_GROUP_SIZE + lane;
    uint label = row < p.rows ? actc_label_of(row) : p.cols;
    if (label < p.cols) {
        uint winner = 0u;
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
        counts[group] = correct;
}
