/* dnnl_api.h: oneDNN's C interface where versions 2 and 3 differ, under one set of names.
 *
 * In version 2 a memory descriptor is a struct, and an operation is described before its primitive descriptor is made; in
 * version 3 a descriptor is a handle to be destroyed, and there is no description. What both spell alike dnnl.c calls itself. */
#ifndef ACTC_CPU_DNNL_API_H
#define ACTC_CPU_DNNL_API_H

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>
#include <stddef.h>

#if DNNL_VERSION_MAJOR != 2 && DNNL_VERSION_MAJOR != 3
#error "oneDNN 2 or 3 is needed"
#endif

#if DNNL_VERSION_MAJOR == 2
typedef const dnnl_memory_desc_t *actc_md_view; /* a descriptor that somebody else owns */
#else
typedef const_dnnl_memory_desc_t actc_md_view;
#endif

/* An owned descriptor; all zeros is none. */
typedef struct actc_md {
    dnnl_memory_desc_t desc;
} actc_md;

/* A convolution: bias may be NULL; strides and so on hold a number an axis; a dilation of 0 is dense. */
typedef struct actc_conv_desc {
    dnnl_prop_kind_t pass; /* dnnl_forward_training, dnnl_backward_data or dnnl_backward_weights */
    actc_md_view x, w, bias, y; /* gradients of these in the backward passes */
    dnnl_dims_t strides, dilations, before, after;
} actc_conv_desc;

static inline dnnl_status_t actc_md_create(actc_md *md, int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                           dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR == 2
    return dnnl_memory_desc_init_by_tag(&md->desc, ndims, dims, type, tag);
#else
    return dnnl_memory_desc_create_with_tag(&md->desc, ndims, dims, type, tag);
#endif
}

static inline void actc_md_destroy(actc_md *md)
{
#if DNNL_VERSION_MAJOR == 2
    (void)md;
#else
    if (md->desc)
        dnnl_memory_desc_destroy(md->desc);
    md->desc = NULL;
#endif
}

static inline actc_md_view actc_md_of(const actc_md *md)
{
#if DNNL_VERSION_MAJOR == 2
    return &md->desc;
#else
    return md->desc;
#endif
}

/* The result of a primitive is added to the f32 values that are there. */
static inline dnnl_status_t actc_post_ops_append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR == 2
    return dnnl_post_ops_append_sum(ops, 1.0f);
#else
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#endif
}

/* By direct convolution. hint: of a backward pass, the forward one's primitive descriptor; attr may be NULL. */
static inline dnnl_status_t actc_conv_desc_create(dnnl_primitive_desc_t *out, const actc_conv_desc *c, dnnl_engine_t engine,
                                                  dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr)
{
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;
#if DNNL_VERSION_MAJOR == 2
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;
    if (c->pass == dnnl_backward_data)
        status = dnnl_dilated_convolution_backward_data_desc_init(&desc, direct, c->x, c->w, c->y, c->strides, c->dilations,
                                                                  c->before, c->after);
    else if (c->pass == dnnl_backward_weights)
        status = dnnl_dilated_convolution_backward_weights_desc_init(&desc, direct, c->x, c->w, c->bias, c->y, c->strides,
                                                                     c->dilations, c->before, c->after);
    else
        status = dnnl_dilated_convolution_forward_desc_init(&desc, c->pass, direct, c->x, c->w, c->bias, c->y, c->strides,
                                                            c->dilations, c->before, c->after);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, hint) : status;
#else
    if (c->pass == dnnl_backward_data)
        return dnnl_convolution_backward_data_primitive_desc_create(out, engine, direct, c->x, c->w, c->y, c->strides,
                                                                    c->dilations, c->before, c->after, hint, attr);
    if (c->pass == dnnl_backward_weights)
        return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, direct, c->x, c->w, c->bias, c->y,
                                                                       c->strides, c->dilations, c->before, c->after, hint, attr);
    return dnnl_convolution_forward_primitive_desc_create(out, engine, c->pass, direct, c->x, c->w, c->bias, c->y, c->strides,
                                                          c->dilations, c->before, c->after, attr);
#endif
}

#endif
