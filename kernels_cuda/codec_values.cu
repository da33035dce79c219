/* codec_values.cu: values in 16, 8 and 4 bits. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_values, const uint *values, const uint *step, uint *payload)
{
    ACTC_GROUP(group);
    __shared__ uint largest;
    codec_window window;
    window.data = payload;
    window.first = p.payload_first;
    window.words = p.payload_words;
    const uint first = p.first_slot + 256u * group, slot = first + threadIdx.x;
    const uint bits = slot < p.k ? values[slot - p.values_first] : 0u, key = bits & ACTC_ABS_MASK;
    if (p.form < ACTC_CODEC_INT8) {
        if (slot < p.k)
            codec_put_half(window, p.values_byte + 2u * slot, actc_value16_code(bits, p.form));
        return;
    }
    if (threadIdx.x == 0u)
        largest = 0u;
    __syncthreads();
    if (key < ACTC_INF_BITS)
        atomicMax(&largest, key);
    __syncthreads();
    const uint width = actc_int_width(p.form), scale = actc_int_scale(largest, width);
    if (threadIdx.x == 0u)
        codec_put_byte(window, p.scale_byte + first / 256u, scale);
    if (slot < p.k) {
        const uint random = actc_random_bits(slot, p.tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                             step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
        const uint code = actc_int_code(bits, scale, random, width);
        if (width == 8u)
            codec_put_byte(window, p.values_byte + slot, code);
        else
            codec_put_byte(window, p.values_byte + slot / 2u, code << (4u * (slot & 1u)));
    }
}
