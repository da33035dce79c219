/* dwt.c: the wavelet transform of whole samples and its inverse, several levels.
 *
 * Every pass is a sum of shifted runs times taps: out[t] = sum over j of in[j][t] * tap[j] for t < n. Along the height the
 * runs are rows; along the width they lie in a row's even or odd columns, which are taken apart beforehand with the
 * signal's extension at both ends, so that runs need no case at borders.
 */
#include "simd.h"

#include "exact/codec.h"
#include "fused.h"

#define MAX_TAPS 128 /* of the longest filter, 76 */

typedef struct sum {
    const float *in[MAX_TAPS];
    float tap[MAX_TAPS];
    uint32_t count;
} sum;

static inline void add_tap(sum *s, const float *in, float tap)
{
    if (tap == 0)
        return;
    s->in[s->count] = in;
    s->tap[s->count++] = tap;
}

#define STEP (4 * CODEC_LANES)

/* acc[q] = the sum at t + q * CODEC_LANES. */
CODEC_INLINE void sum_at(const sum *s, uint64_t t, codec_vf acc[4])
{
    for (int q = 0; q < 4; q++)
        acc[q] = (codec_vf){0};
    for (uint32_t j = 0; j < s->count; j++) {
        const float *in = s->in[j] + t;
        float tap = s->tap[j];
        for (int q = 0; q < 4; q++)
            acc[q] = ACTC_ADD(acc[q], ACTC_MUL(codec_load(in + q * CODEC_LANES), tap));
    }
}

CODEC_INLINE float sum_one(const sum *s, uint64_t t)
{
    float acc = 0;
    for (uint32_t j = 0; j < s->count; j++)
        acc = ACTC_ADD(acc, ACTC_MUL(s->in[j][t], s->tap[j]));
    return acc;
}

/* out = canon(a + b), or canon(a) without b. */
static void run_sum(const sum *a, const sum *b, uint64_t n, float *out)
{
    uint64_t t = 0;
    for (; t + STEP <= n; t += STEP) {
        codec_vf acc[4], more[4];
        sum_at(a, t, acc);
        if (b) {
            sum_at(b, t, more);
            for (int q = 0; q < 4; q++)
                acc[q] = ACTC_ADD(acc[q], more[q]);
        }
        for (int q = 0; q < 4; q++)
            codec_store(out + t + q * CODEC_LANES, codec_canon(acc[q]));
    }
    for (; t < n; t++)
        out[t] = actc_canon(b ? ACTC_ADD(sum_one(a, t), sum_one(b, t)) : sum_one(a, t));
}

/* Two sums over the same runs, which are then loaded once. */
static void run_pair(const sum *a, const sum *b, uint64_t n, float *low, float *high)
{
    uint64_t t = 0;
    bool same = a->count == b->count;
    for (uint32_t j = 0; same && j < a->count; j++)
        same = a->in[j] == b->in[j];
    if (!same) {
        run_sum(a, NULL, n, low);
        run_sum(b, NULL, n, high);
        return;
    }
    for (; t + STEP / 2 <= n; t += STEP / 2) {
        codec_vf l[2] = {{0}}, h[2] = {{0}};
        for (uint32_t j = 0; j < a->count; j++) {
            const float *in = a->in[j] + t;
            for (int q = 0; q < 2; q++) {
                codec_vf v = codec_load(in + q * CODEC_LANES);
                l[q] = ACTC_ADD(l[q], ACTC_MUL(v, a->tap[j]));
                h[q] = ACTC_ADD(h[q], ACTC_MUL(v, b->tap[j]));
            }
        }
        for (int q = 0; q < 2; q++) {
            codec_store(low + t + q * CODEC_LANES, codec_canon(l[q]));
            codec_store(high + t + q * CODEC_LANES, codec_canon(h[q]));
        }
    }
    for (; t < n; t++) {
        low[t] = actc_canon(sum_one(a, t));
        high[t] = actc_canon(sum_one(b, t));
    }
}

static void copy_flushed(float *to, const float *from, uint32_t n)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < n; i++)
        to[i] = actc_flush(from[i]);
}

static void *take(float **at, uint64_t floats)
{
    float *here = *at;
    *at += (floats + 15) & ~15ull;
    return here;
}

typedef struct level {
    uint32_t taps, symmetric, h, w, oh, ow, channels; /* fine and coarse size */
    const float *low_tap, *high_tap;
} level;

