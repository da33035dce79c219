/* conv_parts.c: cutting a convolution. */
#include "conv_parts.h"

/* One axis of a convolution. */
typedef struct axis {
    uint32_t *in, *out, *padding;
    uint32_t reach, stride; /* positions that a window spans, less one */
} axis;

static axis axis_of(actc_conv *c, int i)
{
    switch (i) {
    case 0: return (axis){&c->id, &c->od, &c->pd, (c->kd - 1) * c->dd, c->sd};
    case 1: return (axis){&c->ih, &c->oh, &c->ph, (c->kh - 1) * c->dh, c->sh};
    default: return (axis){&c->iw, &c->ow, &c->pw, (c->kw - 1) * c->dw, c->sw};
    }
}

/* The first axis along which there is something to cut: those before it have one position, so that a range of this one is a
 * range of memory. */
static int outer_axis(const actc_conv *c)
{
    return c->id > 1 || c->od > 1 ? 0 : c->ih > 1 || c->oh > 1 ? 1 : 2;
}

static uint64_t x_plane(const actc_conv *c, int i)
{
    return (uint64_t)c->ic * (i < 2 ? c->iw : 1) * (i < 1 ? c->ih : 1);
}

static uint64_t y_plane(const actc_conv *c, int i)
{
    return (uint64_t)c->oc * (i < 2 ? c->ow : 1) * (i < 1 ? c->oh : 1);
}

/* The outputs [begin, end) of one sample and the inputs that they need. False where they need none. */
static bool cut_outputs(actc_conv_part *part, int i, uint32_t begin, uint32_t end)
{
    axis a = axis_of(&part->conv, i);
    int64_t low = (int64_t)begin * a.stride - *a.padding, high = (int64_t)(end - 1) * a.stride - *a.padding + a.reach + 1;
    int64_t first = low < 0 ? 0 : low, last = high < (int64_t)*a.in ? high : (int64_t)*a.in;
    if (first >= last)
        return false;
    part->x += (uint64_t)first * x_plane(&part->conv, i);
    part->y += begin * y_plane(&part->conv, i);
    *a.in = (uint32_t)(last - first);
    *a.out = end - begin;
    *a.padding = (uint32_t)(first - low);
    return true;
}

/* The inputs [begin, end) of one sample and the outputs that lead to them. begin + padding is a multiple of the stride, or
 * begin is 0. */
static bool cut_inputs(actc_conv_part *part, int i, uint32_t begin, uint32_t end)
{
    axis a = axis_of(&part->conv, i);
    int64_t low = (int64_t)begin + *a.padding - a.reach, high = ((int64_t)end - 1 + *a.padding) / a.stride + 1;
    int64_t first = low < 0 ? 0 : (low + a.stride - 1) / a.stride, last = high < (int64_t)*a.out ? high : (int64_t)*a.out;
    int64_t padding = (int64_t)begin + *a.padding - first * a.stride;
    if (first >= last || padding < 0)
        return false;
    part->x += begin * x_plane(&part->conv, i);
    part->y += (uint64_t)first * y_plane(&part->conv, i);
    *a.in = end - begin;
    *a.out = (uint32_t)(last - first);
    *a.padding = (uint32_t)padding;
    return true;
}

/* Where slab t of `slabs` begins. */
static uint32_t bound_of(const actc_conv *c, int i, uint32_t t, uint32_t slabs)
{
    actc_conv copy = *c;
    axis a = axis_of(&copy, i);
    bool inputs = c->pass == ACTC_CONV_BACKWARD_DATA;
    uint64_t extent = inputs ? *a.in : *a.out, at = extent * t / slabs;
    if (!inputs || t == 0 || t == slabs)
        return (uint32_t)at;
    uint64_t aligned = (at + *a.padding) / a.stride * a.stride;
    return aligned < *a.padding ? 0 : (uint32_t)(aligned - *a.padding);
}

/* Whether two parts that oneDNN makes primitives for add in one order. That of 1x1 convolutions follows from the extents,
 * that of strided ones from the outputs' (measured with 2.6.3: 256 channels in parts of 3 and 4 rows, 5x5 of stride 2 in parts
 * of 4 and 5); others have the same in all parts of a sample. */
static bool alike(const actc_conv *a, const actc_conv *b)
{
    bool single = a->kd == 1 && a->kh == 1 && a->kw == 1, strided = a->sd > 1 || a->sh > 1 || a->sw > 1;
    return ((!single && !strided) || (a->od == b->od && a->oh == b->oh && a->ow == b->ow)) &&
           (!single || (a->id == b->id && a->ih == b->ih && a->iw == b->iw));
}

/* One sample into at most `slabs` parts; returns how many, or 0 where that does not go. */
static uint32_t cut_sample(const actc_conv *c, uint32_t slabs, actc_conv_part *parts)
{
    int i = outer_axis(c);
    uint32_t count = 0, begin = 0;
    for (uint32_t t = 1; t <= slabs; t++) {
        uint32_t end = bound_of(c, i, t, slabs);
        if (end <= begin)
            continue;
        actc_conv_part *part = &parts[count++];
        *part = (actc_conv_part){.conv = *c};
        part->conv.batch = 1;
        if (!(c->pass == ACTC_CONV_BACKWARD_DATA ? cut_inputs : cut_outputs)(part, i, begin, end))
            return 0;
        if (!alike(&parts[0].conv, &part->conv))
            return 0;
        begin = end;
    }
    return count;
}

actc_conv_part *actc_conv_cut(const actc_conv *conv, uint32_t wanted, uint32_t *count)
{
    const uint64_t x = (uint64_t)conv->id * conv->ih * conv->iw * conv->ic;
    const uint64_t y = (uint64_t)conv->od * conv->oh * conv->ow * conv->oc;
    uint32_t slabs = wanted / conv->batch, parts = wanted < conv->batch ? wanted : conv->batch;
    actc_conv_part *list = actc_calloc(slabs > 1 ? (size_t)slabs * conv->batch : parts, sizeof *list);
    if (!list)
        return NULL;
    uint32_t each = 0;
    for (uint32_t tried = slabs; tried > 1 && each == 0; tried--)
        each = cut_sample(conv, tried, list);
    if (each > 1) {
        for (uint32_t i = each; i < each * conv->batch; i++) {
            list[i] = list[i - each];
            list[i].x += x;
            list[i].y += y;
        }
        *count = each * conv->batch;
        return list;
    }
    for (uint32_t i = 0; i < parts; i++) { /* the first ones have one sample more */
        uint32_t first = i * (conv->batch / parts) + (i < conv->batch % parts ? i : conv->batch % parts);
        list[i] = (actc_conv_part){*conv, first * x, first * y};
        list[i].conv.batch = conv->batch / parts + (i < conv->batch % parts);
    }
    *count = parts;
    return list;
}
