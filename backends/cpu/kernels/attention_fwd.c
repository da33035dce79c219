/* attention_fwd.c: softmax(scale * q k^T) v of each head, a block of queries at a time against tiles of keys. */
#include "attention.h"

typedef struct state {
    float m[OWN_MOST], l[OWN_MOST], alpha[OWN_MOST];
} state;

/* pairs[j][r]: sums of products become weights, of the pairs that are kept; m and l go on. */
static void weigh(const struct actc_params_attention *p, const attention_block *b, const uint32_t *step, uint32_t key, uint32_t count,
                  float *pairs, state *s)
{
    float top[OWN_MOST], sum[OWN_MOST];
    uint32_t keep[4][OWN_MOST];
    const uint32_t width = b->width, first = b->first;
    const float scale = p->scale;
    memcpy(top, s->m, sizeof top);
    memset(sum, 0, sizeof sum);
    for (uint32_t j = 0; j < count; j++) {
        float *row = pairs + j * width;
        if (p->causal) {
            ACTC_CPU_SIMD
            for (uint32_t r = 0; r < width; r++)
                row[r] = actc_attention_score(row[r], scale, first + r >= key + j);
        } else {
            ACTC_CPU_SIMD
            for (uint32_t r = 0; r < width; r++)
                row[r] = actc_attention_score(row[r], scale, true);
        }
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < width; r++)
            top[r] = row[r] > top[r] ? row[r] : top[r];
    }
    ACTC_CPU_SIMD
    for (uint32_t r = 0; r < width; r++) {
        s->alpha[r] = actc_exp(ACTC_SUB(s->m[r], top[r]));
        s->m[r] = top[r];
    }
    for (uint32_t j = 0; j < count; j++) {
        float *row = pairs + j * width;
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < width; r++) {
            row[r] = actc_attention_weight(row[r], top[r]);
            sum[r] = ACTC_ADD(sum[r], row[r]);
        }
        if (!p->dropout)
            continue;
        if (j % 4 == 0)
            attention_keep_queries(keep, p, b, step, (key + j) / 4);
        const uint32_t *kept = keep[j % 4];
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < width; r++)
            row[r] = kept[r] ? row[r] : 0.0f;
    }
    ACTC_CPU_SIMD
    for (uint32_t r = 0; r < width; r++)
        s->l[r] = ACTC_ADD(ACTC_MUL(s->l[r], s->alpha[r]), sum[r]);
}

static void block(const struct actc_params_attention *p, void *const *views, const attention_block *b)
{
    const float *q = views[0], *kv = views[1];
    float own[OWN_FLOATS], o[OWN_FLOATS], others[OTHER_FLOATS], pairs[PAIR_FLOATS];
    state s;
    for (uint32_t r = 0; r < OWN_MOST; r++) {
        s.m[r] = ACTC_BITS_F32(0xff800000u);
        s.l[r] = 0.0f;
    }
    memset(o, 0, b->width * b->columns * sizeof *o);
    attention_take_own(own, b, q + attention_q_at(p, b, b->first), p->q_row, p->head_dim);
    const uint32_t keys = p->causal ? ACTC_MIN(p->tk, b->first + b->count) : p->tk;
    for (uint32_t key = 0; key < keys; key += ACTC_ATTENTION_TILE) {
        const uint32_t count = ACTC_MIN(ACTC_ATTENTION_TILE, p->tk - key);
        attention_take_others(others, b, kv + attention_kv_at(p, b, p->k_at, key), p->kv_row, count, p->head_dim);
        attention_products(p->head_dim, others, b->columns, 1, own, b->width, pairs, b->width, attention_round(count, TILE_ROWS),
                           b->width, NULL, END_STORE);
        weigh(p, b, views[2], key, count, pairs, &s);
        attention_take_others(others, b, kv + attention_kv_at(p, b, p->v_at, key), p->kv_row, count, p->head_dim);
        attention_products(count, pairs, 1, b->width, others, b->columns, o, b->columns, b->width, b->columns, s.alpha,
                           END_RESCALE);
    }
    float *lse = views[4], share[OWN_MOST];
    for (uint32_t r = 0; r < b->count; r++) {
        share[r] = actc_attention_share(p->rescale, s.l[r]);
        if (p->keep)
            lse[attention_row_at(p, b, b->first + r)] = actc_canon(ACTC_ADD(s.m[r], actc_log(s.l[r])));
    }
    attention_give_own((float *)views[3] + attention_o_at(p, b, b->first), (size_t)p->heads * p->head_dim, b, o, p->head_dim, share, 0);
}

ACTC_CPU_KERNEL(attention_fwd)
{
    const struct actc_params_attention *p = params;
    const actc_cpu_span span = attention_span(p, p->tq, begin, end);
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        const attention_block b = attention_block_of(p, p->tq, unit);
        block(p, views, &b);
    }
}