static level level_at(const codec_units *units, int number, uint32_t channels, bool inverse)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t b = plan->bands - 3 * (uint32_t)number; /* LH; the level above has the three bands behind */
    level l = {.taps = (uint32_t)plan->taps, .symmetric = plan->spec.symmetric, .h = plan->height, .w = plan->width,
               .oh = plan->band_height[b], .ow = plan->band_width[b], .channels = channels};
    if (number > 1) {
        l.h = plan->band_height[b + 3];
        l.w = plan->band_width[b + 3];
    }
    l.low_tap = units->tables + (inverse ? 2 * l.taps : 0);
    l.high_tap = l.low_tap + l.taps;
    return l;
}

/* ---- forward ---- */

/* The sample that tap 0 of output 0 reads, before extension. */
static int32_t origin(const level *l)
{
    return l->symmetric ? 1 : (int32_t)(l->taps / 2);
}

/* Where sample i of the extended signal lies. */
static uint32_t extend(const level *l, int32_t i, uint32_t length)
{
    int32_t base = origin(l);
    if (i >= 0 && i < (int32_t)length)
        return (uint32_t)i;
    uint32_t o = i > base ? (uint32_t)(i - base + 1) / 2 : 0;
    return actc_dwt_source(o, (uint32_t)(base + 2 * (int32_t)o - i), length, l->taps, l->symmetric);
}

/* One row along the width: low and high, ow * channels each. apart: room for the row's columns. */
static void forward_row(const level *l, const float *row, uint64_t column, uint64_t ahead, float *apart, float *low,
                        float *high)
{
    int32_t base = origin(l), least = (base - (int32_t)l->taps + 1) & ~1;
    uint32_t pairs = (uint32_t)(base + 2 * (int32_t)(l->ow - 1) - least) / 2 + 1, c = l->channels;
    float *half[2] = {apart, apart + (uint64_t)pairs * c};
    uint32_t inside = (uint32_t)-least; /* where column 0 comes; even */
    for (uint32_t p = 0; p < 2 * pairs; p++) {
        if (p == inside && c == 1) {
            uint32_t most = ACTC_MIN(pairs - inside / 2, l->w / 2);
            for (uint32_t i = 0; i < most; i++) {
                half[0][inside / 2 + i] = actc_flush(row[2 * i * column]);
                half[1][inside / 2 + i] = actc_flush(row[(2 * i + 1) * column]);
            }
            p += 2 * most;
            if (p >= 2 * pairs)
                break;
        }
        const float *from = row + extend(l, least + (int32_t)p, l->w) * column;
        for (uint32_t i = 0; ahead && i < c; i += 16) /* the next row, while this one is worked on */
            __builtin_prefetch((const char *)from + (ahead + i) * sizeof(float));
        copy_flushed(half[p & 1] + (uint64_t)(p / 2) * c, from, c);
    }
    sum a = {.count = 0}, b = {.count = 0};
    for (uint32_t j = 0; j < l->taps; j++) {
        uint32_t at = (uint32_t)(base - (int32_t)j - least);
        const float *in = half[at & 1] + (uint64_t)(at / 2) * c;
        add_tap(&a, in, l->low_tap[j]);
        add_tap(&b, in, l->high_tap[j]);
    }
    run_pair(&a, &b, (uint64_t)l->ow * c, low, high);
}

/* in: rows of `line` floats, columns of `column`. Rows that have been transformed along the width stay in a ring, numbered
 * as in the extended signal, for as long as the taps reach. */
static void forward_level(const level *l, const float *in, uint64_t line, uint64_t column, float *const bands[4],
                          float *apart, float *ring)
{
    uint64_t n = (uint64_t)l->ow * l->channels;
    uint32_t rows = l->taps + 2;
    uint64_t ahead = l->channels >= 16 ? line : 0;
    int32_t base = origin(l), next = base - (int32_t)l->taps + 1, least = next;
    for (uint32_t o = 0; o < l->oh; o++) {
        int32_t newest = base + 2 * (int32_t)o;
        for (; next <= newest; next++) {
            float *at = ring + (uint32_t)(next - least) % rows * 2 * n;
            forward_row(l, in + extend(l, next, l->h) * line, column, ahead, apart, at, at + n);
        }
        sum sums[4];
        for (int i = 0; i < 4; i++)
            sums[i].count = 0;
        for (uint32_t j = 0; j < l->taps; j++) {
            const float *at = ring + (uint32_t)(newest - (int32_t)j - least) % rows * 2 * n;
            add_tap(&sums[0], at, l->low_tap[j]);
            add_tap(&sums[1], at, l->high_tap[j]);
            add_tap(&sums[2], at + n, l->low_tap[j]);
            add_tap(&sums[3], at + n, l->high_tap[j]);
        }
        for (int i = 0; i < 4; i += 2)
            run_pair(&sums[i], &sums[i + 1], n, bands[i] + o * n, bands[i + 1] + o * n);
    }
}

