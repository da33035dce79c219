/* softmax_fwd.c: softmax, or its logarithm, along each row. */
#include "row_lanes.h"
#include "softmax_rows.h"

#define NEVER ACTC_BITS_F32(0xff800000u)

static void short_rows(const struct actc_params_softmax_fwd *p, const float *x, float *y, uint32_t first, uint32_t rows)
{
    softmax_block t;
    float m[SOFTMAX_ROWS], s[SOFTMAX_ROWS];
    softmax_take(t, x, rows, p->cols);
    for (uint32_t r = 0; r < rows && p->causal; r++)
        for (uint32_t c = (first + r) % p->causal + 1; c < p->cols; c++)
            t[c][r] = NEVER;
    memcpy(m, t[0], sizeof m);
    for (uint32_t c = 1; c < p->cols; c++) {
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < SOFTMAX_ROWS; r++)
            m[r] = t[c][r] > m[r] ? t[c][r] : m[r];
    }
    memset(s, 0, sizeof s);
    for (uint32_t c = 0; c < p->cols; c++) {
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < SOFTMAX_ROWS; r++) {
            float d = ACTC_SUB(t[c][r], m[r]), e = actc_exp(d);
            s[r] = ACTC_ADD(s[r], e);
            t[c][r] = p->log ? d : e;
        }
    }
    ACTC_CPU_SIMD
    for (uint32_t r = 0; r < SOFTMAX_ROWS; r++)
        s[r] = p->log ? actc_log(s[r]) : actc_reciprocal(s[r]);
    for (uint32_t c = 0; c < p->cols; c++) {
        ACTC_CPU_SIMD
        for (uint32_t r = 0; r < SOFTMAX_ROWS; r++)
            t[c][r] = p->log ? ACTC_SUB(t[c][r], s[r]) : ACTC_MUL(t[c][r], s[r]);
    }
    softmax_give(y, t, rows, p->cols);
}

/* Of a row's first `seen` columns; what the others would add is 0. */
static void long_row(const struct actc_params_softmax_fwd *p, const float *x, float *y, uint32_t seen)
{
    float a[ROW_LANES];
    row_set(a, NEVER);
    for (uint32_t c = 0; c < seen; c += ROW_LANES) {
        const float *in = x + c;
        uint32_t count = ACTC_MIN(ROW_LANES, seen - c);
        ACTC_CPU_SIMD
        for (uint32_t t = 0; t < count; t++) {
            float v = actc_flush(in[t]);
            a[t] = v > a[t] ? v : a[t];
        }
    }
    const float m = row_largest(a, p->cols);
    row_set(a, 0.0f);
    for (uint32_t c = 0; c < seen; c += ROW_LANES) {
        const float *in = x + c;
        uint32_t count = ACTC_MIN(ROW_LANES, seen - c);
        ACTC_CPU_SIMD
        for (uint32_t t = 0; t < count; t++)
            a[t] = ACTC_ADD(a[t], actc_exp(ACTC_SUB(actc_flush(in[t]), m)));
    }
    const float s = row_total(a, p->cols), scale = p->log ? actc_log(s) : actc_reciprocal(s);
    if (p->log) {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < seen; c++)
            y[c] = actc_canon(ACTC_SUB(ACTC_SUB(actc_flush(x[c]), m), scale));
    } else {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < seen; c++)
            y[c] = actc_canon(ACTC_MUL(actc_exp(ACTC_SUB(actc_flush(x[c]), m)), scale));
    }
    const float d = ACTC_SUB(NEVER, m), rest = actc_canon(p->log ? ACTC_SUB(d, scale) : ACTC_MUL(actc_exp(d), scale));
    for (uint32_t c = seen; c < p->cols; c++)
        y[c] = rest;
}

ACTC_CPU_KERNEL(softmax_fwd)
{
    const struct actc_params_softmax_fwd *p = params;
    const float *x = views[0];
    float *y = views[1];
    if (p->cols > ACTC_SOFTMAX_SERIAL) {
        for (uint32_t r = begin; r < end; r++)
            long_row(p, x + (size_t)r * p->cols, y + (size_t)r * p->cols,
                     p->causal ? ACTC_MIN(r % p->causal + 1, p->cols) : p->cols);
        return;
    }
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->rows);
    for (uint32_t r = span.first; r < span.last; r += SOFTMAX_ROWS)
        short_rows(p, x + (size_t)r * p->cols, y + (size_t)r * p->cols, r, ACTC_MIN(SOFTMAX_ROWS, span.last - r));
}
