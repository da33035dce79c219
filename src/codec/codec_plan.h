/* codec_plan.h: a codec resolved for one shape: everything about it that is known before anything runs.
 *
 * Pure data, made by src/codec/, read by the lowering, the planner and every backend. Offsets into the payload and
 * all counts are fixed here, so that every backend writes the same bytes.
 */
#ifndef ACTC_CODEC_PLAN_H
#define ACTC_CODEC_PLAN_H

#include <actc/codec.h>

typedef enum actc_codec_kind {
    ACTC_CODEC_NONE,
    ACTC_CODEC_RANDOM,
    ACTC_CODEC_DERIVATIVE, /* of rules: no codec of a tensor, but what an operator keeps instead */
    ACTC_CODEC_THRESHOLD,
    ACTC_CODEC_DCT,
    ACTC_CODEC_WAVELET,
    ACTC_CODEC_QUANT,
    ACTC_CODEC_RECOMPUTE, /* of rules and scopes alone: nothing is kept, and no plan is made */
    ACTC_CODEC_USER
} actc_codec_kind;

typedef enum actc_codec_select { ACTC_SELECT_GLOBAL, ACTC_SELECT_TILE, ACTC_SELECT_RANDOM, ACTC_SELECT_BAND } actc_codec_select;
typedef enum actc_codec_values {
    ACTC_VALUES_F32,
    ACTC_VALUES_F16,
    ACTC_VALUES_BF16,
    ACTC_VALUES_INT8,
    ACTC_VALUES_INT4
} actc_codec_values;
typedef enum actc_codec_index { ACTC_INDEX_NONE, ACTC_INDEX_MASK, ACTC_INDEX_U8, ACTC_INDEX_U16 } actc_codec_index;

/* What a spec says, before a shape is known. */
typedef struct actc_codec_spec {
    actc_codec_kind kind;
    bool by_ratio;      /* ratio given instead of lambda */
    double lambda, ratio;
    actc_codec_select select;
    actc_codec_values values;
    bool relu_value;
    bool bn_input;
    int block;          /* dct: 16, 8, or 0 for a whole row */
    bool norm_none;     /* dct with block=row: the reference's unnormalised form */
    int wave;           /* index into the wavelet table */
    int levels;
    bool symmetric;     /* wavelet, quant: mode=symmetric */
    int bits;           /* quant: of a code: 8, 4, 2 or 1 */
    int segments;       /* recompute */
    uint32_t slope_bits; /* derivative; 0 in all others */
    const struct actc_registered_codec *user; /* ACTC_CODEC_USER */
} actc_codec_spec;

/* Whether a codec keeps coefficients, in slots. */
static inline bool actc_codec_selects(actc_codec_kind kind)
{
    return kind == ACTC_CODEC_THRESHOLD || kind == ACTC_CODEC_DCT || kind == ACTC_CODEC_WAVELET;
}

/* Refuses unknown names, keys and values with what is accepted. */
actc_status actc_codec_spec_parse(actc_context *context, const char *text, actc_codec_spec *spec);
/* The canonical text, or NULL when out of memory. */
char *actc_codec_spec_format(const actc_codec_spec *spec);

#define ACTC_CODEC_MAX_LEVELS 16
#define ACTC_RECOMPUTE_MAX_SEGMENTS 1000
#define ACTC_CODEC_MAX_BANDS (3 * ACTC_CODEC_MAX_LEVELS + 1)
#define ACTC_CODEC_MAX_REGIONS (ACTC_CODEC_MAX_LEVELS + 1)
#define ACTC_CODEC_TILE 256
#define ACTC_CODEC_SEGMENT 65536

