/* attention_bwd_kv.cu: the gradients of the keys and the values, a tile of keys of a head a block. */
#include "attention.cuh"

template <uint C>
static __device__ __forceinline__ void tile(const actc_params_attention &p, uint group, attention_shared *s, const float *q,
                                            const float *kv, const float *dout, const float *lse, const float *delta, const uint *step,
                                            float *dkv)
{
    const attention_group g = attention_group_of(p, group, p.tk);
    const uint row = 4u * (threadIdx.x / 16u), column = 4u * (threadIdx.x % 16u); /* the first of this thread's; columns are queries */
    float weights[4][4], gradients[4][4], sums[4][C], dk[4][C], dv[4][C];
    attention_zero(dk);
    attention_zero(dv);
    for (uint query = p.causal != 0u ? g.first : 0u; query < p.tq; query += ATTENTION_TILE) {
        const uint count = p.tq - query < ATTENTION_TILE ? p.tq - query : ATTENTION_TILE;
        attention_inner(s, p.head_dim, kv + attention_kv_at(p, g, p.k_at, g.first), p.kv_row, g.count,
                        q + attention_q_at(p, g, query), p.q_row, count, weights);
        attention_inner(s, p.head_dim, kv + attention_kv_at(p, g, p.v_at, g.first), p.kv_row, g.count,
                        dout + attention_o_at(p, g, query), p.heads * p.head_dim, count, gradients);
        if (p.dropout != 0u) {
            attention_draw(s, p, g, step, query, g.first);
            __syncthreads();
        }
#pragma unroll
        for (uint j = 0; j < 4u; j++) {
            const uint c = column + j, at = attention_row_at(p, g, query + c);
            const float top = c < count ? actc_flush(lse[at]) : 0.0f, mean = c < count ? actc_flush(delta[at]) : 0.0f;
#pragma unroll
            for (uint i = 0; i < 4u; i++) {
                const bool seen = c < count && (p.causal == 0u || g.first + row + i <= query + c);
                const bool kept = p.dropout == 0u || attention_kept(s, c, row + i);
                const float w = actc_attention_weight(actc_attention_score(weights[i][j], p.scale, seen), top);
                float gradient = gradients[i][j];
                if (p.dropout != 0u)
                    gradient = kept ? ACTC_MUL(gradient, p.rescale) : 0.0f;
                gradient = actc_attention_slope(w, gradient, mean);
                gradients[i][j] = c < count ? gradient : 0.0f;
                weights[i][j] = kept && c < count ? w : 0.0f;
            }
            attention_put(s, c, weights[0][j], weights[1][j], weights[2][j], weights[3][j]);
        }
        attention_outer<C>(s, p.head_dim, dout + attention_o_at(p, g, query), p.heads * p.head_dim, count, g.column, sums);
#pragma unroll
        for (uint i = 0; i < 4u; i++) {
#pragma unroll
            for (uint j = 0; j < C; j++)
                dv[i][j] = ACTC_ADD(dv[i][j], sums[i][j]);
        }
        __syncthreads(); /* all have read the weights */
#pragma unroll
        for (uint j = 0; j < 4u; j++)
            attention_put(s, column + j, gradients[0][j], gradients[1][j], gradients[2][j], gradients[3][j]);
        attention_outer<C>(s, p.head_dim, q + attention_q_at(p, g, query), p.q_row, count, g.column, sums);
#pragma unroll
        for (uint i = 0; i < 4u; i++) {
#pragma unroll
            for (uint j = 0; j < C; j++)
                dk[i][j] = ACTC_ADD(dk[i][j], sums[i][j]);
        }
    }
    attention_store<C>(p, g, dk, [&](uint r, uint d, float x) {
        dkv[attention_kv_at(p, g, p.k_at, g.first + r) + d] = actc_canon(ACTC_MUL(x, p.scale));
    });
    attention_store<C>(p, g, dv, [&](uint r, uint d, float x) {
        dkv[attention_kv_at(p, g, p.v_at, g.first + r) + d] = actc_canon(ACTC_MUL(x, p.rescale));
    });
}

ACTC_CUDA_KERNEL(attention_bwd_kv, const float *__restrict__ q, const float *__restrict__ kv, const float *__restrict__ dout,
                 const float *__restrict__ lse, const float *__restrict__ delta, const uint *__restrict__ step, float *__restrict__ dkv)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) attention_shared shared;
    ATTENTION_DISPATCH(p.head_dim, tile, p, group, &shared, q, kv, dout, lse, delta, step, dkv);
}
