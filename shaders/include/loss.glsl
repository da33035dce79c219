/* loss.glsl: which rows of a batch count. `labels` and `steps` are the kernel's views. */
#ifndef ACTC_LOSS_GLSL
#define ACTC_LOSS_GLSL

#include "exact/loss.h"

/* The label of a row that counts, or p.cols: nothing is at that column. */
uint actc_label_of(uint row)
{
    uint label = labels[row]; /* negative labels are large */
    return row < steps[ACTC_STEP_ROWS] * p.positions && label < p.cols ? label : p.cols;
}

#endif
