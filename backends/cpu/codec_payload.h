/* codec_payload.h: reading and writing payloads (src/codec/README.md) tile by tile. */
#ifndef ACTC_CPU_CODEC_PAYLOAD_H
#define ACTC_CPU_CODEC_PAYLOAD_H

#include "codec_cpu.h"

#define CODEC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CODEC_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- writing ---- */

typedef struct codec_writer {
    const actc_codec_plan *plan;
    uint8_t *payload;
    const uint32_t *step;
    uint32_t tensor;
    uint32_t *largest; /* int8, int4: the largest finite |value| of 256 slots each */
    bool measure;      /* int8, int4, first round: find `largest`, write nothing */
} codec_writer;

/* What is not written later: the mask and values of less than a byte, whose bits are combined. */
void actc_codec_writer_begin(const codec_writer *w);
/* Kept coefficients of the tile that begins at coefficient `begin`, in the slots from `slot` on: places in the tile and
 * bits. whole: they are all of the tile's. */
void actc_codec_put(const codec_writer *w, uint64_t begin, bool whole, const uint8_t *places, const uint32_t *bits,
                    uint32_t count, uint64_t slot);
void actc_codec_put_tile_entry(const codec_writer *w, uint64_t tile, uint64_t slots_of_segment);
/* Slots [begin, end) hold nothing. */
void actc_codec_put_nothing(const codec_writer *w, uint64_t begin, uint64_t end);
/* int8, int4: scales, after the first round. */
void actc_codec_put_scales(const codec_writer *w);

/* ---- reading ---- */

typedef struct codec_reader {
    const actc_codec_plan *plan;
    const uint8_t *payload;
} codec_reader;

/* The kept coefficients in [begin, end), in order: places from begin on, and bits. Room for end - begin. Whatever the
 * payload holds, no more are read and all places are in range. */
uint32_t actc_codec_read(const codec_reader *r, uint64_t begin, uint64_t end, uint32_t *places, uint32_t *bits);

#endif
