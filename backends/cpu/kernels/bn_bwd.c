/* bn_bwd.c: the gradient of batch norm with regard to its input, from the sums over rows. */
#include "columns.h"
#include "exact/norm.h"

typedef struct tables {
    float mean[COLUMNS_TABLE], inverse[COLUMNS_TABLE], factor[COLUMNS_TABLE];
    float mean_dy[COLUMNS_TABLE], mean_dy_xhat[COLUMNS_TABLE];
} tables;

ACTC_CPU_KERNEL(bn_bwd)
{
    const struct actc_params_bn_bwd *p = params;
    const float *dy = views[0], *x = views[1], *statistics = views[2], *gamma = views[3];
    const float *sum_dy = views[4], *sum_dy_xhat = views[5];
    float *dx = views[6];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    tables t;
    for (columns_block b = columns_next((columns_block){0}, span, p->cols); b.count; b = columns_next(b, span, p->cols)) {
        if (b.fill) {
            const float *means = p->normalised || p->constant ? NULL : statistics;
            columns_fill(t.mean, &b, p->cols, means, 0.0f);
            columns_fill(t.factor, &b, p->cols, p->affine ? gamma : NULL, 1.0f);
            columns_fill(t.inverse, &b, p->cols, statistics + p->cols, 0.0f);
            columns_fill(t.mean_dy, &b, p->cols, p->constant ? NULL : sum_dy, 0.0f);
            columns_fill(t.mean_dy_xhat, &b, p->cols, p->constant ? NULL : sum_dy_xhat, 0.0f);
            ACTC_CPU_SIMD
            for (uint32_t k = 0; k < b.count; k++) {
                t.factor[k] = actc_flush(ACTC_MUL(t.factor[k], t.inverse[k]));
                t.mean_dy[k] = actc_flush(ACTC_MUL(t.mean_dy[k], p->inverse_rows));
                t.mean_dy_xhat[k] = actc_flush(ACTC_MUL(t.mean_dy_xhat[k], p->inverse_rows));
            }
            for (uint32_t k = 0; k < b.count && !means; k++)
                t.inverse[k] = 1.0f; /* x is xhat */
        }
        const float *g = dy + b.first, *in = p->constant ? g : x + b.first;
        float *out = dx + b.first;
        if (p->constant) {
            ACTC_CPU_SIMD
            for (uint32_t k = 0; k < b.count; k++)
                out[k] = actc_canon(ACTC_MUL(t.factor[k], actc_flush(g[k])));
            continue;
        }
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < b.count; k++) {
            float xhat = actc_normalise(actc_flush(in[k]), t.mean[k], t.inverse[k]);
            out[k] = actc_canon(
                actc_normalise_slope(actc_flush(g[k]), xhat, t.mean_dy[k], t.mean_dy_xhat[k], t.factor[k]));
        }
    }
}
