/* add.cu: c = a + b, element by element. The example to start a new kernel from. */
#include "common.cuh"

static __device__ __forceinline__ uint add_bits(uint a, uint b)
{
    return actc_canon_bits(ACTC_ADD(actc_flush_bits(a), actc_flush_bits(b)));
}

ACTC_CUDA_KERNEL(add, const uint *a, const uint *b, uint *c)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    if (i + 4u <= p.n) { /* views are aligned to 256 bytes */
        const uint4 u = *(const uint4 *)(a + i), v = *(const uint4 *)(b + i);
        *(uint4 *)(c + i) = make_uint4(add_bits(u.x, v.x), add_bits(u.y, v.y), add_bits(u.z, v.z), add_bits(u.w, v.w));
    } else {
        for (uint j = i; j < p.n; j++)
            c[j] = add_bits(a[j], b[j]);
    }
}
