/* codec_quant.c: elements in 8, 4, 2 or 1 bits, by groups. */
#include "quant_words.h"
#include "random_bits.h"

/* The group's scale and offset. v: its elements, read. */
static uint32_t measure(const uint32_t *x, uint32_t count, uint32_t bits, uint32_t minmax, uint32_t *restrict v,
                        uint32_t *offset)
{
    uint32_t low = UINT32_MAX, high = 0, bad = 0;
    _Pragma("omp simd reduction(min:low) reduction(max:high) reduction(|:bad)")
    for (uint32_t i = 0; i < count; i++) {
        uint32_t r = actc_quant_read(x[i]), key = actc_quant_key(r);
        v[i] = r;
        bad |= ACTC_SELECT((x[i] & ACTC_ABS_MASK) >= ACTC_INF_BITS, 1u, 0u);
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    low = actc_quant_of_key(low);
    uint32_t scale = bad ? ACTC_QUANT_NOT_FINITE : actc_quant_scale(low, actc_quant_of_key(high), bits, minmax);
    *offset = actc_quant_offset(low, scale, bits, minmax);
    return scale;
}

static void encode(const uint32_t *v, const uint32_t *random, uint32_t count, uint32_t offset, uint32_t scale,
                   uint8_t *restrict codes)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < count; i++)
        codes[i] = (uint8_t)actc_quant_code(v[i], offset, scale, random[i]);
}

ACTC_CPU_KERNEL(codec_quant)
{
    const struct actc_params_codec_quant *p = params;
    const uint32_t *x = views[0], *step = views[1];
    uint32_t *words = views[2], *offsets = views[3], *scales = views[4];
    uint32_t v[ACTC_QUANT_GROUP], random[ACTC_QUANT_GROUP], in_word = 32 / p->bits;
    uint8_t codes[ACTC_QUANT_GROUP] = {0}, packed[ACTC_QUANT_GROUP];
    for (uint32_t g = begin; g < end; g++) {
        uint32_t first = p->first + g * ACTC_GROUP_ELEMENTS, last = ACTC_MIN(first + ACTC_GROUP_ELEMENTS, p->end);
        uint32_t four = 0;
        for (uint32_t i = first; i < last; i += ACTC_QUANT_GROUP) {
            uint32_t count = ACTC_MIN(ACTC_QUANT_GROUP, last - i), offset, group = i / ACTC_QUANT_GROUP;
            uint32_t scale = measure(x + (i - p->x_first), count, p->bits, p->minmax, v, &offset);
            actc_cpu_draw(random, i, count, p->tensor, step);
            encode(v, random, count, actc_quant_fixed(offset, scale), scale, codes);
            memset(codes + count, 0, ACTC_QUANT_GROUP - count);
            switch (p->bits) {
            case 8: actc_quant_squeeze_group(codes, packed, 8); break;
            case 4: actc_quant_squeeze_group(codes, packed, 4); break;
            case 2: actc_quant_squeeze_group(codes, packed, 2); break;
            default: actc_quant_squeeze_group(codes, packed, 1); break;
            }
            memcpy(words + (i / in_word - p->code_first), packed, 4 * (size_t)((count + in_word - 1) / in_word));
            if (p->minmax)
                offsets[group - p->offset_first] = offset;
            four |= scale << 8 * (group % 4);
        }
        scales[(first / ACTC_QUANT_GROUP - p->scale_first) / 4] = four;
    }
}
