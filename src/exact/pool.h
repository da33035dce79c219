/* pool.h: the windows of average pooling along one axis, included like exact.h and held to its rules. */
#ifndef ACTC_EXACT_POOL_H
#define ACTC_EXACT_POOL_H

#include "exact/exact.h"

/* Indices [first, last) */
struct actc_range {
    uint first, last;
};
#if !defined(ACTC_GLSL)
typedef struct actc_range actc_range;
#endif

/* Part i of `parts` parts that cover `size` indices, and overlap where these do not divide: from floor(i * size / parts)
 * to ceil((i + 1) * size / parts). (size + 1) * (parts + 1) <= 2^32. */
ACTC_FN actc_range actc_adaptive_range(uint i, uint size, uint parts)
{
    actc_range r;
    r.first = i * size / parts;
    r.last = ((i + 1u) * size + parts - 1u) / parts;
    return r;
}

/* Positions of an axis of size `extent` in window o of `outputs`: those of [o * stride - padding, ... + taps) that there are, at
 * least one as padding <= taps / 2; or part o. */
ACTC_FN actc_range actc_pool_window(uint o, uint extent, uint outputs, uint taps, uint stride, uint padding, uint adaptive)
{
    if (adaptive != 0u)
        return actc_adaptive_range(o, extent, outputs);
    uint begin = o * stride, end = begin + taps - padding;
    actc_range r;
    r.first = begin > padding ? begin - padding : 0u;
    r.last = end < extent ? end : extent;
    return r;
}

/* The windows that hold position i. Parts of positions and the positions of parts are each other's mirror image. */
ACTC_FN actc_range actc_pool_holders(uint i, uint extent, uint outputs, uint taps, uint stride, uint padding, uint adaptive)
{
    if (adaptive != 0u)
        return actc_adaptive_range(i, outputs, extent);
    uint at = i + padding, end = at / stride + 1u;
    actc_range r;
    r.first = at < taps ? 0u : (at - taps) / stride + 1u;
    r.last = end < outputs ? end : outputs;
    return r;
}

/* What the values of a window count: `scale`, or where that is 0 one by its number of positions, at most 2^24. */
ACTC_FN float actc_pool_factor(float scale, uint positions)
{
    return scale != 0.0f ? scale : actc_reciprocal(ACTC_F32(positions));
}

#endif