/* Where each band of sample s of the unit lies in y, part after part. */
static float *band_at(const codec_units *units, const codec_unit *unit, float *y, uint32_t band, uint32_t sample)
{
    const actc_codec_plan *plan = units->plan;
    uint64_t c = unit->c1 - unit->c0, before = 0;
    for (uint32_t b = 0; b < band; b++)
        before += (uint64_t)plan->band_height[b] * plan->band_width[b];
    return y + (before * unit->rows + (uint64_t)sample * plan->band_height[band] * plan->band_width[band]) * c;
}

void ACTC_CPU_NAME(fused_dwt)(const codec_units *units, const codec_unit *unit, const float *x, float *y, float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint64_t c = unit->c1 - unit->c0;
    uint32_t finest = plan->bands - 1;
    uint64_t quarter = (uint64_t)plan->band_height[finest] * plan->band_width[finest] * c;
    float *at = scratch, *coarse[2] = {take(&at, quarter), take(&at, quarter)};
    float *apart = take(&at, (2ull * plan->band_width[finest] + (uint32_t)plan->taps + 8) * c), *ring = at;
    for (uint32_t s = 0; s < unit->rows; s++) {
        uint64_t column = plan->channels, line = column * plan->width;
        const float *in = x + (uint64_t)(unit->row + s) * plan->height * line + unit->c0;
        for (int number = 1; number <= plan->levels; number++) {
            level l = level_at(units, number, (uint32_t)c, false);
            uint32_t b = plan->bands - 3 * (uint32_t)number;
            float *bands[4] = {number == plan->levels ? band_at(units, unit, y, 0, s) : coarse[number & 1]};
            for (uint32_t i = 0; i < 3; i++)
                bands[1 + i] = band_at(units, unit, y, b + i, s);
            forward_level(&l, in, line, column, bands, apart, ring);
            in = coarse[number & 1];
            column = c;
            line = c * l.ow;
        }
    }
}

/* ---- inverse ---- */

static bool all_zero(const float *row, uint64_t n)
{
    uint32_t any = 0;
    for (uint64_t i = 0; i < n; i++)
        any |= ACTC_F32_BITS(row[i]);
    return (any & ACTC_ABS_MASK) == 0;
}

/* The taps of output row i of two bands; rows of zeros change nothing but the sign of zeros, which canonical results do
 * not keep. zeros: two flags a row. */
static void row_taps(const level *l, uint32_t i, const float *low, const float *high, const uint8_t *zeros, sum *a, sum *b)
{
    uint64_t n = (uint64_t)l->ow * l->channels;
    a->count = b->count = 0;
    for (uint32_t j = actc_idwt_first(i, l->taps, l->symmetric); j < l->taps; j += 2) {
        uint32_t o = actc_idwt_source(i, j, l->oh, l->taps, l->symmetric);
        if (!zeros[2 * o])
            add_tap(a, low + o * n, l->low_tap[j]);
        if (!zeros[2 * o + 1])
            add_tap(b, high + o * n, l->high_tap[j]);
    }
}

/* Along the width: `half` holds low and high with room for their extension at both ends. */
typedef struct extended {
    int32_t least, most; /* first and last coefficient, before extension */
    float *half[2];      /* where coefficient 0 lies */
    float *columns[2];   /* even and odd columns of the result */
} extended;

static void extend_row(const level *l, const extended *e)
{
    uint64_t c = l->channels;
    int32_t count = (int32_t)l->ow;
    for (int i = 0; i < 2; i++)
        for (int32_t o = e->least; o <= e->most; o++) {
            int32_t from = o % count + (o % count < 0 ? count : 0);
            if (o < 0 || o >= count)
                memcpy(e->half[i] + o * (int64_t)c, e->half[i] + from * (int64_t)c, c * sizeof(float));
        }
}