typedef struct actc_codec_plan {
    actc_codec_spec spec;
    char *text;              /* canonical spec */
    char *note;              /* "" or a line for the user */
    actc_shape shape;        /* logical */
    /* The tensor as the transforms see it: element (s,h,w,c) at ((s*height + h)*width + w)*channels + c. */
    uint32_t samples, height, width, channels;
    uint32_t batch;          /* samples of the batch dimension that unpacking in slices counts in: samples is a multiple */
    bool sliceable;          /* unpack may restore a part of the batch */
    uint64_t n, m, k;        /* elements, coefficients, most kept; of quant all three the same */
    int levels;              /* wavelet: levels done; 0 is threshold */
    int taps;                /* wavelet: length of the filters */
    /* Wavelet: bands LL, then from the coarsest level to the finest LH, HL, HH. begin: first coefficient, then m. */
    uint32_t bands;
    uint64_t band_begin[ACTC_CODEC_MAX_BANDS + 1];
    uint32_t band_height[ACTC_CODEC_MAX_BANDS], band_width[ACTC_CODEC_MAX_BANDS];
    /* Selection, unless in tiles: the region_k[r] largest of [region_begin[r], region_begin[r+1]). */
    uint32_t regions;
    uint64_t region_begin[ACTC_CODEC_MAX_REGIONS + 1], region_k[ACTC_CODEC_MAX_REGIONS];
    /* Payload: byte offset of each section (README.md), and its total. Absent sections have no bytes. */
    actc_codec_index index;
    uint32_t value_bits;     /* of one value: 32, 16, 8 or 4 */
    uint32_t tiles;          /* of 256 coefficients */
    uint32_t segments;       /* of 65,536 */
    bool tables;             /* segment table present; with index mask or u8 the tile table too */
    uint64_t segment_offset; /* u32 x segments: values up to the segment's end */
    uint64_t mask_offset;    /* u32 x ceil(m / 32) */
    uint64_t values_offset;
    uint64_t tile_offset;    /* u16 x (tiles - segments): first value of each tile but a segment's first, from its segment's */
    uint64_t index_offset;   /* u8 or u16, one a value */
    uint64_t scale_offset;   /* int8, int4, quant: one byte for each 256 values */
    uint64_t code_offset;    /* quant: `bits` an element */
    uint64_t base_offset;    /* quant, minmax: u32 for each 256 elements, the f32 that code 0 stands for */
    uint64_t payload_bytes;
    bool smaller;            /* than the dense tensor */
    /* Tables that kernels read, uploaded once: the layout is below. NULL and 0 where nothing is needed. */
    void *constants;
    uint64_t constants_bytes;
} actc_codec_plan;

/* Words of the constants: u32 region_begin[regions + 1], u32 region_k[regions], then from ACTC_CODEC_TABLES on f32:
 *   dct, blocks     matrix of the last block's height (l x l, row u, column j), and at + 256 of its width, where that
 *                   length is neither the block's nor 8
 *   dct, row        cos(pi i / 2 width), i < 4 width; then the factor after the forward sum for u = 0 and u > 0, and the
 *                   factor before the inverse sum for u = 0 and u > 0
 *   wavelet         dec_lo, dec_hi, rec_lo, rec_hi, `taps` each
 * Constants below 2^-40 are 0. */
#define ACTC_CODEC_REGION_BEGIN 0
#define ACTC_CODEC_REGION_K 32
#define ACTC_CODEC_TABLES 64
#define ACTC_CODEC_WIDTH_MATRIX 256

actc_status actc_codec_plan_create(actc_context *context, const actc_codec_spec *spec, const actc_shape *shape,
                                   actc_codec_plan **out);
void actc_codec_plan_destroy(actc_codec_plan **plan);

/* Each tile selects on its own, in slots of its own. */
static inline bool actc_codec_in_tiles(const actc_codec_spec *spec)
{
    return spec->select == ACTC_SELECT_TILE || spec->select == ACTC_SELECT_RANDOM;
}

/* First value slot of tile t where tiles select; of t == tiles, k. */
static inline uint64_t actc_codec_tile_slot(const actc_codec_plan *plan, uint64_t t)
{
    uint64_t a = t * ACTC_CODEC_TILE;
    return a >= plan->m ? plan->k : a * plan->k / plan->m; /* below 2^62: both factors are below 2^31 */
}

/* Whether values are codes with a scale for 256 of them. */
static inline bool actc_codec_scaled(const actc_codec_plan *plan)
{
    return plan->spec.values == ACTC_VALUES_INT8 || plan->spec.values == ACTC_VALUES_INT4;
}

/* Bytes of the values of so many slots; what of a byte is not theirs is zero. */
static inline uint64_t actc_codec_value_bytes(const actc_codec_plan *plan, uint64_t slots)
{
    return (slots * plan->value_bits + 7) / 8;
}

/* Blocks of the dct along one axis: `block` long but for the last. */
static inline uint32_t actc_codec_blocks(uint32_t length, uint32_t block)
{
    return (length + block - 1) / block;
}

#endif
