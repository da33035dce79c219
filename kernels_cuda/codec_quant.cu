/* codec_quant.cu: elements in 8, 4, 2 or 1 bits, by groups. */
#include "common.cuh"

#include "exact/quant.h"

/* Every thread does four neighbours, whose random numbers come together: 64 threads a group of 256. */
ACTC_CUDA_KERNEL(codec_quant, const uint *x, const uint *step, uint *codes, uint *offsets, uint *scales)
{
    ACTC_GROUP(group);
    /* of the four groups: the least and the largest key, whether one is not finite; then words of codes and scales */
    __shared__ uint low[4], high[4], bad[4], scale_of[4], base_of[4], words[256];
    const uint t = threadIdx.x, first = p.first + group * ACTC_GROUP_ELEMENTS, i = first + 4u * t, q = t / 64u;
    uint v[4];
    if (t < 4u) {
        low[t] = 0xffffffffu;
        high[t] = bad[t] = 0u;
    }
    words[t] = 0u;
    __syncthreads();
    uint least = 0xffffffffu, most = 0u, broken = 0u;
#pragma unroll
    for (uint j = 0u; j < 4u; j++) {
        v[j] = 0u;
        if (i + j < p.end) {
            const uint bits = x[i + j - p.x_first];
            v[j] = actc_quant_read(bits);
            const uint key = actc_quant_key(v[j]);
            least = key < least ? key : least;
            most = key > most ? key : most;
            broken |= actc_not_finite(bits);
        }
    }
    atomicMin(&low[q], least);
    atomicMax(&high[q], most);
    if (broken != 0u)
        atomicOr(&bad[q], 1u);
    __syncthreads();
    const uint first_group = first / ACTC_QUANT_GROUP;
    if (t < 4u) {
        const bool there = first + ACTC_QUANT_GROUP * t < p.end;
        const uint l = actc_quant_of_key(low[t]);
        const uint s = !there        ? 0u
                       : bad[t] != 0u ? ACTC_QUANT_NOT_FINITE
                                      : actc_quant_scale(l, actc_quant_of_key(high[t]), p.bits, p.minmax);
        scale_of[t] = s;
        base_of[t] = there ? actc_quant_offset(l, s, p.bits, p.minmax) : 0u;
        if (there && p.minmax != 0u)
            offsets[first_group + t - p.offset_first] = base_of[t];
    }
    __syncthreads();
    const uint scale = scale_of[q], base = actc_quant_fixed(base_of[q], scale);
    if (t == 0u)
        scales[(first_group - p.scale_first) >> 2] = scale_of[0] | (scale_of[1] << 8) | (scale_of[2] << 16) | (scale_of[3] << 24);
    const actc_u32x4 r = actc_philox(i >> 2, p.tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                     step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
    const uint random[4] = {r.x, r.y, r.z, r.w};
    uint four = 0u;
#pragma unroll
    for (uint j = 0u; j < 4u; j++)
        if (i + j < p.end)
            four |= actc_quant_code(v[j], base, scale, random[j]) << (p.bits * j);
    const uint at = 4u * t * p.bits;
    if (four != 0u)
        atomicOr(&words[at >> 5], four << (at & 31u));
    __syncthreads();
    const uint in_word = 32u / p.bits;
    if (t < 32u * p.bits && first + t * in_word < p.end)
        codes[first / in_word + t - p.code_first] = words[t];
}
