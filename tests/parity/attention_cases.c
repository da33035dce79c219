/* attention_cases.c: attention, all EXACT, and held to float64. */
#include "kernel_case.h"

typedef struct attention_case {
    uint32_t batch, heads, tq, tk, head_dim, causal, dropout;
    bool cross; /* q and kv apart; else one behind the other in each token's row */
    float scale;
} attention_case;

static uint32_t tiles(uint32_t n)
{
    return (n + ACTC_ATTENTION_TILE - 1) / ACTC_ATTENTION_TILE;
}

static void attention(kernel_builder *b, const attention_case *c, fill_kind kind)
{
    const uint32_t width = c->heads * c->head_dim, rows = c->batch * c->tq * c->heads;
    /* views may begin behind others in a row, and rows may be longer than what is read of them */
    const uint32_t q_row = c->cross ? width + 3 : 3 * width, kv_row = c->cross ? 2 * width + 1 : 3 * width;
    const size_t q = (size_t)c->batch * c->tq * q_row, kv = (size_t)c->batch * c->tk * kv_row, o = (size_t)rows * c->head_dim;
    struct actc_params_attention p = {
        .batch = c->batch, .heads = c->heads, .head_dim = c->head_dim, .tq = c->tq, .tk = c->tk, .causal = c->causal,
        .q_at = c->cross ? 2 : 0, .q_row = q_row, .k_at = c->cross ? 1 : width, .v_at = c->cross ? width + 1 : 2 * width,
        .kv_row = kv_row, .dropout = c->dropout, .path = 0x9d2c5680, .first = c->cross ? 3 : 0,
        .threshold = c->dropout ? 0xc0000000 : 0, .scale = c->scale, .rescale = c->dropout ? 4.0f / 3 : 1.0f};
    const size_t columns = tiles(c->head_dim), matrices = (size_t)c->batch * c->heads;
    for (p.keep = 0; p.keep < 2; p.keep++) {
        kernel_begin(b, ACTC_KERNEL_attention_fwd, matrices * tiles(c->tq) * columns, &p);
        kernel_view(b, 0, q, kind);
        kernel_view(b, 1, kv, kind);
        kernel_view(b, 2, c->dropout ? ACTC_STEP_BLOCK_BYTES / 4 : 0, KERNEL_FILL_STEP);
        kernel_view(b, 3, o, kind);
        kernel_view(b, 4, p.keep ? rows : 0, kind);
        if (p.keep || c->cross)
            kernel_end(b, "(b=%u,h=%u,tq=%u,tk=%u,d=%u,causal=%u,dropout=%u,cross=%u,scale=%g,keep=%u,fill=%s)", c->batch, c->heads,
                       c->tq, c->tk, c->head_dim, c->causal, c->dropout, c->cross, (double)c->scale, p.keep, fill_name(kind));
    }
    p.keep = 0;
    p.scale = p.scale < 2 ? p.scale : 2; /* lse is none of these scores, and weights must not overflow */
    for (uint32_t kv_side = 0; kv_side < 2; kv_side++) {
        kernel_begin(b, kv_side ? ACTC_KERNEL_attention_bwd_kv : ACTC_KERNEL_attention_bwd_q,
                     matrices * tiles(kv_side ? c->tk : c->tq) * columns, &p);
        kernel_view(b, 0, q, kind);
        kernel_view(b, 1, kv, kind);
        kernel_view(b, 2, o, kind);
        kernel_view(b, 3, rows, kind | KERNEL_FILL_POSITIVE); /* as scores may be far below it */
        kernel_view(b, 4, rows, kind);
        kernel_view(b, 5, c->dropout ? ACTC_STEP_BLOCK_BYTES / 4 : 0, KERNEL_FILL_STEP);
        kernel_view(b, 6, kv_side ? kv : q, kind);
        kernel_end(b, "(b=%u,h=%u,tq=%u,tk=%u,d=%u,causal=%u,dropout=%u,cross=%u,scale=%g,fill=%s)", c->batch, c->heads, c->tq, c->tk,
                   c->head_dim, c->causal, c->dropout, c->cross, (double)c->scale, fill_name(kind));
    }
}

static void delta(kernel_builder *b, uint32_t rows, uint32_t head_dim, fill_kind kind)
{
    struct actc_params_attention_delta p = {0, rows, head_dim};
    kernel_begin(b, ACTC_KERNEL_attention_delta, (rows + ACTC_ATTENTION_ROWS - 1) / ACTC_ATTENTION_ROWS, &p);
    for (uint32_t v = 0; v < 3; v++)
        kernel_view(b, v, v < 2 ? (size_t)rows * head_dim : rows, kind);
    kernel_end(b, "(rows=%u,d=%u,fill=%s)", rows, head_dim, fill_name(kind));
}

void parity_attention_cases(parity_list *list)
{
    static const attention_case cases[] = {
        {1, 1, 1, 1, 1, 0, 0, false, 1.0f},       {1, 2, 1, 67, 3, 0, 1, true, 0.5f},      {2, 1, 67, 1, 5, 0, 0, true, 0.5f},
        {1, 2, 64, 64, 16, 0, 0, false, 0.25f},   {1, 1, 65, 65, 64, 0, 0, false, 0.125f}, {1, 2, 65, 65, 17, 1, 0, false, 0.3f},
        {2, 2, 31, 31, 8, 1, 1, false, 1.5f},     {1, 1, 63, 130, 20, 0, 1, true, 0.25f},  {1, 1, 131, 64, 4, 1, 1, true, 2.0f},
        {1, 1, 97, 193, 7, 1, 0, true, 4.0f},     {1, 1, 193, 97, 33, 0, 0, true, 0.2f},   {1, 1, 127, 127, 80, 1, 0, false, 0.1f},
        {1, 1, 70, 70, 129, 0, 1, false, 0.09f},  {1, 1, 33, 66, 256, 0, 0, true, 0.0625f}, {1, 3, 101, 101, 6, 0, 1, false, 30.0f},
    };
    static const fill_kind kinds[] = {FILL_NORMAL, FILL_TINY, FILL_SPECIAL};
    static const attention_case large[] = {{2, 12, 197, 197, 64, 0, 0, false, 0.125f}, {1, 4, 1024, 1024, 64, 1, 0, false, 0.125f},
                                           {32, 4, 65, 65, 64, 0, 1, false, 0.125f}};
    kernel_builder b = {.list = list};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        attention(&b, &cases[t], kinds[t % 2]);
        attention(&b, &cases[t], FILL_SPECIAL);
    }
    for (size_t t = 0; t < 3; t++) {
        delta(&b, 1, 1, kinds[t]);
        delta(&b, 17, 64, kinds[t]);
        delta(&b, 259, 5, kinds[t]);
        delta(&b, 33, 129, kinds[t]);
    }
    b.full = true;
    for (size_t t = 0; t < sizeof large / sizeof *large; t++)
        attention(&b, &large[t], FILL_NORMAL);
}
