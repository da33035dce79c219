/* codec_passes_internal.h: what the pack and unpack lists share. */
#ifndef ACTC_CODEC_PASSES_INTERNAL_H
#define ACTC_CODEC_PASSES_INTERNAL_H

#include "../../src/codec/codec_plan.h"
#include "codec_passes.h"

#define ACTC_RETURN_IF_FAILED(expression)   \
    do {                                    \
        actc_status status_ = (expression); \
        if (status_ != ACTC_OK)             \
            return status_;                 \
    } while (0)

typedef enum actc_codec_transform {
    ACTC_TRANSFORM_NONE, /* coefficients are the elements */
    ACTC_TRANSFORM_DCT,
    ACTC_TRANSFORM_DCT_ROW,
    ACTC_TRANSFORM_DWT
} actc_codec_transform;

/* Views of the commands. */
#define ACTC_PACK_X 0
#define ACTC_PACK_PAYLOAD 1
#define ACTC_UNPACK_PAYLOAD 0
#define ACTC_UNPACK_X 1
#define ACTC_CODEC_STEP_VIEW 2
#define ACTC_CODEC_CONSTANTS_VIEW 3

/* Sizes of chunks, and byte offsets in the workspace; absent parts are not used. */
typedef struct actc_codec_layout {
    const actc_codec_plan *plan;
    actc_codec_transform transform;
    bool selects;      /* something is kept */
    bool to_values;    /* values are written as f32 bits first, then encoded */
    uint64_t max_view;
    uint64_t chunk;    /* coefficients of one view, a multiple of 256 */
    uint64_t rows;     /* dct: rows of blocks (or plain rows) a launch */
    uint64_t samples;  /* wavelet: samples a launch */
    uint32_t pieces;
    uint64_t histogram, state, sums, counts, values, y, low, high, approximation;
    uint64_t zeroed;   /* histogram, state and sums lie below this offset */
    uint64_t bytes;
} actc_codec_layout;

typedef struct actc_codec_list {
    const actc_command *command;
    actc_codec_layout layout;
    actc_codec_passes passes;
    uint32_t capacity;
    bool failed;
} actc_codec_list;

actc_status actc_codec_layout_init(actc_codec_layout *layout, const actc_codec_work_desc *work, bool unpack,
                                   uint64_t max_view, const char **why);

/* First element, and coefficient, of a row of blocks counted over the samples; plain rows for block=row. */
uint64_t actc_codec_element_begin(const actc_codec_plan *plan, uint64_t row);

/* A range of one of the command's views, begun at the aligned offset before it. */
actc_view actc_codec_range(const actc_command *command, uint32_t view, uint64_t offset, uint64_t bytes);

void actc_codec_launch(actc_codec_list *list, actc_kernel_id id, uint64_t groups, const void *params, size_t params_bytes,
                       const actc_view *views);
void actc_codec_fill(actc_codec_list *list, actc_view target);
void actc_codec_copy(actc_codec_list *list, actc_view source, actc_view target);

void actc_codec_pack_passes(actc_codec_list *list);
void actc_codec_unpack_passes(actc_codec_list *list);

/* The first element that a view begins with whose range begins at element `begin` of 4 bytes (or `size` bytes). */
static inline uint32_t actc_codec_view_first(uint64_t begin_byte, uint32_t begin, uint32_t size)
{
    return begin - (uint32_t)(begin_byte % ACTC_VIEW_ALIGNMENT / size);
}

#endif
