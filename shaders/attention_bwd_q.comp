/* attention_bwd_q: the gradient of the queries, a tile of them of a head a group. */
#version 450
#include "common.glsl"
#include "attention.glsl"

ACTC_READ(0, q);
ACTC_READ(1, kv);
ACTC_READ(2, dout);
ACTC_READ(3, lse);
ACTC_READ(4, delta);
ACTC_READ(5, steps);
ACTC_WRITE(6, dq);

ATTENTION_INNER(scores_of, q, kv)
ATTENTION_INNER(gradients_of, dout, kv)
ATTENTION_OUTER(outputs_of, kv)

void actc_kernel(uint group, uint lane)
{
    attention_group g = group_of(group, p.tq);
    uint row = lane / 16u, column = lane % 16u; /* the first of this invocation's */
    float sums[4][4], gradients[4][4], outputs[4][4], tops[4], means[4];
    [[unroll]] for (uint i = 0u; i < SIDE; i++) {
        bool inside = row + 16u * i < g.count;
        uint at = inside ? row_at(g, g.first + row + 16u * i) : 0u;
        tops[i] = ACTC_LOAD(lse, at);
        means[i] = ACTC_LOAD(delta, at);
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
            outputs[i][j] = 0.0;
    }
    uint keys = p.causal != 0u ? min(p.tk, g.first + TILE) : p.tk;
    for (uint key = 0u; key < keys; key += TILE) {
        uint count = min(TILE, p.tk - key);
        scores_of(lane, q_at(g, g.first), p.q_row, g.count, kv_at(g, p.k_at, key), p.kv_row, count, sums);
        gradients_of(lane, o_at(g, g.first), p.heads * p.head_dim, g.count, kv_at(g, p.v_at, key), p.kv_row, count, gradients);
        if (p.dropout != 0u) {
            ATTENTION_DRAW(lane, g, g.first, key)
            barrier();
        }
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < SIDE; j++) {
                uint r = row + 16u * i, c = column + 16u * j;
                bool seen = c < count && (p.causal == 0u || key + c <= g.first + r);
                float w = actc_attention_weight(actc_attention_score(sums[i][j], p.scale, seen), tops[i]);
                float gradient = gradients[i][j];
                if (p.dropout != 0u)
                    gradient = is_kept(r, c) ? ACTC_MUL(gradient, p.rescale) : 0.0;
                float slope = actc_attention_slope(w, gradient, means[i]);
                pairs[r * STRIDE + c] = c < count ? slope : 0.0;
            }
        outputs_of(lane, kv_at(g, p.k_at, key), p.kv_row, count, g.column, sums);
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                outputs[i][j] = ACTC_ADD(outputs[i][j], sums[i][j]);
    }
    [[unroll]] for (uint i = 0u; i < SIDE; i++)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
            uint r = row + 16u * i, d = g.column + column + 16u * j;
            if (r < g.count && d < p.head_dim)
                dq[q_at(g, g.first + r) + d] = actc_canon_bits(ACTC_MUL(outputs[i][j], p.scale));
        }
}
