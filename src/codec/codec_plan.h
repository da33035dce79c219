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
    ACTC_CODEC_THRESHOLD,
    ACTC_CODEC_DCT,
    ACTC_CODEC_WAVELET,
    ACTC_CODEC_USER
} actc_codec_kind;

typedef enum actc_codec_select { ACTC_SELECT_GLOBAL, ACTC_SELECT_TILE, ACTC_SELECT_BAND } actc_codec_select;
typedef enum actc_codec_values { ACTC_VALUES_F32, ACTC_VALUES_F16, ACTC_VALUES_BF16, ACTC_VALUES_INT8 } actc_codec_values;
typedef enum actc_codec_index { ACTC_INDEX_NONE, ACTC_INDEX_MASK, ACTC_INDEX_U8, ACTC_INDEX_U16 } actc_codec_index;

/* What a spec says, before a shape is known. */
typedef struct actc_codec_spec {
    actc_codec_kind kind;
    bool by_ratio;      /* ratio given instead of lambda */
    double lambda, ratio;
    actc_codec_select select;
    actc_codec_values values;
    bool relu_value;
    int block;          /* dct: 16, 8, or 0 for a whole row */
    bool norm_none;     /* dct with block=row: the reference's unnormalised form */
    int wave;           /* index into the wavelet table */
    int levels;
    bool symmetric;     /* wavelet: mode=symmetric */
    const struct actc_registered_codec *user; /* ACTC_CODEC_USER */
} actc_codec_spec;

/* Refuses unknown names, keys and values with what is accepted. */
actc_status actc_codec_spec_parse(actc_context *context, const char *text, actc_codec_spec *spec);
/* The canonical text, or NULL when out of memory. */
char *actc_codec_spec_format(const actc_codec_spec *spec);

#define ACTC_CODEC_MAX_LEVELS 16
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
    uint64_t n, m, k;        /* elements, coefficients, most kept */
    int levels;              /* wavelet: levels done */
    uint64_t band_begin[3 * ACTC_CODEC_MAX_LEVELS + 2]; /* wavelet: first coefficient of each band, then m */
    uint32_t band_height[3 * ACTC_CODEC_MAX_LEVELS + 1], band_width[3 * ACTC_CODEC_MAX_LEVELS + 1];
    /* Selection: the k[r] largest of [begin[r], begin[r+1]). One region for global; for tile it is by formula. */
    uint32_t regions;
    uint64_t region_begin[ACTC_CODEC_MAX_REGIONS + 1], region_k[ACTC_CODEC_MAX_REGIONS];
    /* Payload: byte offset of each section, and its total. Absent sections have offset == next. */
    actc_codec_index index;
    uint64_t tiles;          /* of 256 coefficients */
    uint64_t segments;       /* of 65,536 */
    uint64_t segment_offset; /* u32 x (segments + 1): first value of each segment, then the number kept */
    uint64_t values_offset;
    uint64_t tile_offset;    /* u16 x tiles: first value of each tile, counted from its segment's */
    uint64_t index_offset;   /* mask words, u8 or u16 */
    uint64_t scale_offset;   /* int8: one byte for each 256 values */
    uint64_t payload_bytes;
    bool smaller;            /* than the dense tensor */
    /* Tables that kernels read (basis functions, filter taps): uploaded once. */
    void *constants;
    uint64_t constants_bytes;
} actc_codec_plan;

actc_status actc_codec_plan_create(actc_context *context, const actc_codec_spec *spec, const actc_shape *shape,
                                   actc_codec_plan **out);
void actc_codec_plan_destroy(actc_codec_plan **plan);

#endif
