/* dice_loss_bwd.c: the gradient of Dice with regard to the probabilities. */
#include "columns.h"
#include "exact/loss.h"

/* target[k] = 1 where element k of the block is at its row's label. */
static void label_targets(float *target, const columns_block *b, uint32_t cols, const uint32_t *labels)
{
    uint32_t c = b->column;
    const uint32_t *label = labels + b->first / cols;
    for (uint32_t k = 0; k < b->count; k++) {
        target[k] = *label == c ? 1.0f : 0.0f;
        if (++c == cols) {
            c = 0;
            label++;
        }
    }
}

static inline __attribute__((always_inline)) void block(const uint32_t squares, const float *p, const float *t,
                                                        const float *quotient, const float *factor, const float *inverse, float *dp,
                                                        uint32_t count)
{
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++) {
        float slope = actc_canon(actc_dice_slope(squares, actc_flush(p[k]), actc_flush(t[k]), quotient[k], factor[k]));
        dp[k] = inverse[k] == 0.0f ? 0.0f : slope;
    }
}

ACTC_CPU_KERNEL(dice_loss_bwd)
{
    const struct actc_params_dice_loss_bwd *p = params;
    const float *probabilities = views[0], *quotients = views[2];
    const uint32_t *step = views[3];
    float *dp = views[4];
    const float scale = actc_loss_scale(step[p->norm], p->weight);
    const uint64_t sample = (uint64_t)p->rows * p->cols;
    float quotient[COLUMNS_TABLE], inverse[COLUMNS_TABLE], factor[COLUMNS_TABLE], target[COLUMNS_TABLE];
    const actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t first = span.first; first < span.last;) {
        const uint32_t o = (uint32_t)(first / sample);
        const actc_cpu_span part = {first, (uint32_t)ACTC_MIN(span.last, (o + 1) * sample)};
        const float *of_sample = quotients + (size_t)o * p->cols;
        for (columns_block b = columns_next((columns_block){0}, part, p->cols); b.count; b = columns_next(b, part, p->cols)) {
            if (b.fill) {
                columns_fill(quotient, &b, p->cols, of_sample, 0.0f);
                columns_fill(inverse, &b, p->cols, of_sample + (size_t)p->outer * p->cols, 0.0f);
                ACTC_CPU_SIMD
                for (uint32_t k = 0; k < b.count; k++)
                    factor[k] = actc_flush(ACTC_MUL(inverse[k], scale));
            }
            const float *t = target;
            if (p->labels)
                label_targets(target, &b, p->cols, views[1]);
            else
                t = (const float *)views[1] + b.first;
            if (p->squares)
                block(1, probabilities + b.first, t, quotient, factor, inverse, dp + b.first, b.count);
            else
                block(0, probabilities + b.first, t, quotient, factor, inverse, dp + b.first, b.count);
        }
        first = part.last;
    }
}
