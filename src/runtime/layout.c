/* layout.c: between PyTorch's order of elements, which files and callers use, and channels-last, in which tensors lie. */
#include <string.h>

#include "network.h"

/* (outer, channels, pixels) -> (outer, pixels, channels), or back. */
static void move_channels(const float *from, float *to, int64_t outer, int64_t channels, int64_t pixels, bool to_last)
{
    if (channels == 1 || pixels == 1) {
        memcpy(to, from, (size_t)(outer * channels * pixels) * sizeof *to);
        return;
    }
    for (int64_t o = 0; o < outer; o++, from += channels * pixels, to += channels * pixels)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                to[to_last ? p * channels + c : c * pixels + p] = from[to_last ? c * pixels + p : p * channels + c];
}

void actc_relayout_parameter(const actc_parameter *parameter, const float *from, float *to, bool to_stored)
{
    int64_t n = actc_shape_elements(&parameter->shape);
    bool plain = parameter->layout == ACTC_LAYOUT_PLAIN;
    int64_t outer = plain ? 1 : parameter->shape.dims[0], channels = plain ? 1 : parameter->shape.dims[1];
    move_channels(from, to, outer, channels, n / outer / channels, to_stored);
}

void actc_relayout_tensor(const actc_shape *shape, const float *stored, float *values)
{
    int64_t n = actc_shape_elements(shape);
    bool plain = shape->ndim < 4;
    int64_t outer = plain ? 1 : shape->dims[0], channels = plain ? 1 : shape->dims[1];
    move_channels(stored, values, outer, channels, n / outer / channels, false);
}
