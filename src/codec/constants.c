/* constants.c: the tables that codec kernels read, computed in float64 and rounded once.
 *
 * No constant lies between 0 and 2^-40: products with data then never come near a subnormal (exact/README.md).
 */
#include <math.h>
#include <string.h>

#include "plan_internal.h"

#define PI 3.14159265358979323846

static float constant(double value)
{
    float f = (float)value;
    return fabsf(f) < 0x1p-40f ? 0.0f : f;
}

/* cos(pi numerator / (2 length)), with the angle reduced in integers. */
static double cosine(uint64_t numerator, uint64_t length)
{
    uint64_t a = numerator % (4 * length);
    double sign = 1;
    if (a > 2 * length)
        a = 4 * length - a;
    if (a > length) {
        a = 2 * length - a;
        sign = -1;
    }
    return a == length ? 0 : sign * cos(PI * (double)a / (2 * (double)length));
}

static void matrix(float *target, uint32_t length)
{
    for (uint32_t u = 0; u < length; u++)
        for (uint32_t j = 0; j < length; j++)
            target[u * length + j] = constant(sqrt((u ? 2.0 : 1.0) / length) * cosine((uint64_t)u * (2 * j + 1), length));
}

static void row_table(float *target, uint32_t width, bool norm_none)
{
    for (uint32_t i = 0; i < 4 * width; i++)
        target[i] = constant(cosine(i, width));
    float *factor = target + 4 * width;
    factor[0] = constant(norm_none ? 2 : sqrt(1.0 / width));
    factor[1] = constant(norm_none ? 2 : sqrt(2.0 / width));
    factor[2] = constant(norm_none ? 0.5 / width : sqrt(1.0 / width));
    factor[3] = constant(norm_none ? 1.0 / width : sqrt(2.0 / width));
}

static void filters(float *target, const actc_codec_plan *plan)
{
    actc_wave_filters f;
    actc_wavelet_filters(&actc_wavelets[plan->spec.wave], &f);
    const double *const all[] = {f.dec_lo, f.dec_hi, f.rec_lo, f.rec_hi};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < plan->taps; j++)
            target[i * plan->taps + j] = constant(all[i][j]);
}

actc_status actc_codec_constants(actc_context *context, actc_codec_plan *plan)
{
    if (plan->k == 0)
        return ACTC_OK;
    uint64_t floats = 0;
    if (plan->spec.kind == ACTC_CODEC_DCT)
        floats = plan->spec.block ? 2 * ACTC_CODEC_WIDTH_MATRIX : 4ull * plan->width + 4;
    else if (plan->spec.kind == ACTC_CODEC_WAVELET && plan->levels > 0)
        floats = 4 * (uint64_t)plan->taps;
    uint64_t bytes = actc_align(4 * (ACTC_CODEC_TABLES + floats), ACTC_VIEW_ALIGNMENT);
    uint32_t *words = actc_malloc_pages(bytes);
    if (!words)
        return actc_out_of_memory(context, bytes, "a codec's tables");
    plan->constants = words;
    plan->constants_bytes = bytes;
    for (uint32_t r = 0; r <= plan->regions; r++)
        words[ACTC_CODEC_REGION_BEGIN + r] = (uint32_t)plan->region_begin[r];
    for (uint32_t r = 0; r < plan->regions; r++)
        words[ACTC_CODEC_REGION_K + r] = (uint32_t)plan->region_k[r];
    if (!floats)
        return ACTC_OK;
    float *table = (float *)(void *)(words + ACTC_CODEC_TABLES);
    if (plan->spec.kind == ACTC_CODEC_WAVELET) {
        filters(table, plan);
    } else if (plan->spec.block == 0) {
        row_table(table, plan->width, plan->spec.norm_none);
    } else {
        uint32_t block = (uint32_t)plan->spec.block, lh = plan->height % block, lw = plan->width % block;
        matrix(table, lh);
        matrix(table + ACTC_CODEC_WIDTH_MATRIX, lw);
    }
    return ACTC_OK;
}
