/* index.cuh: quotient and remainder by a divisor that stays the same: one integer division, then multiplications. */
#ifndef ACTC_INDEX_CUH
#define ACTC_INDEX_CUH

#include "common.cuh"

struct actc_divisor {
    uint d, m; /* m = floor((2^32 - 1) / d) */
};

static __device__ __forceinline__ actc_divisor actc_divide_by(uint d)
{
    actc_divisor r;
    r.d = d;
    r.m = 0xffffffffu / d;
    return r;
}

/* floor(n / d), and n becomes n % d. n * m / 2^32 is below n / d by less than 1 + n / 2^32, so one correction does. */
static __device__ __forceinline__ uint actc_div_rem(uint &n, actc_divisor by)
{
    uint q = __umulhi(n, by.m);
    uint r = n - q * by.d;
    if (r >= by.d) {
        r -= by.d;
        q++;
    }
    n = r;
    return q;
}

#endif
