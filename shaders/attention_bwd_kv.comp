/* attention_bwd_kv: the gradients of the keys and the values, a tile of keys of a head a group. */
#version 450
#include "common.glsl"
#include "attention.glsl"

ACTC_READ(0, q);
ACTC_READ(1, kv);
ACTC_READ(2, dout);
ACTC_READ(3, lse);
ACTC_READ(4, delta);
ACTC_READ(5, steps);
ACTC_WRITE(6, dkv);

ATTENTION_INNER(scores_of, kv, q)
ATTENTION_INNER(gradients_of, kv, dout)
ATTENTION_OUTER(keys_of, q)
ATTENTION_OUTER(values_of, dout)

void actc_kernel(uint group, uint lane)
{
    attention_group g = group_of(group, p.tk);
    uint row = lane / 16u, column = lane % 16u; /* the first of this invocation's; columns are queries */
    float sums[4][4], gradients[4][4], dk[4][4], dv[4][4];
    [[unroll]] for (uint i = 0u; i < SIDE; i++)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
            dk[i][j] = 0.0;
            dv[i][j] = 0.0;
        }
    for (uint query = p.causal != 0u ? g.first : 0u; query < p.tq; query += TILE) {
        uint count = min(TILE, p.tq - query);
        scores_of(lane, kv_at(g, p.k_at, g.first), p.kv_row, g.count, q_at(g, query), p.q_row, count, sums);
        gradients_of(lane, kv_at(g, p.v_at, g.first), p.kv_row, g.count, o_at(g, query), p.heads * p.head_dim, count, gradients);
        if (p.dropout != 0u) {
            ATTENTION_DRAW(lane, g, query, g.first)
            barrier();
        }
        [[unroll]] for (uint j = 0u; j < SIDE; j++) {
            uint c = column + 16u * j, at = c < count ? row_at(g, query + c) : 0u;
            float top = c < count ? ACTC_LOAD(lse, at) : 0.0, mean = c < count ? ACTC_LOAD(delta, at) : 0.0;
            [[unroll]] for (uint i = 0u; i < SIDE; i++) {
                uint r = row + 16u * i;
                bool seen = c < count && (p.causal == 0u || g.first + r <= query + c);
                bool kept = p.dropout == 0u || is_kept(c, r);
                float w = actc_attention_weight(actc_attention_score(sums[i][j], p.scale, seen), top);
                float gradient = gradients[i][j];
                if (p.dropout != 0u)
                    gradient = kept ? ACTC_MUL(gradient, p.rescale) : 0.0;
                float slope = actc_attention_slope(w, gradient, mean);
                gradients[i][j] = c < count ? slope : 0.0;
                pairs[r * STRIDE + c] = kept && c < count ? w : 0.0;
            }
        }
        values_of(lane, o_at(g, query), p.heads * p.head_dim, count, g.column, sums);
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                dv[i][j] = ACTC_ADD(dv[i][j], sums[i][j]);
        barrier(); /* all have read the weights */
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < SIDE; j++)
                pairs[(row + 16u * i) * STRIDE + column + 16u * j] = gradients[i][j];
        keys_of(lane, q_at(g, query), p.q_row, count, g.column, sums);
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                dk[i][j] = ACTC_ADD(dk[i][j], sums[i][j]);
    }
    [[unroll]] for (uint i = 0u; i < SIDE; i++)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
            uint r = row + 16u * i, d = g.column + column + 16u * j;
            if (r < g.count && d < p.head_dim) {
                dkv[kv_at(g, p.k_at, g.first + r) + d] = actc_canon_bits(ACTC_MUL(dk[i][j], p.scale));
                dkv[kv_at(g, p.v_at, g.first + r) + d] = actc_canon_bits(ACTC_MUL(dv[i][j], p.rescale));
            }
        }
}
