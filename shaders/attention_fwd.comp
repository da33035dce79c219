/* attention_fwd: softmax(scale * q k^T) v, a tile of queries of a head a group. */
#version 450
#include "common.glsl"
#include "attention.glsl"

ACTC_READ(0, q);
ACTC_READ(1, kv);
ACTC_READ(2, steps);
ACTC_WRITE(3, o);
ACTC_WRITE(4, lse);

ATTENTION_INNER(scores_of, q, kv)
ATTENTION_OUTER(outputs_of, kv)

shared float quarters[ACTC_GROUP_SIZE]; /* largest scores of quarters of the rows */
shared float tops[TILE], alphas[TILE];  /* of the rows */

void actc_kernel(uint group, uint lane)
{
    attention_group g = group_of(group, p.tq);
    uint row = lane / 16u, column = lane % 16u; /* the first of this invocation's */
    float sums[4][4], outputs[4][4], m = uintBitsToFloat(0xff800000u), l = 0.0; /* m, l: of row `lane` */
    [[unroll]] for (uint i = 0u; i < SIDE; i++)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
            outputs[i][j] = 0.0;
    uint keys = p.causal != 0u ? min(p.tk, g.first + TILE) : p.tk;
    for (uint key = 0u; key < keys; key += TILE) {
        uint count = min(TILE, p.tk - key);
        scores_of(lane, q_at(g, g.first), p.q_row, g.count, kv_at(g, p.k_at, key), p.kv_row, count, sums);
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < SIDE; j++) {
                uint r = row + 16u * i, c = column + 16u * j;
                bool seen = c < count && (p.causal == 0u || key + c <= g.first + r);
                sums[i][j] = actc_attention_score(sums[i][j], p.scale, seen);
                pairs[r * STRIDE + c] = sums[i][j];
            }
        barrier();
        float top = uintBitsToFloat(0xff800000u);
        for (uint c = lane % 4u * 16u; c < lane % 4u * 16u + 16u; c++) {
            float v = pairs[lane / 4u * STRIDE + c];
            top = v > top ? v : top;
        }
        quarters[lane] = top;
        barrier();
        if (lane < TILE) {
            top = m;
            for (uint k = 0u; k < 4u; k++)
                top = quarters[4u * lane + k] > top ? quarters[4u * lane + k] : top;
            tops[lane] = top;
            alphas[lane] = actc_exp(ACTC_SUB(m, top));
            m = top;
        }
        barrier();
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < SIDE; j++) {
                uint r = row + 16u * i, c = column + 16u * j;
                float w = actc_attention_weight(sums[i][j], tops[r]);
                pairs[r * STRIDE + c] = c < count ? w : 0.0;
            }
        if (p.dropout != 0u)
            ATTENTION_DRAW(lane, g, g.first, key)
        barrier();
        if (lane < TILE) {
            float sum = 0.0;
            for (uint c = 0u; c < count; c++)
                sum = ACTC_ADD(sum, pairs[lane * STRIDE + c]);
            l = ACTC_ADD(ACTC_MUL(l, alphas[lane]), sum);
        }
        if (p.dropout != 0u) {
            barrier();
            [[unroll]] for (uint i = 0u; i < SIDE; i++)
                [[unroll]] for (uint j = 0u; j < SIDE; j++)
                    if (!is_kept(row + 16u * i, column + 16u * j))
                        pairs[(row + 16u * i) * STRIDE + column + 16u * j] = 0.0;
        }
        outputs_of(lane, kv_at(g, p.v_at, key), p.kv_row, count, g.column, sums);
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                outputs[i][j] = actc_attention_rescaled(outputs[i][j], alphas[row + 16u * i], sums[i][j]);
    }
    barrier();
    if (lane < TILE) {
        tops[lane] = actc_attention_share(p.rescale, l);
        if (p.keep != 0u && g.column == 0u && lane < g.count)
            lse[row_at(g, g.first + lane)] = actc_canon_bits(ACTC_ADD(m, actc_log(l)));
    }
    barrier();
    [[unroll]] for (uint i = 0u; i < SIDE; i++)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
            uint r = row + 16u * i, d = g.column + column + 16u * j;
            if (r < g.count && d < p.head_dim)
                o[o_at(g, g.first + r) + d] = actc_canon_bits(ACTC_MUL(outputs[i][j], tops[r]));
        }
}
