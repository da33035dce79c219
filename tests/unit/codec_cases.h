/* codec_cases.h: shapes, options and contents that break codecs, for tests of codecs. */
#ifndef ACTC_CODEC_CASES_H
#define ACTC_CODEC_CASES_H

#include "../parity/codec_tables.h"
#include "fill.h"

static inline float *codec_content(content kind, uint64_t n, uint64_t seed)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    codec_content_fill(kind, x, n, seed);
    return x;
}

#endif
