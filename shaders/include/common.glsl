/* common.glsl: what every kernel starts with.
 *
 * A kernel's file declares its views, binding i being view i of kernels.def, and the function actc_kernel, which one
 * group of ACTC_GROUP_SIZE invocations runs. Buffers are 32-bit words; floats go through the functions of
 * exact/exact.h. The build defines ACTC_PARAMS as the kernel's struct of kernel_params.h: it is `p` here.
 */
#ifndef ACTC_COMMON_GLSL
#define ACTC_COMMON_GLSL

#include "kernel_params.h"

#include "exact/exact.h"

layout(local_size_x = 256, local_size_y = 1, local_size_z = 1) in;

layout(push_constant) uniform actc_push
{
    ACTC_PARAMS p;
};

/* Views by their access in kernels.def: 'r', and 'w' or 'x'. Not `restrict`: views may share bytes where a kernel works
 * in place. */
#define ACTC_READ(i, name) layout(std430, set = 0, binding = i) readonly buffer actc_view_##name { uint name[]; }
#define ACTC_WRITE(i, name) layout(std430, set = 0, binding = i) buffer actc_view_##name { uint name[]; }

/* The elements of this group that this invocation does, 256 apart so that neighbours read neighbours. */
#define ACTC_FOR_ELEMENTS(i, n)                                                                                     \
    for (uint i = group * ACTC_GROUP_ELEMENTS + lane, end_##i = min(n, (group + 1u) * ACTC_GROUP_ELEMENTS); i < end_##i; \
         i += ACTC_GROUP_SIZE)

/* A float of an arithmetic kernel: tiny ones read as +0. */
#define ACTC_LOAD(view, i) actc_flush_bits(view[i])

/* group: 0 .. p.groups - 1. lane: 0 .. 255. barrier() may be called where all invocations get to it. */
void actc_kernel(uint group, uint lane);

/* A dispatch is at most 65,535 workgroups wide, so that groups may be more than that it is two-dimensional, and its
 * last row may be longer than what is left. */
void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (group < p.groups)
        actc_kernel(group, gl_LocalInvocationIndex);
}

#endif
