/* dropout.cu: y = x * scale where the element's random bits are below the threshold; its own backward.
 *
 * One draw of the generator serves four consecutive elements; with one number a sample and channel that holds where the
 * channels come in fours. */
#include "common.cuh"

static __device__ __forceinline__ uint drop(uint x, uint bits, uint threshold, float scale)
{
    return bits < threshold ? actc_canon_bits(ACTC_MUL(actc_flush_bits(x), scale)) : 0u;
}

ACTC_CUDA_KERNEL(dropout, const uint *x, const uint *step, uint *y)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_ELEMENTS + 4u * threadIdx.x;
    const uint lo = step[ACTC_STEP_STEP_LO], hi = step[ACTC_STEP_STEP_HI];
    const uint seed_lo = step[ACTC_STEP_SEED_LO], seed_hi = step[ACTC_STEP_SEED_HI];
    const bool shared_draws = p.inner != 1u; /* channels count only then */
    if (i + 4u <= p.n && (!shared_draws || p.channels % 4u == 0u)) {
        const uint at = shared_draws ? i / (p.inner * p.channels) * p.channels + i % p.channels : i;
        const actc_u32x4 r = actc_philox(at >> 2, p.path, lo, hi, seed_lo, seed_hi);
        const uint4 u = *(const uint4 *)(x + i);
        *(uint4 *)(y + i) = make_uint4(drop(u.x, r.x, p.threshold, p.scale), drop(u.y, r.y, p.threshold, p.scale),
                                       drop(u.z, r.z, p.threshold, p.scale), drop(u.w, r.w, p.threshold, p.scale));
        return;
    }
    const uint end = i + 4u < p.n ? i + 4u : p.n;
    for (uint j = i; j < end; j++) {
        const uint at = shared_draws ? j / (p.inner * p.channels) * p.channels + j % p.channels : j;
        y[j] = drop(x[j], actc_random_bits(at, p.path, lo, hi, seed_lo, seed_hi), p.threshold, p.scale);
    }
}
