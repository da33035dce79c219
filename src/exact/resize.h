/* resize.h: coordinates of bilinear resampling, along one axis; the rules of exact.h hold.
 *
 * They are PyTorch's. Output o of an axis lies at a source coordinate, between input `first` and the one behind it, or at the last
 * one. scale: corners: (inputs - 1) / (outputs - 1), 0 for one output; else inputs / outputs. Sizes are below 2^24.
 */
#ifndef ACTC_EXACT_RESIZE_H
#define ACTC_EXACT_RESIZE_H

#include "exact.h"

ACTC_FN float actc_resize_source(uint o, float scale, uint corners)
{
    float at = ACTC_F32(o);
    if (corners != 0u)
        return ACTC_MUL(at, scale);
    float source = ACTC_SUB(ACTC_MUL(ACTC_ADD(at, 0.5f), scale), 0.5f);
    return ACTC_BITS_F32(ACTC_SELECT(source < 0.0f, 0u, ACTC_F32_BITS(source)));
}

ACTC_FN uint actc_resize_first(float source, uint inputs)
{
    uint first = ACTC_U32(source);
    return first < inputs - 1u ? first : inputs - 1u;
}

/* Of the input behind the first: 0 to 1; the first one's is 1 less this. */
ACTC_FN float actc_resize_weight(float source, uint first)
{
    float weight = ACTC_SUB(source, ACTC_F32(first));
    return ACTC_BITS_F32(ACTC_SELECT(weight > 1.0f, 0x3f800000u, ACTC_F32_BITS(weight)));
}

/* a + (b - a) * weight, as the sum of both with their weights; read as +0 below 2^-60. */
ACTC_FN float actc_resize_mix(float a, float b, float weight)
{
    return actc_flush(ACTC_ADD(ACTC_MUL(ACTC_SUB(1.0f, weight), a), ACTC_MUL(weight, b)));
}

/* What output o has of input i in all. */
ACTC_FN float actc_resize_share(uint o, uint i, float scale, uint corners, uint inputs)
{
    float source = actc_resize_source(o, scale, corners);
    uint first = actc_resize_first(source, inputs), second = first + 1u < inputs ? first + 1u : first;
    float weight = actc_resize_weight(source, first);
    float of_first = ACTC_BITS_F32(ACTC_SELECT(first == i, ACTC_F32_BITS(ACTC_SUB(1.0f, weight)), 0u));
    return ACTC_ADD(of_first, ACTC_BITS_F32(ACTC_SELECT(second == i, ACTC_F32_BITS(weight), 0u)));
}

/* The first output whose `first` is no less than `least`, `outputs` where there is none: outputs begin(i - 1) (i = 0: 0) to
 * begin(i + 1) - 1 have something of input i. */
ACTC_FN uint actc_resize_begin(uint least, float scale, uint corners, uint inputs, uint outputs)
{
    uint low = 0u, high = outputs;
    while (low < high) {
        uint middle = (low + high) / 2u;
        if (actc_resize_first(actc_resize_source(middle, scale, corners), inputs) < least)
            low = middle + 1u;
        else
            high = middle;
    }
    return low;
}

#endif
