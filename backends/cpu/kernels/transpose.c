/* transpose.c: (batch,rows,cols) -> (batch,cols,rows); moves bits. */
#include "kernel.h"

#define TILE 32u /* columns read while they are in the cache */

ACTC_CPU_KERNEL(transpose)
{
    const struct actc_params_transpose *p = params;
    const uint32_t *x = views[0];
    uint32_t *y = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    /* Whole output rows are done in tiles; the ends of the span one element at a time. */
    uint64_t rows = p->rows, cols = p->cols;
    uint64_t i = span.first;
    while (i < span.last) {
        uint64_t b = i / (rows * cols), at = i % (rows * cols), c = at / rows, r = at % rows;
        const uint32_t *from = x + b * rows * cols;
        uint32_t *to = y + b * rows * cols;
        uint64_t whole = ACTC_MIN((span.last - i) / rows, cols - c);
        if (r != 0 || whole == 0) {
            uint64_t stop = ACTC_MIN(rows, r + (span.last - i));
            for (uint64_t k = r; k < stop; k++)
                to[c * rows + k] = from[k * cols + c];
            i += stop - r;
            continue;
        }
        for (uint64_t c0 = c; c0 < c + whole; c0 += TILE) {
            uint64_t c1 = ACTC_MIN(c0 + TILE, c + whole);
            for (uint64_t r0 = 0; r0 < rows; r0 += TILE) {
                uint64_t r1 = ACTC_MIN(r0 + TILE, rows);
                for (uint64_t k = c0; k < c1; k++)
                    for (uint64_t l = r0; l < r1; l++)
                        to[k * rows + l] = from[l * cols + k];
            }
        }
        i += whole * rows;
    }
}
