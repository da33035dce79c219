/* table.c: the functions of one instruction set. */
#include "fused.h"

const codec_fns ACTC_CPU_NAME(fused_fns) = {
    .forward = {[CODEC_BLOCKS] = ACTC_CPU_NAME(fused_dct_blocks),
                [CODEC_ROWS] = ACTC_CPU_NAME(fused_dct_rows),
                [CODEC_WAVELET] = ACTC_CPU_NAME(fused_dwt)},
    .inverse_blocks = ACTC_CPU_NAME(fused_idct_blocks),
    .inverse = {[CODEC_ROWS] = ACTC_CPU_NAME(fused_idct_rows), [CODEC_WAVELET] = ACTC_CPU_NAME(fused_idwt)},
    .count_above = ACTC_CPU_NAME(fused_count_above),
    .mark = ACTC_CPU_NAME(fused_mark),
    .gather = ACTC_CPU_NAME(fused_gather),
    .histogram = ACTC_CPU_NAME(fused_histogram),
    .keep = ACTC_CPU_NAME(fused_keep),
    .keep_largest = ACTC_CPU_NAME(fused_keep_largest),
    .keep_sample = ACTC_CPU_NAME(fused_keep_sample),
};
