/* attention_bwd_kv.c: the gradients of the keys and the values, a block of them at a time against tiles of queries. */
#include "attention.h"

/* weights[i][r] and gradients[i][r], sums of products, become the weights of the pairs that are kept, and the gradients of the
 * scores. lse, delta: of the tile's queries. */
static void slopes(const struct actc_params_attention *p, const attention_block *b, const uint32_t *step, uint32_t query, uint32_t count,
                   float *weights, float *gradients, const float *lse, const float *delta)
{
    uint32_t kept[OWN_MOST];
    const uint32_t width = b->width, first = b->first, causal = p->causal;
    const float scale = p->scale, rescale = p->rescale;
    for (uint32_t i = 0; i < count; i++) {
        float *weight = weights + i * width, *gradient = gradients + i * width;
        const float top = lse[i], mean = delta[i];
        if (p->dropout) {
            attention_keep_keys(kept, p, b, step, query + i);
            ACTC_CPU_SIMD
            for (uint32_t r = 0; r < width; r++)
                gradient[r] = kept[r] ? ACTC_MUL(gradient[r], rescale) : 0.0f;
        }
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < width; r++) {
            float s = actc_attention_score(weight[r], scale, !causal | (query + i >= first + r));
            weight[r] = actc_attention_weight(s, top);
            gradient[r] = actc_attention_slope(weight[r], gradient[r], mean);
        }
        if (p->dropout) {
            ACTC_CPU_SIMD
            for (uint32_t r = 0; r < width; r++)
                weight[r] = kept[r] ? weight[r] : 0.0f;
        }
    }
}

static void block(const struct actc_params_attention *p, void *const *views, const attention_block *b)
{
    const float *q = views[0], *kv = views[1], *all_do = views[2], *all_lse = views[3], *all_delta = views[4];
    float keys[OWN_FLOATS], values[OWN_FLOATS], dk[OWN_FLOATS], dv[OWN_FLOATS], queries[OTHER_FLOATS], dout[OTHER_FLOATS];
    float weights[PAIR_FLOATS], gradients[PAIR_FLOATS], lse[ACTC_ATTENTION_TILE], delta[ACTC_ATTENTION_TILE];
    memset(dk, 0, b->width * b->columns * sizeof *dk);
    memset(dv, 0, b->width * b->columns * sizeof *dv);
    attention_take_own(keys, b, kv + attention_kv_at(p, b, p->k_at, b->first), p->kv_row, p->head_dim);
    attention_take_own(values, b, kv + attention_kv_at(p, b, p->v_at, b->first), p->kv_row, p->head_dim);
    uint32_t query = p->causal ? b->first / ACTC_ATTENTION_TILE * ACTC_ATTENTION_TILE : 0;
    for (; query < p->tq; query += ACTC_ATTENTION_TILE) {
        const uint32_t count = ACTC_MIN(ACTC_ATTENTION_TILE, p->tq - query), rows = attention_round(count, TILE_ROWS);
        for (uint32_t i = 0; i < count; i++) {
            lse[i] = actc_flush(all_lse[attention_row_at(p, b, query + i)]);
            delta[i] = actc_flush(all_delta[attention_row_at(p, b, query + i)]);
        }
        attention_take_others(queries, b, q + attention_q_at(p, b, query), p->q_row, count, p->head_dim);
        attention_take_others(dout, b, all_do + attention_o_at(p, b, query), (size_t)p->heads * p->head_dim, count, p->head_dim);
        attention_products(p->head_dim, queries, b->columns, 1, keys, b->width, weights, b->width, rows, b->width, NULL, END_STORE);
        attention_products(p->head_dim, dout, b->columns, 1, values, b->width, gradients, b->width, rows, b->width, NULL, END_STORE);
        slopes(p, b, views[5], query, count, weights, gradients, lse, delta);
        attention_products(count, weights, 1, b->width, dout, b->columns, dv, b->columns, b->width, b->columns, NULL, END_ADD);
        attention_products(count, gradients, 1, b->width, queries, b->columns, dk, b->columns, b->width, b->columns, NULL, END_ADD);
    }
    float *out = views[6];
    attention_give_own(out + attention_kv_at(p, b, p->k_at, b->first), p->kv_row, b, dk, p->head_dim, NULL, p->scale);
    attention_give_own(out + attention_kv_at(p, b, p->v_at, b->first), p->kv_row, b, dv, p->head_dim, NULL, p->rescale);
}

ACTC_CPU_KERNEL(attention_bwd_kv)
{
    const struct actc_params_attention *p = params;
    const actc_cpu_span span = attention_span(p, p->tk, begin, end);
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        const attention_block b = attention_block_of(p, p->tk, unit);
        block(p, views, &b);
    }
}
