/* codec_idct.c: inverse 2-D dct of blocks: along width, then along height. */
#include "codec_dct_block.h"

ACTC_CPU_KERNEL(codec_idct)
{
    const struct actc_params_codec_idct *p = params;
    const uint32_t *y = views[0];
    const float *tables = (const float *)views[1] + ACTC_CODEC_TABLES;
    uint32_t *x = views[2];
    uint32_t each = ACTC_GROUP_SIZE / p->block, instances = actc_codec_blocks(p->width, p->block) * p->channels;
    for (uint32_t g = begin; g < end; g++) {
        uint32_t row = p->first_row + g / p->row_groups, first = g % p->row_groups * each;
        for (uint32_t q = first; q < first + each && q < instances; q++) {
            codec_instance at = codec_instance_of(p->block, p->height, p->width, p->channels, row, q);
            float b[16][16], line[16];
            for (uint32_t u = 0; u < at.lh; u++) {
                for (uint32_t v = 0; v < at.lw; v++)
                    b[u][v] = actc_flush_bits(y[at.coefficient + u * at.lw + v - p->y_first]);
                codec_idct_1d(b[u], at.lw, tables + ACTC_CODEC_WIDTH_MATRIX);
            }
            for (uint32_t w = 0; w < at.lw; w++) {
                for (uint32_t u = 0; u < at.lh; u++)
                    line[u] = actc_flush(b[u][w]);
                codec_idct_1d(line, at.lh, tables);
                for (uint32_t h = 0; h < at.lh; h++)
                    x[at.element + (h * p->width + w) * p->channels - p->x_first] = actc_canon_bits(line[h]);
            }
        }
    }
}
