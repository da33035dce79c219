/* codec_tables.h: shapes, options and contents that break codecs, for actc-parity and the unit tests. */
#ifndef ACTC_CODEC_TABLES_H
#define ACTC_CODEC_TABLES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "values.h"

typedef struct shape_case {
    int ndim;
    int64_t d[5];
} shape_case;

/* One element, odd, prime, smaller than a block, just past a tile, a segment, a block; 1-D to 5-D, 4x4 maps. */
static const shape_case codec_shapes[] = {
    {0, {0}},
    {1, {1}}, {1, {2}}, {1, {15}}, {1, {16}}, {1, {17}}, {1, {255}}, {1, {257}}, {1, {4099}}, {1, {65537}},
    {2, {1, 1}}, {2, {1, 37}}, {2, {37, 1}}, {2, {16, 16}}, {2, {23, 29}}, {2, {7, 300}}, {2, {128, 130}}, {2, {257, 255}},
    {3, {1, 1, 1}}, {3, {2, 5, 7}}, {3, {3, 16, 24}}, {3, {2, 197, 33}}, {3, {5, 32, 31}},
    {4, {1, 1, 1, 1}}, {4, {2, 3, 4, 4}}, {4, {1, 16, 16, 16}}, {4, {2, 17, 26, 26}}, {4, {3, 1, 28, 28}},
    {4, {2, 64, 8, 8}}, {4, {1, 5, 7, 7}}, {4, {4, 16, 13, 11}}, {4, {2, 32, 32, 32}}, {4, {1, 3, 33, 47}},
    {4, {2, 8, 1, 64}}, {4, {2, 130, 2, 3}}, {4, {1, 16, 72, 72}},
    {5, {1, 1, 1, 1, 1}}, {5, {2, 3, 2, 5, 6}}, {5, {2, 16, 3, 16, 16}}, {5, {1, 4, 5, 17, 19}},
};
#define CODEC_SHAPES (sizeof codec_shapes / sizeof *codec_shapes)

/* Each option value of each codec, other options at their default, and some together. */
static const char *const codec_specs[] = {
    "none", "random", "threshold", "threshold:lambda=1", "threshold:lambda=1.1", "threshold:lambda=2.5",
    "threshold:lambda=100", "threshold:lambda=1000", "threshold:ratio=0", "threshold:ratio=0.9", "threshold:ratio=1",
    "threshold:select=tile", "threshold:select=tile,lambda=1.5", "threshold:select=tile,lambda=300",
    "threshold:values=f16", "threshold:values=bf16", "threshold:values=int8",
    "threshold:values=int8,select=tile,lambda=3", "threshold:values=f16,lambda=1.3", "threshold:values=f16,lambda=500",
    "threshold:values=bf16,select=tile", "dct", "dct:lambda=1", "dct:lambda=1.1", "dct:lambda=2", "dct:lambda=100",
    "dct:lambda=1000", "dct:block=8", "dct:block=row", "dct:block=row,norm=none", "dct:select=tile", "dct:values=f16",
    "dct:values=bf16,lambda=40", "dct:values=int8", "wavelet", "wavelet:lambda=1", "wavelet:lambda=2",
    "wavelet:lambda=100", "wavelet:wave=haar,select=band", "wavelet:wave=bior2.2", "wavelet:levels=1",
    "wavelet:mode=symmetric", "wavelet:mode=symmetric,select=band,values=f16", "wavelet:select=tile",
    "wavelet:values=bf16", "wavelet:wave=dmey,levels=2", "wavelet:wave=haar,levels=6,values=int8",
    "threshold:select=random", "threshold:select=random,lambda=1.5", "threshold:select=random,lambda=300",
    "dct:select=random,values=int8", "wavelet:select=random,values=bf16,lambda=40",
    "threshold:values=int4,lambda=3", "dct:values=int4", "wavelet:values=int4,select=tile", "threshold:values=int4,lambda=1",
    "quant", "quant:bits=4", "quant:bits=2", "quant:bits=1", "quant:bits=8,mode=symmetric", "quant:bits=4,mode=symmetric",
    "quant:bits=2,mode=symmetric", "quant:bits=1,mode=symmetric",
};
#define CODEC_SPECS (sizeof codec_specs / sizeof *codec_specs)

/* Refused: longer than 4096. */
static inline bool codec_row_too_long(const char *spec, const shape_case *shape)
{
    return strstr(spec, "block=row") && shape->ndim > 0 && shape->d[shape->ndim - 1] > 4096;
}

static inline uint64_t codec_elements(const shape_case *s)
{
    uint64_t n = 1;
    for (int i = 0; i < s->ndim; i++)
        n *= (uint64_t)s->d[i];
    return n;
}

/* "2x3x4x4"; "scalar" where there is no dimension. */
static inline const char *codec_shape_text(const shape_case *s, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s", s->ndim ? "" : "scalar");
    for (int i = 0; i < s->ndim; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "", (long long)s->d[i]);
    return text;
}

typedef enum content { NORMAL, RELU, ADVERSARIAL, ZERO, EQUAL, SUBNORMAL, SPARSE, TIES, CONTENTS } content;

static inline const char *codec_content_name(content kind)
{
    static const char *const names[] = {"normal", "relu", "adversarial", "zero", "equal", "subnormal", "sparse", "ties"};
    return names[kind];
}

static inline void codec_content_fill(content kind, float *x, uint64_t n, uint64_t seed)
{
    test_rng r = {seed};
    for (uint64_t i = 0; i < n; i++) {
        float v = rng_normal(&r);
        switch (kind) {
        case NORMAL: x[i] = v; break;
        case RELU: x[i] = v > 0 ? v : 0; break; /* half zeros */
        case ADVERSARIAL: x[i] = rng_adversarial(&r, 20); break;
        case ZERO: x[i] = i % 3 ? 0.0f : -0.0f; break;
        case EQUAL: x[i] = 0.7f; break; /* every key ties */
        case SUBNORMAL: x[i] = bits_float(rng_next(&r) & 0x807fffff); break;
        case SPARSE: x[i] = rng_next(&r) % 200 ? 0 : v; break; /* fewer than k are not zero */
        case TIES: x[i] = (float)(int)(rng_next(&r) % 7) - 3; break;
        case CONTENTS: break;
        }
    }
}

#endif