static void inverse_row(const level *l, const extended *e, float *row)
{
    uint64_t c = l->channels;
    int32_t shift = (int32_t)(l->symmetric ? l->taps - 2 : l->taps / 2 - 1);
    extend_row(l, e);
    for (uint32_t p = 0; p < 2 && p < l->w; p++) {
        sum a = {.count = 0}, b = {.count = 0};
        for (uint32_t j = actc_idwt_first(p, l->taps, l->symmetric); j < l->taps; j += 2) {
            int64_t o = ((int32_t)p + shift - (int32_t)j) / 2; /* even: no rounding */
            add_tap(&a, e->half[0] + o * (int64_t)c, l->low_tap[j]);
            add_tap(&b, e->half[1] + o * (int64_t)c, l->high_tap[j]);
        }
        run_sum(&a, &b, (uint64_t)((l->w - p + 1) / 2) * c, e->columns[p]);
    }
    if (c == 1) {
        for (uint32_t w = 0; w + 1 < l->w; w += 2) {
            row[w] = e->columns[0][w / 2];
            row[w + 1] = e->columns[1][w / 2];
        }
        if (l->w & 1)
            row[l->w - 1] = e->columns[0][l->w / 2];
        return;
    }
    for (uint32_t w = 0; w < l->w; w++) {
        for (uint32_t i = 0; c >= 16 && i < c; i += 16) /* where the next row goes */
            __builtin_prefetch((char *)row + ((w + l->w) * c + i) * sizeof(float), 1);
        memcpy(row + w * c, e->columns[w & 1] + (w / 2) * c, c * sizeof(float));
    }
}

static void inverse_level(const level *l, float *const bands[4], float *out, float *scratch, uint8_t *zeros)
{
    uint64_t c = l->channels, n = l->ow * c;
    int32_t shift = (int32_t)(l->symmetric ? l->taps - 2 : l->taps / 2 - 1);
    extended e = {.least = (shift - (int32_t)l->taps) / 2 - 1, .most = ((int32_t)l->w + shift) / 2 + 1};
    uint64_t room = (uint64_t)(e.most - e.least + 1) * c;
    for (int i = 0; i < 2; i++)
        e.half[i] = (float *)take(&scratch, room) - e.least * (int64_t)c;
    for (int i = 0; i < 2; i++)
        e.columns[i] = take(&scratch, (uint64_t)(l->w + 1) / 2 * c);
    for (int i = 0; i < 4; i++)
        for (uint32_t o = 0; o < l->oh; o++)
            zeros[(i / 2) * 2 * l->oh + 2 * o + (i & 1)] = all_zero(bands[i] + o * n, n);
    for (uint32_t i = 0; i < l->h; i++) {
        sum a, b;
        bool empty = true;
        for (int half = 0; half < 2; half++) {
            row_taps(l, i, bands[2 * half], bands[2 * half + 1], zeros + half * 2 * (uint64_t)l->oh, &a, &b);
            empty = empty && !a.count && !b.count;
            run_sum(&a, &b, n, e.half[half]);
        }
        if (empty)
            memset(out + i * l->w * c, 0, l->w * c * sizeof(float));
        else
            inverse_row(l, &e, out + i * l->w * c);
    }
}

void ACTC_CPU_NAME(fused_idwt)(const codec_units *units, const codec_unit *unit, const float *y, float *x, float *scratch)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t finest = plan->bands - 1;
    uint64_t c = plan->channels, sample = c * plan->height * plan->width;
    uint64_t quarter = (uint64_t)plan->band_height[finest] * plan->band_width[finest] * c;
    float *at = scratch, *coarse[2] = {take(&at, quarter), take(&at, quarter)};
    uint8_t *zeros = take(&at, plan->band_height[finest] + 16ull);
    for (uint32_t s = 0; s < unit->rows; s++) {
        for (int number = plan->levels; number >= 1; number--) {
            level l = level_at(units, number, (uint32_t)c, true);
            uint32_t b = plan->bands - 3 * (uint32_t)number;
            float *all = (float *)(uintptr_t)y; /* read only */
            float *bands[4] = {number == plan->levels ? band_at(units, unit, all, 0, s) : coarse[(number + 1) & 1]};
            for (uint32_t i = 0; i < 3; i++)
                bands[1 + i] = band_at(units, unit, all, b + i, s);
            float *out = number > 1 ? coarse[number & 1] : x + (unit->row + s - units->first) * sample;
            inverse_level(&l, bands, out, at, zeros);
        }
    }
}
