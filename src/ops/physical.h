/* physical.h: the order in which a tensor's dimensions lie in memory: channels last for maps, as they are for all else. */
#ifndef ACTC_PHYSICAL_H
#define ACTC_PHYSICAL_H

#include "../lower/lower.h"

/* Where logical axis `axis` lies: 0 is the outermost. */
static inline int actc_physical_axis(const actc_shape *shape, int axis)
{
    if (shape->ndim < 4 || axis == 0)
        return axis;
    return axis == 1 ? shape->ndim - 1 : axis - 1;
}

/* dims[k]: the size of the k-th dimension in memory; strides[k]: how far its neighbours lie apart, in elements. */
static inline void actc_physical_dims(const actc_shape *shape, uint32_t dims[ACTC_MAX_DIMS], uint32_t strides[ACTC_MAX_DIMS])
{
    for (int axis = 0; axis < shape->ndim; axis++)
        dims[actc_physical_axis(shape, axis)] = (uint32_t)shape->dims[axis];
    uint32_t stride = 1;
    for (int k = shape->ndim; k-- > 0;) {
        strides[k] = stride;
        stride *= dims[k];
    }
}

/* Channels of a map, or the last dimension of anything else: what lies innermost. */
static inline uint32_t actc_innermost(const actc_shape *shape)
{
    return (uint32_t)(shape->ndim >= 4 ? shape->dims[1] : shape->ndim ? shape->dims[shape->ndim - 1] : 1);
}

#endif
