/* codec_dct_block.h: 1-D transforms of any length up to 16 in place, and the places of blocks. CODEC_DCT_T may be defined
 * as a vector type, whose lanes are then transformed side by side. */
#ifndef ACTC_CODEC_DCT_BLOCK_H
#define ACTC_CODEC_DCT_BLOCK_H

#include "codec_pass.h"
#include "exact/dct.h"

#ifndef CODEC_DCT_T
#define CODEC_DCT_T float
#endif

/* An instance is one channel of one block; instances of a block row are numbered column by column, channels fastest. */
typedef struct codec_instance {
    uint32_t lh, lw;      /* rows and columns */
    uint32_t element;     /* of its row 0, column 0 */
    uint32_t coefficient; /* its first */
} codec_instance;

/* row counts block rows over all samples. */
static inline codec_instance codec_instance_of(uint32_t block, uint32_t height, uint32_t width, uint32_t channels,
                                               uint32_t row, uint32_t q)
{
    uint32_t rows = actc_codec_blocks(height, block), s = row / rows, h = row % rows * block;
    uint32_t w = q / channels * block, c = q % channels;
    codec_instance i;
    i.lh = ACTC_MIN(block, height - h);
    i.lw = ACTC_MIN(block, width - w);
    i.element = ((s * height + h) * width + w) * channels + c;
    /* block rows above, blocks to the left, channels before */
    i.coefficient = (s * height + h) * width * channels + w * i.lh * channels + c * i.lh * i.lw;
    return i;
}

/* Lengths other than 16 and 8: folds as exact/dct.h does, with matrix m (row u, column j). */
static inline void codec_dct_any(CODEC_DCT_T *x, uint32_t length, const float *m)
{
    CODEC_DCT_T s[16], y[16];
    uint32_t l = length, stride = 1;
    for (uint32_t j = 0; j < l; j++)
        s[j] = x[j];
    for (; l % 2 == 0; l /= 2, stride *= 2) {
        CODEC_DCT_T d[8];
        for (uint32_t j = 0; j < l / 2; j++) {
            CODEC_DCT_T a = s[j], b = s[l - 1 - j];
            s[j] = ACTC_ADD(a, b);
            d[j] = ACTC_SUB(a, b);
        }
        for (uint32_t i = 0; i < l / 2; i++) {
            uint32_t u = (2 * i + 1) * stride;
            CODEC_DCT_T sum = ACTC_MUL(d[0], m[u * length]);
            for (uint32_t j = 1; j < l / 2; j++)
                sum = ACTC_ADD(sum, ACTC_MUL(d[j], m[u * length + j]));
            y[u] = sum;
        }
    }
    for (uint32_t i = 0; i < l; i++) {
        uint32_t u = i * stride;
        CODEC_DCT_T sum = ACTC_MUL(s[0], m[u * length]);
        for (uint32_t j = 1; j < l; j++)
            sum = ACTC_ADD(sum, ACTC_MUL(s[j], m[u * length + j]));
        y[u] = sum;
    }
    for (uint32_t u = 0; u < length; u++)
        x[u] = y[u];
}

static inline void codec_idct_any(CODEC_DCT_T *y, uint32_t length, const float *m)
{
    CODEC_DCT_T x[16];
    uint32_t l = length, stride = 1;
    for (; l % 2 == 0; l /= 2)
        stride *= 2;
    for (uint32_t j = 0; j < l; j++) {
        CODEC_DCT_T sum = ACTC_MUL(y[0], m[j]);
        for (uint32_t i = 1; i < l; i++)
            sum = ACTC_ADD(sum, ACTC_MUL(y[i * stride], m[i * stride * length + j]));
        x[j] = sum;
    }
    for (; l < length; l *= 2) {
        stride /= 2;
        CODEC_DCT_T even[8];
        for (uint32_t j = 0; j < l; j++)
            even[j] = x[j];
        for (uint32_t j = 0; j < l; j++) {
            CODEC_DCT_T odd = ACTC_MUL(y[stride], m[stride * length + j]);
            for (uint32_t i = 1; i < l; i++)
                odd = ACTC_ADD(odd, ACTC_MUL(y[(2 * i + 1) * stride], m[(2 * i + 1) * stride * length + j]));
            x[j] = ACTC_ADD(even[j], odd);
            x[2 * l - 1 - j] = ACTC_SUB(even[j], odd);
        }
    }
    for (uint32_t j = 0; j < length; j++)
        y[j] = x[j];
}

static inline void codec_dct_1d(CODEC_DCT_T *x, uint32_t length, const float *matrix)
{
    if (length == 16)
        ACTC_DCT16(CODEC_DCT_T, x)
    else if (length == 8)
        ACTC_DCT8(CODEC_DCT_T, x)
    else
        codec_dct_any(x, length, matrix);
}

static inline void codec_idct_1d(CODEC_DCT_T *x, uint32_t length, const float *matrix)
{
    if (length == 16)
        ACTC_IDCT16(CODEC_DCT_T, x)
    else if (length == 8)
        ACTC_IDCT8(CODEC_DCT_T, x)
    else
        codec_idct_any(x, length, matrix);
}

#endif
