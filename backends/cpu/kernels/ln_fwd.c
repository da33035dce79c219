/* ln_fwd.c: layer norm, a row a group. */
#include "exact/norm.h"
#include "row_lanes.h"

ACTC_CPU_KERNEL(ln_fwd)
{
    const struct actc_params_ln_fwd *p = params;
    const float *gamma = views[1], *beta = views[2];
    float *statistics = views[4];
    float a[ROW_LANES];
    for (uint32_t r = begin; r < end; r++) {
        const float *x = (const float *)views[0] + (size_t)r * p->cols;
        float *y = (float *)views[3] + (size_t)r * p->cols;
        row_set(a, 0.0f);
        for (uint32_t c = 0; c < p->cols; c += ROW_LANES) {
            const float *in = x + c;
            uint32_t count = ACTC_MIN(ROW_LANES, p->cols - c);
            ACTC_CPU_SIMD
            for (uint32_t t = 0; t < count; t++)
                a[t] = ACTC_ADD(a[t], actc_flush(in[t]));
        }
        const float mean = actc_flush(ACTC_MUL(p->inverse_cols, row_total(a, p->cols)));
        row_set(a, 0.0f);
        for (uint32_t c = 0; c < p->cols; c += ROW_LANES) {
            const float *in = x + c;
            uint32_t count = ACTC_MIN(ROW_LANES, p->cols - c);
            ACTC_CPU_SIMD
            for (uint32_t t = 0; t < count; t++)
                a[t] = ACTC_ADD(a[t], actc_squared_distance(actc_flush(in[t]), mean));
        }
        const float variance = actc_flush(ACTC_MUL(p->inverse_cols, row_total(a, p->cols)));
        const float inverse = actc_inverse_deviation(variance, p->epsilon);
        if (p->keep) {
            statistics[r] = actc_canon(mean);
            statistics[p->rows + r] = actc_canon(inverse);
        }
        if (p->affine) {
            ACTC_CPU_SIMD
            for (uint32_t c = 0; c < p->cols; c++) {
                float xhat = actc_normalise(actc_flush(x[c]), mean, inverse);
                y[c] = actc_canon(ACTC_ADD(ACTC_MUL(xhat, actc_flush(gamma[c])), actc_flush(beta[c])));
            }
        } else {
            ACTC_CPU_SIMD
            for (uint32_t c = 0; c < p->cols; c++)
                y[c] = actc_canon(actc_normalise(actc_flush(x[c]), mean, inverse));
        }
    }
}
