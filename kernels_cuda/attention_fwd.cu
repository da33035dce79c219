/* attention_fwd.cu: softmax(scale * q k^T) v, a tile of queries of a head a block. */
#include "attention.cuh"

template <uint C>
static __device__ __forceinline__ void tile(const actc_params_attention &p, uint group, attention_shared *s, const float *q,
                                            const float *kv, const uint *step, float *o, float *lse)
{
    const attention_group g = attention_group_of(p, group, p.tq);
    const uint t = threadIdx.x, row = 4u * (t / 16u), column = 4u * (t % 16u); /* the first of this thread's */
    float scores[4][4], sums[4][C], outputs[4][C];
    float m = ACTC_BITS_F32(0xff800000u), l = 0.0f; /* of row t */
    attention_zero(outputs);
    const uint keys = p.causal != 0u && g.first + ATTENTION_TILE < p.tk ? g.first + ATTENTION_TILE : p.tk;
    for (uint key = 0u; key < keys; key += ATTENTION_TILE) {
        const uint count = p.tk - key < ATTENTION_TILE ? p.tk - key : ATTENTION_TILE;
        attention_inner(s, p.head_dim, q + attention_q_at(p, g, g.first), p.q_row, g.count, kv + attention_kv_at(p, g, p.k_at, key),
                        p.kv_row, count, scores);
#pragma unroll
        for (uint j = 0; j < 4u; j++) {
            const uint c = column + j;
#pragma unroll
            for (uint i = 0; i < 4u; i++) {
                const bool seen = c < count && (p.causal == 0u || key + c <= g.first + row + i);
                scores[i][j] = actc_attention_score(scores[i][j], p.scale, seen);
            }
            attention_put(s, c, scores[0][j], scores[1][j], scores[2][j], scores[3][j]);
        }
        __syncthreads();
        float top = ACTC_BITS_F32(0xff800000u);
        for (uint c = t / ATTENTION_TILE * 16u; c < t / ATTENTION_TILE * 16u + 16u; c++) {
            const float v = s->pairs[c * ATTENTION_STRIDE + t % ATTENTION_TILE];
            top = v > top ? v : top;
        }
        s->quarters[t] = top;
        __syncthreads();
        if (t < ATTENTION_TILE) {
            top = m;
            for (uint k = 0; k < 4u; k++)
                top = s->quarters[k * ATTENTION_TILE + t] > top ? s->quarters[k * ATTENTION_TILE + t] : top;
            s->tops[t] = top;
            s->alphas[t] = actc_exp(ACTC_SUB(m, top));
            m = top;
        }
        __syncthreads();
#pragma unroll
        for (uint j = 0; j < 4u; j++) {
#pragma unroll
            for (uint i = 0; i < 4u; i++) {
                const float w = actc_attention_weight(scores[i][j], s->tops[row + i]);
                scores[i][j] = column + j < count ? w : 0.0f;
            }
            attention_put(s, column + j, scores[0][j], scores[1][j], scores[2][j], scores[3][j]);
        }
        if (p.dropout != 0u)
            attention_draw(s, p, g, step, g.first, key);
        __syncthreads();
        if (t < ATTENTION_TILE) {
            float sum = 0.0f;
            for (uint c = 0u; c < count; c++)
                sum = ACTC_ADD(sum, s->pairs[c * ATTENTION_STRIDE + t]);
            l = ACTC_ADD(ACTC_MUL(l, s->alphas[t]), sum);
        }
        if (p.dropout != 0u) {
            __syncthreads();
            for (uint j = 0; j < 4u; j++) {
                for (uint i = 0; i < 4u; i++) {
                    if (!attention_kept(s, row + i, column + j))
                        s->pairs[(column + j) * ATTENTION_STRIDE + row + i] = 0.0f;
                }
            }
        }
        attention_outer<C>(s, p.head_dim, kv + attention_kv_at(p, g, p.v_at, key), p.kv_row, count, g.column, sums);
#pragma unroll
        for (uint i = 0; i < 4u; i++) {
#pragma unroll
            for (uint j = 0; j < C; j++)
                outputs[i][j] = actc_attention_rescaled(outputs[i][j], s->alphas[row + i], sums[i][j]);
        }
    }
    __syncthreads();
    if (t < ATTENTION_TILE) {
        s->tops[t] = actc_attention_share(p.rescale, l);
        if (p.keep != 0u && g.column == 0u && t < g.count)
            lse[attention_row_at(p, g, g.first + t)] = actc_canon(ACTC_ADD(m, actc_log(l)));
    }
    __syncthreads();
    attention_store<C>(p, g, outputs, [&](uint r, uint d, float x) {
        o[attention_o_at(p, g, g.first + r) + d] = actc_canon(ACTC_MUL(x, s->tops[r]));
    });
}

ACTC_CUDA_KERNEL(attention_fwd, const float *__restrict__ q, const float *__restrict__ kv, const uint *__restrict__ step,
                 float *__restrict__ o, float *__restrict__ lse)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) attention_shared shared;
    ATTENTION_DISPATCH(p.head_dim, tile, p, group, &shared, q, kv, step, o, lse);
}
