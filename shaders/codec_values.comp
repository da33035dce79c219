/* codec_values: values in 16, 8 and 4 bits. */
#version 450
#include "common.glsl"

ACTC_READ(0, values);
ACTC_READ(1, steps);
ACTC_WRITE(2, payload);

#define CODEC_PAYLOAD
#include "codec.glsl"

shared uint largest;

void actc_kernel(uint group, uint lane)
{
    uint first = p.first_slot + 256u * group, slot = first + lane;
    uint bits = slot < p.k ? values[slot - p.values_first] : 0u, key = bits & ACTC_ABS_MASK;
    if (p.form < ACTC_CODEC_INT8) {
        if (slot < p.k)
            codec_put_half(p.values_byte + 2u * slot, actc_value16_code(bits, p.form));
        return;
    }
    if (lane == 0u)
        largest = 0u;
    barrier();
    if (key < ACTC_INF_BITS)
        atomicMax(largest, key);
    barrier();
    uint width = actc_int_width(p.form), scale = actc_int_scale(largest, width);
    if (lane == 0u)
        codec_put_byte(p.scale_byte + first / 256u, scale);
    if (slot < p.k) {
        uint random = actc_random_bits(slot, p.tensor, steps[ACTC_STEP_STEP_LO], steps[ACTC_STEP_STEP_HI],
                                       steps[ACTC_STEP_SEED_LO], steps[ACTC_STEP_SEED_HI]);
        uint code = actc_int_code(bits, scale, random, width);
        if (width == 8u)
            codec_put_byte(p.values_byte + slot, code);
        else
            codec_put_byte(p.values_byte + slot / 2u, code << (4u * (slot & 1u)));
    }
}
