/* softmax_bwd.c: the gradient of softmax, or of its logarithm, from its output. */
#include "exact/norm.h"
#include "row_lanes.h"
#include "softmax_rows.h"

static inline float term(float dy, float y, uint32_t log)
{
    return log ? dy : actc_product(dy, y);
}

static inline float gradient(float dy, float y, float s, uint32_t log)
{
    return log ? ACTC_SUB(dy, ACTC_MUL(actc_exp(y), s)) : ACTC_MUL(y, ACTC_SUB(dy, s));
}

static inline __attribute__((always_inline)) void short_rows(uint32_t cols, const uint32_t log, const float *dy, const float *y,
                                                             float *dx, uint32_t rows)
{
    softmax_block g, v;
    float s[SOFTMAX_ROWS] = {0.0f};
    softmax_take(g, dy, rows, cols);
    softmax_take(v, y, rows, cols);
    for (uint32_t c = 0; c < cols; c++) {
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < SOFTMAX_ROWS; r++)
            s[r] = ACTC_ADD(s[r], term(g[c][r], v[c][r], log));
    }
    for (uint32_t c = 0; c < cols; c++) {
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < SOFTMAX_ROWS; r++)
            g[c][r] = gradient(g[c][r], v[c][r], s[r], log);
    }
    softmax_give(dx, g, rows, cols);
}

static inline __attribute__((always_inline)) void long_row(uint32_t cols, const uint32_t log, const float *dy, const float *y,
                                                           float *dx)
{
    float a[ROW_LANES];
    row_set(a, 0.0f);
    for (uint32_t c = 0; c < cols; c += ROW_LANES) {
        const float *g = dy + c, *v = y + c;
        uint32_t count = ACTC_MIN(ROW_LANES, cols - c);
        ACTC_CPU_SIMD
        for (uint32_t t = 0; t < count; t++)
            a[t] = ACTC_ADD(a[t], term(actc_flush(g[t]), actc_flush(v[t]), log));
    }
    const float s = row_total(a, cols);
    ACTC_CPU_SIMD
    for (uint32_t c = 0; c < cols; c++)
        dx[c] = actc_canon(gradient(actc_flush(dy[c]), actc_flush(y[c]), s, log));
}

ACTC_CPU_KERNEL(softmax_bwd)
{
    const struct actc_params_softmax_bwd *p = params;
    const float *dy = views[0], *y = views[1];
    float *dx = views[2];
    const bool serial = p->cols <= ACTC_SOFTMAX_SERIAL;
    actc_cpu_span span = serial ? actc_cpu_invocations(begin, end, p->rows) : (actc_cpu_span){begin, end};
    for (uint32_t r = span.first; r < span.last; r += serial ? SOFTMAX_ROWS : 1u) {
        const size_t at = (size_t)r * p->cols;
        const uint32_t rows = ACTC_MIN(SOFTMAX_ROWS, span.last - r);
        if (serial && p->log)
            short_rows(p->cols, 1, dy + at, y + at, dx + at, rows);
        else if (serial)
            short_rows(p->cols, 0, dy + at, y + at, dx + at, rows);
        else if (p->log)
            long_row(p->cols, 1, dy + at, y + at, dx + at);
        else
            long_row(p->cols, 0, dy + at, y + at, dx + at);
    }
}
