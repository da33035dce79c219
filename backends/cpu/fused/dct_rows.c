/* dct_rows.c: block=row, the 1-D dct of whole rows by the plain sum (kernels/codec_dct_row.c), neighbouring channels side
 * by side. */
#include "../kernels/codec_pass.h"
#include "fused.h"

#define LANES 16 /* channels at once */

/* out[c] for up to LANES channels: the sum over j of in[j * in_step + c * in_channel] * factor * cosine(angle step). */
static void sums(const float *in, uint64_t in_step, uint64_t in_channel, uint32_t channels, uint32_t width,
                 const float *cosines, uint32_t start, uint32_t step, const float *factors, float *out)
{
    uint32_t angle = start, period = 4 * width;
    float sum[LANES] = {0};
    for (uint32_t group = 0; group < width; group += ACTC_CODEC_ROW_GROUP) {
        float part[LANES] = {0};
        for (uint32_t j = group; j < width && j < group + ACTC_CODEC_ROW_GROUP; j++) {
            const float *at = in + j * in_step;
            float v[LANES] = {0}, cosine = cosines[angle], factor = factors ? factors[j ? 1 : 0] : 0;
            angle += step;
            angle = angle >= period ? angle - period : angle;
            for (uint32_t c = 0; c < channels; c++)
                v[c] = actc_flush(at[c * in_channel]);
            if (factors)
                for (uint32_t c = 0; c < LANES; c++)
                    v[c] = ACTC_MUL(v[c], factor);
            for (uint32_t c = 0; c < LANES; c++)
                part[c] = ACTC_ADD(part[c], ACTC_MUL(v[c], cosine));
        }
        for (uint32_t c = 0; c < LANES; c++)
            sum[c] = ACTC_ADD(sum[c], part[c]);
    }
    for (uint32_t c = 0; c < channels; c++)
        out[c] = sum[c];
}

void ACTC_CPU_NAME(fused_dct_rows)(const codec_units *units, const codec_unit *unit, const float *x, float *y,
                                   float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t w = plan->width, channels = unit->c1 - unit->c0, period = 4 * w;
    const float *cosines = units->tables, *factor = cosines + 4 * w;
    (void)scratch;
    for (uint32_t r = 0; r < unit->rows; r++) {
        const float *row = x + (uint64_t)(unit->row + r) * w * plan->channels + unit->c0;
        float *to = y + (uint64_t)r * w * channels;
        for (uint32_t u = 0; u < w; u++)
            for (uint32_t c = 0; c < channels; c += LANES) {
                uint32_t count = ACTC_MIN(LANES, channels - c);
                float v[LANES];
                sums(row + c, plan->channels, 1, count, w, cosines, u % period, 2 * u % period, NULL, v);
                for (uint32_t i = 0; i < count; i++)
                    to[(uint64_t)(c + i) * w + u] = actc_canon(ACTC_MUL(v[i], factor[u ? 1 : 0]));
            }
    }
}

void ACTC_CPU_NAME(fused_idct_rows)(const codec_units *units, const codec_unit *unit, const float *y, float *x,
                                    float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t w = plan->width, channels = unit->c1 - unit->c0, period = 4 * w;
    const float *cosines = units->tables, *factor = cosines + 4 * w;
    (void)scratch;
    for (uint32_t r = 0; r < unit->rows; r++) {
        const float *from = y + (uint64_t)r * w * channels;
        float *row = x + (unit->row + r - units->first) * w * plan->channels + unit->c0;
        for (uint32_t j = 0; j < w; j++)
            for (uint32_t c = 0; c < channels; c += LANES) {
                uint32_t count = ACTC_MIN(LANES, channels - c);
                float v[LANES];
                /* the angle of u is u (2j + 1) */
                sums(from + (uint64_t)c * w, 1, w, count, w, cosines, 0, (2 * j + 1) % period, factor + 2, v);
                for (uint32_t i = 0; i < count; i++)
                    row[(uint64_t)j * plan->channels + c + i] = actc_canon(v[i]);
            }
    }
}
