/* attention_bwd_q.c: the gradient of the queries, a block of them at a time against tiles of keys. */
#include "attention.h"

/* scores[j][r] and gradients[j][r], sums of products, become the gradients of the scores, in `gradients`. */
static void slopes(const struct actc_params_attention *p, const attention_block *b, const uint32_t *step, uint32_t key, uint32_t count,
                   const float *scores, float *gradients, const float *lse, const float *delta)
{
    uint32_t keep[4][OWN_MOST];
    const uint32_t width = b->width, first = b->first, causal = p->causal;
    const float scale = p->scale, rescale = p->rescale;
    for (uint32_t j = 0; j < count; j++) {
        const float *score = scores + j * width;
        float *gradient = gradients + j * width;
        if (p->dropout) {
            if (j % 4 == 0)
                attention_keep_queries(keep, p, b, step, (key + j) / 4);
            const uint32_t *kept = keep[j % 4];
            ACTC_CPU_SIMD
            for (uint32_t r = 0; r < width; r++)
                gradient[r] = kept[r] ? ACTC_MUL(gradient[r], rescale) : 0.0f;
        }
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < width; r++) {
            float s = actc_attention_score(score[r], scale, !causal | (first + r >= key + j));
            gradient[r] = actc_attention_slope(actc_attention_weight(s, lse[r]), gradient[r], delta[r]);
        }
    }
}

static void block(const struct actc_params_attention *p, void *const *views, const attention_block *b)
{
    const float *kv = views[1], *all_lse = views[3], *all_delta = views[4];
    float q[OWN_FLOATS], dout[OWN_FLOATS], dq[OWN_FLOATS], keys[OTHER_FLOATS], values[OTHER_FLOATS];
    float scores[PAIR_FLOATS], gradients[PAIR_FLOATS], lse[OWN_MOST] = {0}, delta[OWN_MOST] = {0};
    for (uint32_t r = 0; r < b->count; r++) {
        lse[r] = actc_flush(all_lse[attention_row_at(p, b, b->first + r)]);
        delta[r] = actc_flush(all_delta[attention_row_at(p, b, b->first + r)]);
    }
    memset(dq, 0, b->width * b->columns * sizeof *dq);
    attention_take_own(q, b, (const float *)views[0] + attention_q_at(p, b, b->first), p->q_row, p->head_dim);
    attention_take_own(dout, b, (const float *)views[2] + attention_o_at(p, b, b->first), (size_t)p->heads * p->head_dim, p->head_dim);
    const uint32_t end = p->causal ? ACTC_MIN(p->tk, b->first + b->count) : p->tk;
    for (uint32_t key = 0; key < end; key += ACTC_ATTENTION_TILE) {
        const uint32_t count = ACTC_MIN(ACTC_ATTENTION_TILE, p->tk - key), rows = attention_round(count, TILE_ROWS);
        attention_take_others(keys, b, kv + attention_kv_at(p, b, p->k_at, key), p->kv_row, count, p->head_dim);
        attention_take_others(values, b, kv + attention_kv_at(p, b, p->v_at, key), p->kv_row, count, p->head_dim);
        attention_products(p->head_dim, keys, b->columns, 1, q, b->width, scores, b->width, rows, b->width, NULL, END_STORE);
        attention_products(p->head_dim, values, b->columns, 1, dout, b->width, gradients, b->width, rows, b->width, NULL, END_STORE);
        slopes(p, b, views[5], key, count, scores, gradients, lse, delta);
        attention_products(count, gradients, 1, b->width, keys, b->columns, dq, b->columns, b->width, b->columns, NULL, END_ADD);
    }
    attention_give_own((float *)views[6] + attention_q_at(p, b, b->first), p->q_row, b, dq, p->head_dim, NULL, p->scale);
}

ACTC_CPU_KERNEL(attention_bwd_q)
{
    const struct actc_params_attention *p = params;
    const actc_cpu_span span = attention_span(p, p->tq, begin, end);
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        const attention_block b = attention_block_of(p, p->tq, unit);
        block(p, views, &b);
    }
}
