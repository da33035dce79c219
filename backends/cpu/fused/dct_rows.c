/* dct_rows.c: block=row, the 1-D dct of whole rows by the plain sum (kernels/codec_dct_row.c), several rows or channels
 * side by side.
 */
#include "../kernels/codec_pass.h"
#include "fused.h"

#define LANES CODEC_ROW_LANES

/* out = the sum over j of in[j] * cosine(start + j * step), lane by lane. */
static void sums(const float *in, uint32_t width, const float *cosines, uint32_t start, uint32_t step, float *out)
{
    uint32_t angle = start, period = 4 * width;
    float sum[LANES] = {0};
    for (uint32_t group = 0; group < width; group += ACTC_CODEC_ROW_GROUP) {
        float part[LANES] = {0};
        for (uint32_t j = group; j < width && j < group + ACTC_CODEC_ROW_GROUP; j++) {
            const float *v = in + j * LANES, cosine = cosines[angle];
            angle += step;
            angle = angle >= period ? angle - period : angle;
            for (uint32_t i = 0; i < LANES; i++)
                part[i] = ACTC_ADD(part[i], ACTC_MUL(v[i], cosine));
        }
        for (uint32_t i = 0; i < LANES; i++)
            sum[i] = ACTC_ADD(sum[i], part[i]);
    }
    memcpy(out, sum, sizeof sum);
}

/* Where instance i, a channel of a row, begins in the unit's part of x. */
static uint64_t place_in_x(const actc_codec_plan *plan, const codec_unit *unit, uint32_t i)
{
    uint32_t channels = unit->c1 - unit->c0;
    return (uint64_t)(i / channels) * plan->width * plan->channels + unit->c0 + i % channels;
}

void ACTC_CPU_NAME(fused_dct_rows)(const codec_units *units, const codec_unit *unit, const float *x, float *y,
                                   float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t w = plan->width, instances = unit->rows * (unit->c1 - unit->c0);
    const float *cosines = units->tables, *factor = cosines + 4 * w;
    x += (uint64_t)unit->row * w * plan->channels;
    for (uint32_t first = 0; first < instances; first += LANES) {
        uint32_t lanes = ACTC_MIN(LANES, instances - first);
        memset(scratch, 0, (size_t)w * LANES * sizeof *scratch);
        for (uint32_t i = 0; i < lanes; i++) {
            const float *from = x + place_in_x(plan, unit, first + i);
            for (uint32_t j = 0; j < w; j++)
                scratch[j * LANES + i] = actc_flush(from[(uint64_t)j * plan->channels]);
        }
        for (uint32_t u = 0; u < w; u++) {
            float v[LANES];
            sums(scratch, w, cosines, u, 2 * u, v); /* the angle of j is u (2j + 1) */
            for (uint32_t i = 0; i < lanes; i++)
                y[(uint64_t)(first + i) * w + u] = actc_canon(ACTC_MUL(v[i], factor[u ? 1 : 0]));
        }
    }
}

void ACTC_CPU_NAME(fused_idct_rows)(const codec_units *units, const codec_unit *unit, const float *y, float *x,
                                    float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t w = plan->width, instances = unit->rows * (unit->c1 - unit->c0);
    const float *cosines = units->tables, *factor = cosines + 4 * w;
    x += (unit->row - units->first) * w * plan->channels;
    for (uint32_t first = 0; first < instances; first += LANES) {
        uint32_t lanes = ACTC_MIN(LANES, instances - first);
        memset(scratch, 0, (size_t)w * LANES * sizeof *scratch);
        for (uint32_t i = 0; i < lanes; i++)
            for (uint32_t u = 0; u < w; u++)
                scratch[u * LANES + i] = ACTC_MUL(actc_flush(y[(uint64_t)(first + i) * w + u]), factor[u ? 3 : 2]);
        for (uint32_t j = 0; j < w; j++) {
            float v[LANES];
            sums(scratch, w, cosines, 0, 2 * j + 1, v); /* the angle of u is u (2j + 1) */
            for (uint32_t i = 0; i < lanes; i++)
                x[place_in_x(plan, unit, first + i) + (uint64_t)j * plan->channels] = actc_canon(v[i]);
        }
    }
}
