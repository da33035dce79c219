/* reduce_partial.cu: sums of terms over chunks of ACTC_SUM_ROWS rows, one thread a chunk and column. */
#include "common.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(reduce_partial, const float *x, const float *y, const float *statistics, float *partial)
{
    ACTC_GROUP(group);
    const uint o = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (o >= p.outer * p.chunks * p.cols)
        return;
    const uint c = o % p.cols, piece = o / p.cols, chunk = piece % p.chunks, outer = piece / p.chunks;
    const uint row = chunk * ACTC_SUM_ROWS, first_row = outer * p.rows + row;
    const uint rows = min(ACTC_SUM_ROWS, p.rows - row);
    const uint at = first_row * p.cols + c, column = outer * p.cols + c, end = at + rows * p.cols;
    float first = 0.0f, second = 0.0f;
    if (p.op == ACTC_REDUCE_SUM) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_flush(x[i]));
    } else if (p.op == ACTC_REDUCE_PRODUCT) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_product(actc_flush(x[i]), actc_flush(y[i])));
    } else if (p.op == ACTC_REDUCE_SQUARE) {
        const float mean = actc_flush(statistics[column]);
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_squared_distance(actc_flush(x[i]), mean));
    } else if (p.op == ACTC_REDUCE_PAIR) {
        for (uint i = at; i < end; i += p.cols) {
            const float v = actc_flush(x[i]);
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, actc_flush(y[i])));
        }
    } else if (p.op == ACTC_REDUCE_MOMENTS) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_flush(x[i]));
        const float mean = actc_chunk_mean(first, rows);
        for (uint i = at; i < end; i += p.cols)
            second = ACTC_ADD(second, actc_squared_distance(actc_flush(x[i]), mean));
    } else if (p.op == ACTC_REDUCE_NORM_COLUMNS) {
        const float mean = actc_flush(statistics[column]), inverse = actc_flush(statistics[p.outer * p.cols + column]);
        for (uint i = at; i < end; i += p.cols) {
            const float v = actc_flush(x[i]);
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, actc_normalise(actc_flush(y[i]), mean, inverse)));
        }
    } else if (p.op >= ACTC_REDUCE_OVERLAP) {
        const bool labels = p.op >= ACTC_REDUCE_OVERLAP_LABELS;
        const uint squares = p.op == ACTC_REDUCE_OVERLAP_SQUARES || p.op == ACTC_REDUCE_OVERLAP_LABELS_SQUARES ? 1u : 0u;
        for (uint r = 0u; r < rows; r++) {
            const float v = actc_flush(x[at + r * p.cols]);
            const float w = !labels ? actc_flush(y[at + r * p.cols]) : ((const uint *)y)[first_row + r] == c ? 1.0f : 0.0f;
            first = ACTC_ADD(first, actc_product(v, w));
            second = ACTC_ADD(second, actc_dice_size(squares, v, w));
        }
    } else {
        const float *means = statistics + first_row, *inverses = means + p.outer * p.rows;
        for (uint r = 0u; r < rows; r++) {
            const float v = actc_flush(x[at + r * p.cols]);
            const float normal = actc_normalise(actc_flush(y[at + r * p.cols]), actc_flush(means[r]), actc_flush(inverses[r]));
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, normal));
        }
    }
    float *const to = partial + piece * ACTC_REDUCE_WIDTH(p.op) * p.cols + c;
    to[0] = actc_canon(first);
    if (ACTC_REDUCE_WIDTH(p.op) == 2u)
        to[p.cols] = actc_canon(second);
}
