/* codec_pack_internal.h: a pack as its parts see it: codec_pack.c runs units, codec_select.c finds keys. */
#ifndef ACTC_CPU_CODEC_PACK_INTERNAL_H
#define ACTC_CPU_CODEC_PACK_INTERNAL_H

#include "codec_payload.h"
#include "fused/fused.h"

#define CODEC_BINS 2048u

/* What of a part lies in a segment. */
typedef struct codec_span {
    uint32_t offset, count; /* candidates stored in the pool */
    uint32_t above, equal;  /* coefficients above the interval; equal to the key */
    uint32_t slot, ties;    /* first slot; how many of those equal to the key are kept */
} codec_span;

/* Selection in a region. Of its coefficients, `above` are greater than `high`, `inside` in (low, high]. */
typedef struct codec_region {
    uint32_t low, high, key, ties;
    uint32_t above, inside;
    uint32_t wanted, shift; /* while refining by histograms */
} codec_region;

typedef struct codec_pack {
    codec_units units;
    const codec_fns *fns;
    const float *x;
    codec_writer writer;
    int threads;
    char *thread_memory; /* of thread 0, then the others' */
    uint64_t thread_bytes;
    codec_span *spans;
    uint32_t *segment_slots; /* first slot of each segment */
    codec_region regions[ACTC_CODEC_MAX_REGIONS];
    /* Candidates, those in the intervals. */
    uint32_t *pool_bits, *pool_numbers, pool_room;
    uint32_t pool_used;  /* atomic */
    bool single;         /* the candidates are all that may be kept: no second transform */
    uint32_t *sample, sample_room;
    uint32_t *bins;      /* CODEC_BINS a region and thread */
    /* Where tiles select: those that several parts share. */
    uint32_t *shared_at; /* a tile: 1 + its place in `shared`, or 0 */
    uint32_t *shared_tiles, *shared, shared_count;
} codec_pack;

/* Runs the units with this for every span. y: the span's coefficients, n of them from `first` on. */
typedef void (*codec_span_fn)(codec_pack *p, codec_span *span, codec_region *region, uint64_t first, const uint32_t *y,
                              uint32_t n, int thread);
void actc_codec_each_span(codec_pack *p, codec_span_fn fn);

/* Memory of a thread: coefficients of a unit, what transforms need beside them. */
float *actc_codec_thread_y(const codec_pack *p, int thread);
float *actc_codec_thread_scratch(const codec_pack *p, int thread);

/* codec_select.c: finds key and ties of every region, and above and equal of every span. The pool holds the candidates where
 * *from_pool. */
void actc_codec_select_keys(codec_pack *p, bool *from_pool);

#endif
