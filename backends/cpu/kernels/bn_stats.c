/* bn_stats.c: mean and inverse deviation of each column from the moments of its chunks, and the running ones. */
#include "exact/norm.h"
#include "kernel.h"

#define COLUMNS ACTC_BN_COLUMNS
#define LANES ACTC_BN_LANES

/* a[0][k] becomes the total of the lanes. */
static void tree(float a[LANES][COLUMNS])
{
    for (uint32_t h = LANES / 2; h > 0; h /= 2)
        for (uint32_t l = 0; l < h; l++)
            for (uint32_t k = 0; k < COLUMNS; k++)
                a[l][k] = ACTC_ADD(a[l][k], a[l + h][k]);
}

/* Mean and variance of `count` columns. `sums` and `squares` are rows of 2 * cols. */
static void moments(const struct actc_params_bn_stats *p, const float *sums, uint32_t count, float *mean, float *variance)
{
    const float *squares = sums + p->cols;
    float a[LANES][COLUMNS] = {{0.0f}};
    for (uint32_t j = 0; j < p->chunks; j++) {
        const float *in = sums + (size_t)j * 2 * p->cols;
        float *to = a[j % LANES];
        for (uint32_t k = 0; k < count; k++)
            to[k] = ACTC_ADD(to[k], actc_flush(in[k]));
    }
    tree(a);
    for (uint32_t k = 0; k < COLUMNS; k++)
        mean[k] = actc_flush(ACTC_MUL(p->inverse_rows, a[0][k]));
    memset(a, 0, sizeof a);
    for (uint32_t j = 0; j < p->chunks; j++) {
        const float *s = sums + (size_t)j * 2 * p->cols, *q = squares + (size_t)j * 2 * p->cols;
        uint32_t n = ACTC_MIN(ACTC_SUM_ROWS, p->rows - j * ACTC_SUM_ROWS);
        float *to = a[j % LANES];
        for (uint32_t k = 0; k < count; k++) {
            float between = ACTC_MUL((float)n, actc_squared_distance(actc_chunk_mean(actc_flush(s[k]), n), mean[k]));
            to[k] = ACTC_ADD(to[k], ACTC_ADD(actc_flush(q[k]), between));
        }
    }
    tree(a);
    for (uint32_t k = 0; k < COLUMNS; k++)
        variance[k] = actc_flush(ACTC_MUL(p->inverse_rows, a[0][k]));
}

ACTC_CPU_KERNEL(bn_stats)
{
    const struct actc_params_bn_stats *p = params;
    const float *sums = views[0];
    float *statistics = views[1], *running_mean = views[2], *running_variance = views[3];
    for (uint32_t g = begin; g < end; g++) {
        uint32_t c = g * COLUMNS, count = ACTC_MIN(COLUMNS, p->cols - c);
        float mean[COLUMNS], variance[COLUMNS];
        if (p->evaluate) {
            for (uint32_t k = 0; k < count; k++) {
                mean[k] = actc_flush(running_mean[c + k]);
                variance[k] = actc_flush(running_variance[c + k]);
            }
        } else {
            moments(p, sums + c, count, mean, variance);
        }
        for (uint32_t k = 0; k < count; k++) {
            statistics[c + k] = actc_canon(mean[k]);
            statistics[p->cols + c + k] = actc_canon(actc_inverse_deviation(variance[k], p->epsilon));
        }
        for (uint32_t k = 0; k < count && p->running && !p->evaluate; k++) {
            float unbiased = actc_flush(ACTC_MUL(p->unbiased, variance[k]));
            running_mean[c + k] = actc_canon(
                ACTC_ADD(ACTC_MUL(p->rest, actc_flush(running_mean[c + k])), ACTC_MUL(p->momentum, mean[k])));
            running_variance[c + k] = actc_canon(
                ACTC_ADD(ACTC_MUL(p->rest, actc_flush(running_variance[c + k])), ACTC_MUL(p->momentum, unbiased)));
        }
    }
}
