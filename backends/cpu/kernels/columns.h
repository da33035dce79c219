/* columns.h: values of columns beside the elements of a (rows,cols) tensor, so that loops over elements are vectors whatever
 * the number of columns is.
 *
 * The elements of a span are done in blocks. Up to COLUMNS_TABLE columns, every block begins at the same column, so that one
 * table serves all of them; of more columns a block is a part of a row, and has its table filled anew.
 */
#ifndef ACTC_CPU_COLUMNS_H
#define ACTC_CPU_COLUMNS_H

#include "kernel.h"

#define COLUMNS_SHORT 512u  /* tables of this length, and what is read and written beside them, stay in the first-level cache */
#define COLUMNS_TABLE 2048u

typedef struct columns_block {
    uint32_t first, count; /* elements [first, first + count) */
    uint32_t column;       /* of the first */
    bool fill;             /* the table does not hold this block's columns yet */
} columns_block;

/* The block behind `before`, or the first where its count is 0; count 0 behind the last. */
static inline columns_block columns_next(columns_block before, actc_cpu_span span, uint32_t cols)
{
    columns_block b = {before.count ? before.first + before.count : span.first, 0, 0, false};
    if (b.first >= span.last)
        return b;
    uint32_t length = cols <= COLUMNS_SHORT ? COLUMNS_SHORT / cols * cols : cols;
    b.column = b.first % cols;
    b.fill = !before.count || cols > COLUMNS_TABLE;
    if (cols > COLUMNS_TABLE)
        length = ACTC_MIN(COLUMNS_TABLE, cols - b.column);
    b.count = ACTC_MIN(length, span.last - b.first);
    return b;
}

/* to[k] = flush(from[column of element k]) for a block; `otherwise` where there are no values. */
static inline void columns_fill(float *to, const columns_block *b, uint32_t cols, const float *from, float otherwise)
{
    uint32_t c = b->column;
    for (uint32_t k = 0; k < b->count; k++) {
        to[k] = from ? actc_flush(from[c]) : otherwise;
        c = c + 1 == cols ? 0 : c + 1;
    }
}

#endif
