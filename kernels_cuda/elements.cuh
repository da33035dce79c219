/* elements.cuh: element-wise kernels over 32-bit words, four consecutive words a thread.
 *
 * Views begin at multiples of 256 bytes, so four words are one load; the group that holds the last element handles what
 * is left one by one. Outputs may be inputs: a thread reads its words before it writes them.
 */
#ifndef ACTC_ELEMENTS_CUH
#define ACTC_ELEMENTS_CUH

#include "common.cuh"

/* y[i] = f(x[i]) */
template <class F> static __device__ __forceinline__ void actc_map(uint group, uint n, const uint *x, uint *y, F f)
{
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    if (i + 4u <= n) {
        const uint4 u = *(const uint4 *)(x + i);
        *(uint4 *)(y + i) = make_uint4(f(u.x), f(u.y), f(u.z), f(u.w));
    } else {
        for (uint j = i; j < n; j++)
            y[j] = f(x[j]);
    }
}

/* c[i] = f(a[i], b[i]) */
template <class F>
static __device__ __forceinline__ void actc_map2(uint group, uint n, const uint *a, const uint *b, uint *c, F f)
{
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    if (i + 4u <= n) {
        const uint4 u = *(const uint4 *)(a + i), v = *(const uint4 *)(b + i);
        *(uint4 *)(c + i) = make_uint4(f(u.x, v.x), f(u.y, v.y), f(u.z, v.z), f(u.w, v.w));
    } else {
        for (uint j = i; j < n; j++)
            c[j] = f(a[j], b[j]);
    }
}

#endif
