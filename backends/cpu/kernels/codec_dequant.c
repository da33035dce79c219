/* codec_dequant.c: elements from their codes. */
#include "quant_words.h"

static void decode(const uint8_t *codes, uint32_t offset, uint32_t scale, uint32_t count, uint32_t *restrict x)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < count; i++)
        x[i] = actc_quant_value(codes[i], offset, scale);
}

ACTC_CPU_KERNEL(codec_dequant)
{
    const struct actc_params_codec_dequant *p = params;
    const uint32_t *words = views[0], *offsets = views[1];
    const uint8_t *scales = views[2];
    uint32_t *x = views[3], in_word = 32 / p->bits;
    uint8_t codes[ACTC_QUANT_GROUP], packed[ACTC_QUANT_GROUP] = {0};
    for (uint32_t g = begin; g < end; g++)
        for (uint32_t q = 0; q < ACTC_GROUP_ELEMENTS; q += ACTC_QUANT_GROUP) {
            uint32_t start = p->first + g * ACTC_GROUP_ELEMENTS + q, group = start / ACTC_QUANT_GROUP;
            uint32_t from = start > p->begin ? start : p->begin, to = ACTC_MIN(start + ACTC_QUANT_GROUP, p->end);
            if (from >= to)
                continue;
            uint32_t scale = scales[group - p->scale_first];
            uint32_t offset = p->minmax ? offsets[group - p->offset_first] : actc_quant_offset(0, scale, p->bits, 0);
            uint32_t count = to - start; /* codes that there are */
            memcpy(packed, words + (start / in_word - p->code_first), 4 * (size_t)((count + in_word - 1) / in_word));
            switch (p->bits) {
            case 8: actc_quant_spread_group(packed, codes, 8); break;
            case 4: actc_quant_spread_group(packed, codes, 4); break;
            case 2: actc_quant_spread_group(packed, codes, 2); break;
            default: actc_quant_spread_group(packed, codes, 1); break;
            }
            decode(codes + (from - start), offset, scale, to - from, x + (from - p->x_first));
        }
}
