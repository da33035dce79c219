/* loss.cuh: which rows of a batch count. */
#ifndef ACTC_LOSS_CUH
#define ACTC_LOSS_CUH

#include "common.cuh"

/* Below ROWS of the step block, and with a label in range (-1 is not). */
static __device__ __forceinline__ bool actc_row_counts(uint row, uint label, uint cols, const uint *step)
{
    return row < step[ACTC_STEP_ROWS] && label < cols;
}

#endif
