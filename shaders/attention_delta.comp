/* attention_delta: of each query of each head, the products of its output and that output's gradient, added; 16 invocations a row. */
#version 450
#include "common.glsl"

ACTC_READ(0, dout);
ACTC_READ(1, o);
ACTC_WRITE(2, delta);

shared float values[ACTC_GROUP_SIZE];

void actc_kernel(uint group, uint lane)
{
    uint row = group * ACTC_ATTENTION_ROWS + lane / ACTC_ATTENTION_LANES, own = lane % ACTC_ATTENTION_LANES;
    float sum = 0.0;
    if (row < p.rows)
        for (uint d = own; d < p.head_dim; d += ACTC_ATTENTION_LANES) {
            uint i = row * p.head_dim + d;
            sum = ACTC_ADD(sum, ACTC_MUL(actc_factor(uintBitsToFloat(dout[i])), actc_factor(uintBitsToFloat(o[i]))));
        }
    values[lane] = sum;
    barrier();
    for (uint h = ACTC_ATTENTION_LANES / 2u; h > 0u; h /= 2u) {
        if (own < h)
            values[lane] = ACTC_ADD(values[lane], values[lane + h]);
        barrier();
    }
    if (own == 0u && row < p.rows)
        delta[row] = actc_canon_bits(values[lane]);
}
