/* codec_values.c: values in 16, 8 and 4 bits. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_values)
{
    const struct actc_params_codec_values *p = params;
    const uint32_t *values = views[0], *step = views[1];
    codec_window payload = {views[2], p->payload_first, p->payload_words};
    for (uint32_t g = begin; g < end; g++) {
        uint32_t first = p->first_slot + 256 * g, last = ACTC_MIN(first + 256, p->k);
        const uint32_t *v = values + (first - p->values_first);
        if (p->form < ACTC_CODEC_INT8) {
            for (uint32_t i = 0; i < last - first; i++)
                codec_put_half(payload, p->values_byte + 2 * (first + i), actc_value16_code(v[i], p->form));
            continue;
        }
        uint32_t largest = 0;
        for (uint32_t i = 0; i < last - first; i++) {
            uint32_t a = v[i] & ACTC_ABS_MASK;
            largest = a < ACTC_INF_BITS && a > largest ? a : largest;
        }
        uint32_t width = actc_int_width(p->form), scale = actc_int_scale(largest, width), before = 0;
        codec_put_byte(payload, p->scale_byte + first / 256, scale);
        for (uint32_t i = 0; i < last - first; i++) {
            uint32_t random = actc_random_bits(first + i, p->tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                               step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
            uint32_t code = actc_int_code(v[i], scale, random, width);
            if (width == 8)
                codec_put_byte(payload, p->values_byte + first + i, code);
            else /* two slots a byte: with the one before it, or alone for now */
                codec_put_byte(payload, p->values_byte + (first + i) / 2, i % 2 ? before | code << 4 : code);
            before = code;
        }
    }
}
