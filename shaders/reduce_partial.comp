/* reduce_partial: sums of terms over chunks of ACTC_SUM_ROWS rows, one invocation a chunk and column. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, x);
ACTC_READ(1, y);
ACTC_READ(2, statistics);
ACTC_WRITE(3, partial);

void actc_kernel(uint group, uint lane)
{
    uint o = group * ACTC_GROUP_SIZE + lane;
    if (o >= p.outer * p.chunks * p.cols)
        return;
    uint c = o % p.cols, piece = o / p.cols, chunk = piece % p.chunks, outer = piece / p.chunks;
    uint row = chunk * ACTC_SUM_ROWS, first_row = outer * p.rows + row;
    uint rows = min(ACTC_SUM_ROWS, p.rows - row);
    uint at = first_row * p.cols + c, column = outer * p.cols + c, end = at + rows * p.cols;
    float first = 0.0, second = 0.0;
    if (p.op == ACTC_REDUCE_SUM) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, ACTC_LOAD(x, i));
    } else if (p.op == ACTC_REDUCE_PRODUCT) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_product(ACTC_LOAD(x, i), ACTC_LOAD(y, i)));
    } else if (p.op == ACTC_REDUCE_SQUARE) {
        float mean = ACTC_LOAD(statistics, column);
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, actc_squared_distance(ACTC_LOAD(x, i), mean));
    } else if (p.op == ACTC_REDUCE_PAIR) {
        for (uint i = at; i < end; i += p.cols) {
            float v = ACTC_LOAD(x, i);
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, ACTC_LOAD(y, i)));
        }
    } else if (p.op == ACTC_REDUCE_MOMENTS) {
        for (uint i = at; i < end; i += p.cols)
            first = ACTC_ADD(first, ACTC_LOAD(x, i));
        float mean = actc_chunk_mean(first, rows);
        for (uint i = at; i < end; i += p.cols)
            second = ACTC_ADD(second, actc_squared_distance(ACTC_LOAD(x, i), mean));
    } else if (p.op == ACTC_REDUCE_NORM_COLUMNS) {
        float mean = ACTC_LOAD(statistics, column), inverse = ACTC_LOAD(statistics, p.outer * p.cols + column);
        for (uint i = at; i < end; i += p.cols) {
            float v = ACTC_LOAD(x, i);
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, actc_normalise(ACTC_LOAD(y, i), mean, inverse)));
        }
    } else if (p.op >= ACTC_REDUCE_OVERLAP) {
        uint squares = p.op == ACTC_REDUCE_OVERLAP_SQUARES || p.op == ACTC_REDUCE_OVERLAP_LABELS_SQUARES ? 1u : 0u;
        for (uint r = 0u; r < rows; r++) {
            float v = ACTC_LOAD(x, at + r * p.cols), w;
            if (p.op >= ACTC_REDUCE_OVERLAP_LABELS)
                w = y[first_row + r] == c ? 1.0 : 0.0;
            else
                w = ACTC_LOAD(y, at + r * p.cols);
            first = ACTC_ADD(first, actc_product(v, w));
            second = ACTC_ADD(second, actc_dice_size(squares, v, w));
        }
    } else {
        uint inverses = p.outer * p.rows;
        for (uint r = 0u; r < rows; r++) {
            float v = ACTC_LOAD(x, at + r * p.cols);
            float normal = actc_normalise(ACTC_LOAD(y, at + r * p.cols), ACTC_LOAD(statistics, first_row + r),
                                          ACTC_LOAD(statistics, inverses + first_row + r));
            first = ACTC_ADD(first, v);
            second = ACTC_ADD(second, actc_product(v, normal));
        }
    }
    if (p.op < ACTC_REDUCE_PAIR) {
        partial[o] = actc_canon_bits(first);
    } else {
        uint to = piece * 2u * p.cols + c;
        partial[to] = actc_canon_bits(first);
        partial[to + p.cols] = actc_canon_bits(second);
    }
}
