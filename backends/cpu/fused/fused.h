/* fused.h: the fused codecs of the CPU: units of work, and the functions that are built once for every instruction set.
 *
 * A unit is what one thread transforms at once in memory that stays in its caches. Its coefficients are one part, or with a
 * wavelet one part a band; a part is a run of consecutive coefficients. Parts are numbered in the order of their
 * coefficients. A span is what of a part lies in one segment (65,536 coefficients): span number part + segment, so that
 * some numbers are unused.
 */
#ifndef ACTC_CPU_FUSED_H
#define ACTC_CPU_FUSED_H

#include "../../../src/codec/codec_plan.h"
#include "../cpu.h"

typedef enum codec_transform { CODEC_IDENTITY, CODEC_BLOCKS, CODEC_ROWS, CODEC_WAVELET } codec_transform;

typedef struct codec_units {
    const actc_codec_plan *plan;
    const float *tables; /* of the constants, from ACTC_CODEC_TABLES on */
    codec_transform transform;
    uint64_t first, last; /* rows: of blocks, of elements with block=row, samples of a wavelet, else coefficients */
    uint32_t units, unit_parts, parts, spans;
    uint32_t unit_rows;      /* rows of a unit, or */
    uint32_t unit_blocks;    /* blocks of a unit, of one row, or */
    uint32_t unit_channels;  /* channels of a unit, of one block or row of elements */
    uint32_t chunks;         /* such units of a block */
    uint32_t row_units;      /* units of a row, 1 with several rows a unit */
    uint64_t most;           /* coefficients of a unit, at most */
    uint64_t scratch_floats; /* that a transform takes beside them */
} codec_units;

/* Rows [row, row + rows), of one row blocks [block, block + blocks), of one block channels [c0, c1). */
typedef struct codec_unit {
    uint32_t row, rows, block, blocks, c0, c1;
    uint64_t begin, end; /* coefficients; with a wavelet of no meaning */
} codec_unit;

#define CODEC_ROW_LANES 16 /* rows or channels that block=row does side by side */
#define CODEC_KEEP_ROOM (ACTC_CODEC_TILE + 32)
#define CODEC_MARKS (ACTC_CODEC_SEGMENT / 32) /* words of marks of a span */

typedef struct codec_fns {
    /* y = the coefficients of the unit, part after part. scratch: units->scratch_floats. */
    void (*forward[4])(const codec_units *units, const codec_unit *unit, const float *x, float *y, float *scratch);
    /* x = the first sample of those that are restored. CODEC_BLOCKS takes the kept coefficients, `count` of them, at
     * ascending places in the unit; the others take y, dense. CODEC_IDENTITY has none. */
    void (*inverse_blocks)(const codec_units *units, const codec_unit *unit, const uint32_t *places, const uint32_t *bits,
                           uint32_t count, float *x);
    void (*inverse[4])(const codec_units *units, const codec_unit *unit, const float *y, float *x, float *scratch);
    /* How many of n |y| are above the key. */
    uint32_t (*count_above)(const uint32_t *y, uint32_t n, uint32_t key);
    /* How many have low < |y| <= high, and how many are above high; marks: a bit each for the former. */
    uint32_t (*mark)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t *marks, uint32_t *above);
    /* The marked ones: bits, and numbers counted from first. */
    void (*gather)(const uint32_t *y, uint32_t n, const uint32_t *marks, uint32_t first, uint32_t *bits, uint32_t *numbers);
    /* bins[min((|y| - low - 1) >> shift, last)]++ where low < |y| <= high. */
    void (*histogram)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t shift, uint32_t last,
                      uint32_t *bins);
    /* Of at most 256: those above the key and, of those equal to it, the first *ties, which counts down. Both results have
     * room for CODEC_KEEP_ROOM. */
    uint32_t (*keep)(const uint32_t *y, uint32_t n, uint32_t key, uint32_t *ties, uint8_t *places, uint32_t *bits);
    /* The `most` largest of at most 256, the first among equals and no zero, in order. *hint is 0 at first and makes the
     * next call faster; nothing else depends on it. */
    uint32_t (*keep_largest)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t *hint, uint8_t *places, uint32_t *bits);
    /* A random sample of `most` of at most 256, in order, by the 64 random bits high and low: places, and bits that stand
     * for what the sample leaves out as well. */
    uint32_t (*keep_sample)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t high, uint32_t low, uint8_t *places,
                            uint32_t *bits);
} codec_fns;

extern const codec_fns actc_cpu_fused_fns_baseline, actc_cpu_fused_fns_avx2, actc_cpu_fused_fns_avx512;

const codec_fns *actc_cpu_codec_fns(actc_cpu_isa isa);

#ifdef ACTC_CPU_SUFFIX /* inside of a build for one instruction set */
typedef void codec_transform_fn(const codec_units *units, const codec_unit *unit, const float *from, float *to,
                                float *scratch);
codec_transform_fn ACTC_CPU_NAME(fused_dct_blocks), ACTC_CPU_NAME(fused_dct_rows), ACTC_CPU_NAME(fused_dwt),
    ACTC_CPU_NAME(fused_idct_rows), ACTC_CPU_NAME(fused_idwt);
void ACTC_CPU_NAME(fused_idct_blocks)(const codec_units *units, const codec_unit *unit, const uint32_t *places,
                                      const uint32_t *bits, uint32_t count, float *x);
uint32_t ACTC_CPU_NAME(fused_count_above)(const uint32_t *y, uint32_t n, uint32_t key);
uint32_t ACTC_CPU_NAME(fused_mark)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t *marks,
                                   uint32_t *above);
void ACTC_CPU_NAME(fused_gather)(const uint32_t *y, uint32_t n, const uint32_t *marks, uint32_t first, uint32_t *bits,
                                 uint32_t *numbers);
void ACTC_CPU_NAME(fused_histogram)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t shift,
                                    uint32_t last, uint32_t *bins);
uint32_t ACTC_CPU_NAME(fused_keep)(const uint32_t *y, uint32_t n, uint32_t key, uint32_t *ties, uint8_t *places,
                                   uint32_t *bits);
uint32_t ACTC_CPU_NAME(fused_keep_largest)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t *hint, uint8_t *places,
                                           uint32_t *bits);
uint32_t ACTC_CPU_NAME(fused_keep_sample)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t high, uint32_t low,
                                          uint8_t *places, uint32_t *bits);
#endif

/* ---- units (codec_units.c) ---- */

/* For samples [first, last). Parts and spans are those of all samples. */
void actc_codec_units_init(codec_units *units, const actc_codec_plan *plan, uint64_t first, uint64_t last);
codec_unit actc_codec_unit_at(const codec_units *units, uint32_t unit);

typedef struct codec_part {
    uint32_t number, region;
    uint64_t begin, end; /* coefficients */
} codec_part;
/* Part number p of all. */
codec_part actc_codec_part_at(const codec_units *units, uint32_t p);
/* Part q of a unit; with a wavelet the band. */
static inline uint32_t actc_codec_part_number(const codec_units *units, uint32_t unit, uint32_t q)
{
    return units->transform == CODEC_WAVELET ? q * units->units + unit : unit;
}

/* Scratch memory handed out in pieces of 64 bytes; base NULL: only counts. */
typedef struct codec_memory {
    char *base;
    uint64_t at;
} codec_memory;
static inline void *actc_codec_take(codec_memory *memory, uint64_t bytes)
{
    uint64_t at = memory->at;
    memory->at += (bytes + 63) & ~63ull;
    return memory->base ? memory->base + at : NULL;
}

#endif
