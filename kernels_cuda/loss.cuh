/* loss.cuh: which rows of a batch count. */
#ifndef ACTC_LOSS_CUH
#define ACTC_LOSS_CUH

#include "common.cuh"
#include "exact/loss.h"

/* Of a sample below ROWS of the step block, and with a label in range (-1 is not). */
static __device__ __forceinline__ bool actc_row_counts(uint row, uint label, uint cols, uint positions, const uint *step)
{
    return row < step[ACTC_STEP_ROWS] * positions && label < cols;
}

#endif
