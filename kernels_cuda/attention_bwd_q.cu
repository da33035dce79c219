/* attention_bwd_q.cu: the gradient of the queries, a tile of them of a head a block. */
#include "attention.cuh"

template <uint C>
static __device__ __forceinline__ void tile(const actc_params_attention &p, uint group, attention_shared *s, const float *q,
                                            const float *kv, const float *dout, const float *lse, const float *delta, const uint *step,
                                            float *dq)
{
    const attention_group g = attention_group_of(p, group, p.tq);
    const uint row = 4u * (threadIdx.x / 16u), column = 4u * (threadIdx.x % 16u); /* the first of this thread's */
    float scores[4][4], gradients[4][4], sums[4][C], outputs[4][C], tops[4], means[4];
    attention_zero(outputs);
#pragma unroll
    for (uint i = 0; i < 4u; i++) {
        const uint at = attention_row_at(p, g, g.first + row + i);
        tops[i] = row + i < g.count ? actc_flush(lse[at]) : 0.0f;
        means[i] = row + i < g.count ? actc_flush(delta[at]) : 0.0f;
    }
    const uint keys = p.causal != 0u && g.first + ATTENTION_TILE < p.tk ? g.first + ATTENTION_TILE : p.tk;
    for (uint key = 0u; key < keys; key += ATTENTION_TILE) {
        const uint count = p.tk - key < ATTENTION_TILE ? p.tk - key : ATTENTION_TILE;
        attention_inner(s, p.head_dim, q + attention_q_at(p, g, g.first), p.q_row, g.count, kv + attention_kv_at(p, g, p.k_at, key),
                        p.kv_row, count, scores);
        attention_inner(s, p.head_dim, dout + attention_o_at(p, g, g.first), p.heads * p.head_dim, g.count,
                        kv + attention_kv_at(p, g, p.v_at, key), p.kv_row, count, gradients);
        if (p.dropout != 0u) {
            attention_draw(s, p, g, step, g.first, key);
            __syncthreads();
        }
#pragma unroll
        for (uint j = 0; j < 4u; j++) {
            const uint c = column + j;
            float slopes[4];
#pragma unroll
            for (uint i = 0; i < 4u; i++) {
                const bool seen = c < count && (p.causal == 0u || key + c <= g.first + row + i);
                const float w = actc_attention_weight(actc_attention_score(scores[i][j], p.scale, seen), tops[i]);
                float gradient = gradients[i][j];
                if (p.dropout != 0u)
                    gradient = attention_kept(s, row + i, c) ? ACTC_MUL(gradient, p.rescale) : 0.0f;
                slopes[i] = actc_attention_slope(w, gradient, means[i]);
                slopes[i] = c < count ? slopes[i] : 0.0f;
            }
            attention_put(s, c, slopes[0], slopes[1], slopes[2], slopes[3]);
        }
        attention_outer<C>(s, p.head_dim, kv + attention_kv_at(p, g, p.k_at, key), p.kv_row, count, g.column, sums);
#pragma unroll
        for (uint i = 0; i < 4u; i++) {
#pragma unroll
            for (uint j = 0; j < C; j++)
                outputs[i][j] = ACTC_ADD(outputs[i][j], sums[i][j]);
        }
    }
    attention_store<C>(p, g, outputs, [&](uint r, uint d, float x) {
        dq[attention_q_at(p, g, g.first + r) + d] = actc_canon(ACTC_MUL(x, p.scale));
    });
}

ACTC_CUDA_KERNEL(attention_bwd_q, const float *__restrict__ q, const float *__restrict__ kv, const float *__restrict__ dout,
                 const float *__restrict__ lse, const float *__restrict__ delta, const uint *__restrict__ step, float *__restrict__ dq)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) attention_shared shared;
    ATTENTION_DISPATCH(p.head_dim, tile, p, group, &shared, q, kv, dout, lse, delta, step, dq);
}
