/* ln_bwd.c: the gradient of layer norm with regard to its input, a row a group. */
#include "exact/norm.h"
#include "row_lanes.h"

/* Of ROW_LANES columns, at most. */
typedef struct part {
    float g[ROW_LANES], xhat[ROW_LANES];
} part;

static inline __attribute__((always_inline)) void load(part *to, const float *dy, const float *x, const float *gamma,
                                                       uint32_t count, float mean, float inverse, const bool affine)
{
    ACTC_CPU_SIMD
    for (uint32_t t = 0; t < count; t++) {
        to->g[t] = affine ? actc_product(actc_flush(dy[t]), actc_flush(gamma[t])) : actc_flush(dy[t]);
        to->xhat[t] = actc_normalise(actc_flush(x[t]), mean, inverse);
    }
}

ACTC_CPU_KERNEL(ln_bwd)
{
    const struct actc_params_ln_bwd *p = params;
    const float *statistics = views[2], *gamma = views[3];
    part now;
    for (uint32_t r = begin; r < end; r++) {
        const float *dy = (const float *)views[0] + (size_t)r * p->cols, *x = (const float *)views[1] + (size_t)r * p->cols;
        float *dx = (float *)views[4] + (size_t)r * p->cols;
        const float factor = actc_flush(statistics[p->rows + r]);
        /* (xhat - 0) * 1 is xhat */
        const float mean = p->normalised ? 0.0f : actc_flush(statistics[r]), inverse = p->normalised ? 1.0f : factor;
        float a[ROW_LANES], b[ROW_LANES], mean_g = 0.0f, mean_g_xhat = 0.0f;
        row_set(a, 0.0f);
        row_set(b, 0.0f);
        for (uint32_t pass = 0; pass < 2; pass++) {
            for (uint32_t c = 0; c < p->cols; c += ROW_LANES) {
                uint32_t count = ACTC_MIN(ROW_LANES, p->cols - c);
                float *out = dx + c;
                if (p->affine)
                    load(&now, dy + c, x + c, gamma + c, count, mean, inverse, true);
                else
                    load(&now, dy + c, x + c, dy, count, mean, inverse, false);
                if (pass == 0) {
                    ACTC_CPU_SIMD
                    for (uint32_t t = 0; t < count; t++) {
                        a[t] = ACTC_ADD(a[t], now.g[t]);
                        b[t] = ACTC_ADD(b[t], actc_product(now.g[t], now.xhat[t]));
                    }
                } else {
                    ACTC_CPU_SIMD
                    for (uint32_t t = 0; t < count; t++)
                        out[t] = actc_canon(actc_normalise_slope(now.g[t], now.xhat[t], mean_g, mean_g_xhat, factor));
                }
            }
            if (pass == 0) {
                mean_g = actc_flush(ACTC_MUL(p->inverse_cols, row_total(a, p->cols)));
                mean_g_xhat = actc_flush(ACTC_MUL(p->inverse_cols, row_total(b, p->cols)));
            }
        }
    }
}
