/* softmax_rows.h: blocks of short rows, transposed, so that rows are vector lanes and columns follow each other in order. */
#ifndef ACTC_CPU_SOFTMAX_ROWS_H
#define ACTC_CPU_SOFTMAX_ROWS_H

#include "kernel.h"

#define SOFTMAX_ROWS 64u

typedef float softmax_block[ACTC_SOFTMAX_SERIAL][SOFTMAX_ROWS]; /* [column][row] */

static inline void softmax_take(softmax_block to, const float *from, uint32_t rows, uint32_t cols)
{
    memset(to, 0, cols * sizeof *to); /* rows that are not there */
    for (uint32_t r = 0; r < rows; r++, from += cols)
        for (uint32_t c = 0; c < cols; c++)
            to[c][r] = actc_flush(from[c]);
}

static inline void softmax_give(float *to, softmax_block from, uint32_t rows, uint32_t cols)
{
    for (uint32_t r = 0; r < rows; r++, to += cols)
        for (uint32_t c = 0; c < cols; c++)
            to[c] = actc_canon(from[c][r]);
}

#endif
