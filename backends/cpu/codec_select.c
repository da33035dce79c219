/* codec_select.c: the key of the last coefficient that is kept.
 *
 * A sample of the coefficients tells an interval in which the key should lie. One pass over all of them counts those above
 * it and inside it, and collects the inside ones; if the key is there, it is found among these, and if not, three passes of
 * histograms find it. So the sample decides how fast it is found and never which it is.
 */
#include <string.h>

#include "codec_pack_internal.h"

#define ABS_MASK 0x7fffffffu

static void clear_spans(codec_pack *p)
{
    memset(p->spans, 0, p->units.spans * sizeof *p->spans);
    for (uint32_t r = 0; r < p->units.plan->regions; r++)
        p->regions[r].above = p->regions[r].inside = 0;
    p->pool_used = 0;
}

/* ---- the counting pass ---- */

/* Whether all inside of the interval are equal, so that there is nothing to collect; an empty interval too. */
static bool exact(const codec_region *r)
{
    return r->high - r->low <= 1;
}

static void count_span(codec_pack *p, codec_span *span, codec_region *region, uint64_t first, const uint32_t *y, uint32_t n,
                       int thread)
{
    uint32_t marks[CODEC_MARKS];
    (void)thread;
    uint32_t inside = p->fns->mark(y, n, region->low, region->high, marks, &span->above);
    __atomic_fetch_add(&region->above, span->above, __ATOMIC_RELAXED);
    __atomic_fetch_add(&region->inside, inside, __ATOMIC_RELAXED);
    if (exact(region)) {
        span->equal = inside;
        return;
    }
    if (__atomic_load_n(&p->pool_used, __ATOMIC_RELAXED) > p->pool_room)
        return; /* full: found out afterwards */
    span->offset = __atomic_fetch_add(&p->pool_used, inside, __ATOMIC_RELAXED);
    span->count = inside;
    if (inside && (uint64_t)span->offset + inside <= p->pool_room)
        p->fns->gather(y, n, marks, (uint32_t)first, p->pool_bits + span->offset, p->pool_numbers + span->offset);
}

/* ---- the key among the candidates ---- */

static uint32_t bit_length(uint32_t x)
{
    return x ? 32 - (uint32_t)__builtin_clz(x) : 0;
}

/* The wanted-th largest of n bit patterns in (low, high], which holds as many: the interval in which it lies becomes ever
 * smaller. *ties: how many of those equal to it are among the wanted. */
static uint32_t find_key(const codec_fns *fns, const uint32_t *bits, uint32_t n, uint32_t low, uint32_t high,
                         uint32_t wanted, uint32_t *bins, uint32_t *ties)
{
    /* 1/1024 of the lowest values; those 4 times as large and larger fall in the last bin */
    uint32_t shift = low ? 13 : 20;
    while (high - low > 1) {
        uint32_t last = CODEC_BINS - 1;
        memset(bins, 0, CODEC_BINS * sizeof *bins);
        fns->histogram(bits, n, low, high, shift, last, bins);
        uint32_t bin = last;
        for (; bins[bin] < wanted; bin--)
            wanted -= bins[bin];
        uint64_t end = low + ((uint64_t)(bin + 1) << shift);
        if (bin < last && end < high)
            high = (uint32_t)end;
        low += bin << shift;
        uint32_t length = bit_length(high - low - 1);
        shift = length > 11 ? length - 11 : 0;
    }
    *ties = wanted;
    return high;
}

/* above and equal of the spans whose candidates are in the pool. */
static void count_candidates(void *user, uint32_t begin, uint32_t end, int thread)
{
    codec_pack *p = user;
    uint32_t key = p->regions[0].key;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        codec_span *span = &p->spans[i];
        const uint32_t *bits = p->pool_bits + span->offset;
        if (!span->count)
            continue;
        uint32_t above = p->fns->count_above(bits, span->count, key);
        span->above += above;
        span->equal = key ? p->fns->count_above(bits, span->count, key - 1) - above : 0;
    }
}

/* Whether the interval of the only region held the key. */
static bool take_key(codec_pack *p)
{
    codec_region *r = &p->regions[0];
    uint64_t k = p->units.plan->region_k[0], seen = (uint64_t)r->above + r->inside;
    bool everything = r->low == 0 && seen <= k; /* all that are not zero are kept */
    if (p->pool_used > p->pool_room || r->above >= k || (seen < k && !everything)) /* above == k: the key is one of them */
        return false;
    r->key = r->ties = 0;
    if (exact(r)) {
        r->key = everything ? r->low : r->high;
        r->ties = everything ? 0 : (uint32_t)(k - r->above);
        if (everything) /* counted as equal: above 0 now */
            for (uint32_t i = 0; i < p->units.spans; i++) {
                p->spans[i].above += p->spans[i].equal;
                p->spans[i].equal = 0;
            }
        return true;
    }
    if (!everything)
        r->key = find_key(p->fns, p->pool_bits, p->pool_used, r->low, r->high, (uint32_t)(k - r->above), p->bins, &r->ties);
    actc_parallel_for(p->threads, p->units.spans, 64, count_candidates, p);
    return true;
}

/* ---- histograms ---- */

static void histogram_span(codec_pack *p, codec_span *span, codec_region *region, uint64_t first, const uint32_t *y,
                           uint32_t n, int thread)
{
    uint32_t r = (uint32_t)(region - p->regions);
    (void)span;
    (void)first;
    if (region->high > region->low)
        p->fns->histogram(y, n, region->low, region->high, region->shift, CODEC_BINS - 1,
                          p->bins + ((uint64_t)thread * p->units.plan->regions + r) * CODEC_BINS);
}

/* Takes a region's histogram: its interval becomes the bin of the key. */
static void narrow(codec_pack *p, uint32_t r, bool first)
{
    codec_region *region = &p->regions[r];
    uint32_t regions = p->units.plan->regions, *sum = p->bins + r * CODEC_BINS;
    uint64_t total = 0;
    for (uint32_t b = 0; b < CODEC_BINS; b++) {
        for (uint32_t t = 1; t < (uint32_t)p->threads; t++)
            sum[b] += p->bins[((uint64_t)t * regions + r) * CODEC_BINS + b];
        total += sum[b];
    }
    if (first && total <= region->wanted) { /* all that are not zero */
        region->low = region->high = 0;
        return;
    }
    uint32_t bin = CODEC_BINS - 1;
    for (; sum[bin] < region->wanted; bin--)
        region->wanted -= sum[bin];
    region->low += bin << region->shift;
    uint64_t high = region->low + (1ull << region->shift);
    region->high = (uint32_t)CODEC_MIN(high, region->high);
}

/* The key of every region to the last bit: 11, 11 and 9 bits of it a pass; then counts. */
static void find_exactly(codec_pack *p)
{
    static const uint32_t shifts[] = {20, 9, 0};
    const actc_codec_plan *plan = p->units.plan;
    for (uint32_t r = 0; r < plan->regions; r++) {
        bool all = plan->region_k[r] >= plan->region_begin[r + 1] - plan->region_begin[r];
        p->regions[r] = (codec_region){.high = all ? 0 : ABS_MASK, .wanted = (uint32_t)plan->region_k[r]};
    }
    for (int pass = 0; pass < 3; pass++) {
        bool open = false;
        for (uint32_t r = 0; r < plan->regions; r++) {
            p->regions[r].shift = shifts[pass];
            open = open || p->regions[r].high > p->regions[r].low;
        }
        if (!open)
            break;
        memset(p->bins, 0, (uint64_t)CODEC_BINS * plan->regions * (uint32_t)p->threads * sizeof *p->bins);
        actc_codec_each_span(p, histogram_span);
        for (uint32_t r = 0; r < plan->regions; r++)
            if (p->regions[r].high > p->regions[r].low)
                narrow(p, r, pass == 0);
    }
    clear_spans(p);
    actc_codec_each_span(p, count_span);
    for (uint32_t r = 0; r < plan->regions; r++) {
        p->regions[r].key = p->regions[r].high;
        p->regions[r].ties = p->regions[r].high ? (uint32_t)(plan->region_k[r] - p->regions[r].above) : 0;
    }
}

/* ---- the sample ---- */

#define SAMPLE_SHARE 16u /* of the tensor, transformed for it */
#define SAMPLE_RUN 64u   /* neighbouring elements, where nothing is transformed */
#define SAMPLE_CHANNELS 16u
#define TRIES 2

typedef struct sampling {
    codec_pack *p;
    uint32_t items, stride, *keys, room, used; /* used: atomic */
} sampling;

/* Where item i of `items` lies among `total`: one in each stretch of them, at a place that only i decides. */
static uint64_t item_at(uint32_t i, uint32_t items, uint64_t total)
{
    uint64_t begin = total * i / items, end = total * (i + 1) / items;
    return begin + (i * 0x9e3779b9u >> 8) % CODEC_MAX(end - begin, 1);
}

static uint32_t sample_channels(const codec_units *u)
{
    return CODEC_MIN(SAMPLE_CHANNELS, u->unit_channels);
}

/* Some channels of a part of a unit. */
static codec_unit sample_unit(const codec_units *u, uint64_t at)
{
    const actc_codec_plan *plan = u->plan;
    uint32_t c = plan->channels, most = sample_channels(u), groups = (c + most - 1) / most;
    uint32_t blocks = u->transform == CODEC_BLOCKS ? actc_codec_blocks(plan->width, (uint32_t)plan->spec.block) : 1;
    uint32_t run = c >= SAMPLE_CHANNELS ? 1 : CODEC_MIN(SAMPLE_CHANNELS / c, blocks), runs = (blocks + run - 1) / run;
    codec_unit unit = {.rows = 1, .c0 = (uint32_t)(at % groups) * most};
    unit.c1 = CODEC_MIN(unit.c0 + most, c);
    at /= groups;
    unit.block = (uint32_t)(at % runs) * run;
    unit.blocks = CODEC_MIN(run, blocks - unit.block);
    unit.row = (uint32_t)(at / runs);
    return unit;
}

/* How many such there are, and the coefficients of one, about. */
static uint64_t sample_total(const codec_units *u, uint64_t *size)
{
    const actc_codec_plan *plan = u->plan;
    if (u->transform == CODEC_IDENTITY) {
        *size = SAMPLE_RUN;
        return (plan->n + SAMPLE_RUN - 1) / SAMPLE_RUN;
    }
    uint32_t c = plan->channels, most = sample_channels(u), groups = (c + most - 1) / most;
    uint32_t block = (uint32_t)plan->spec.block;
    uint32_t blocks = u->transform == CODEC_BLOCKS ? actc_codec_blocks(plan->width, block) : 1;
    uint32_t run = c >= SAMPLE_CHANNELS ? 1 : CODEC_MIN(SAMPLE_CHANNELS / c, blocks), runs = (blocks + run - 1) / run;
    uint64_t rows = u->transform == CODEC_WAVELET ? plan->samples
                    : u->transform == CODEC_ROWS  ? (uint64_t)plan->samples * plan->height
                                                  : (uint64_t)plan->samples * actc_codec_blocks(plan->height, block);
    *size = CODEC_MAX(plan->m / (rows * runs * groups), 1);
    return rows * runs * groups;
}

static void take_sample(void *user, uint32_t begin, uint32_t end, int thread)
{
    sampling *s = user;
    codec_pack *p = s->p;
    const actc_codec_plan *plan = p->units.plan;
    uint64_t size, total = sample_total(&p->units, &size);
    for (uint32_t i = begin; i < end; i++) {
        uint64_t at = item_at(i, s->items, total), n;
        const uint32_t *y;
        if (p->units.transform == CODEC_IDENTITY) {
            n = CODEC_MIN(SAMPLE_RUN, plan->n - at * SAMPLE_RUN);
            y = (const uint32_t *)(const void *)(p->x + at * SAMPLE_RUN);
        } else {
            codec_unit unit = sample_unit(&p->units, at);
            float *to = actc_codec_thread_y(p, thread);
            p->fns->forward[p->units.transform](&p->units, &unit, p->x, to, actc_codec_thread_scratch(p, thread));
            uint32_t c = unit.c1 - unit.c0;
            if (p->units.transform == CODEC_WAVELET) {
                n = plan->m / plan->samples / plan->channels * c;
            } else if (p->units.transform == CODEC_ROWS) {
                n = (uint64_t)plan->width * c;
            } else {
                uint32_t block = (uint32_t)plan->spec.block, row = unit.row % actc_codec_blocks(plan->height, block);
                uint32_t lh = CODEC_MIN(block, plan->height - row * block), w = unit.block * block;
                n = (uint64_t)lh * CODEC_MIN(unit.blocks * block, plan->width - w) * c;
            }
            y = (const uint32_t *)(const void *)to;
        }
        uint32_t count = (uint32_t)((n + s->stride - 1) / s->stride);
        uint32_t offset = __atomic_fetch_add(&s->used, count, __ATOMIC_RELAXED);
        for (uint32_t j = 0; j < count && offset + j < s->room; j++)
            s->keys[offset + j] = y[j * s->stride];
    }
}

static uint32_t largest_above(const codec_fns *fns, const sampling *s, uint32_t rank, uint32_t *bins)
{
    uint32_t ties;
    if (fns->count_above(s->keys, s->used, 0) < rank)
        return 0;
    return find_key(fns, s->keys, s->used, 0, ABS_MASK, rank, bins, &ties);
}

static void sample(codec_pack *p, sampling *s)
{
    uint64_t size, total = sample_total(&p->units, &size), items = p->units.plan->m / SAMPLE_SHARE / size;
    *s = (sampling){.p = p, .keys = p->sample, .room = p->sample_room};
    if (p->units.transform == CODEC_IDENTITY)
        items = s->room / SAMPLE_RUN;
    s->items = (uint32_t)CODEC_MIN(CODEC_MAX(items, 6), CODEC_MIN(total, 256));
    /* odd, so that it meets all frequencies; some room is left for items larger than others */
    s->stride = (uint32_t)(s->items * size * 5 / 4 / s->room) | 1;
    actc_parallel_for(p->threads, s->items, 1, take_sample, s);
    s->used = CODEC_MIN(s->used, s->room);
}

/* Sets the interval. rank: how many of the sample should be kept. Returns whether it seems to fit the pool. */
static bool guess(codec_pack *p, const sampling *s, double rank)
{
    codec_region *r = &p->regions[0];
    double room = p->pool_room * ((double)s->used / (double)p->units.plan->m);
    if (p->single) {
        uint32_t wanted = (uint32_t)(1.7 * rank + 8), key = largest_above(p->fns, s, wanted, p->bins);
        r->low = key ? key - 1 : 0;
        r->high = ABS_MASK;
        if (p->fns->count_above(s->keys, s->used, r->low) <= 0.95 * room)
            return true;
        p->single = false; /* many are equal to the key */
    }
    double margin = CODEC_MIN(0.02 * s->used, 0.4 * room);
    uint32_t low = largest_above(p->fns, s, (uint32_t)(rank + margin) + 1, p->bins);
    uint32_t high = rank - margin >= 1 ? largest_above(p->fns, s, (uint32_t)(rank - margin), p->bins) : ABS_MASK;
    r->low = low ? low - 1 : 0;
    r->high = high;
    uint32_t inside = p->fns->count_above(s->keys, s->used, r->low) - p->fns->count_above(s->keys, s->used, r->high);
    return exact(r) || inside <= 0.95 * room;
}

/* Looks for the key by a sample; with a second guess where the first has told how far the sample was off. */
static bool try_keys(codec_pack *p, bool *from_pool)
{
    const actc_codec_plan *plan = p->units.plan;
    codec_region *r = &p->regions[0];
    bool sampled = plan->m > p->pool_room;
    sampling s = {.used = 0};
    if (sampled)
        sample(p, &s);
    double rank = (double)plan->k * s.used / (double)plan->m;
    for (int i = 0; i < (sampled ? TRIES : 1); i++) {
        if (sampled && !guess(p, &s, rank))
            return false;
        clear_spans(p);
        actc_codec_each_span(p, count_span);
        *from_pool = p->single && !exact(r);
        if (take_key(p))
            return true;
        uint64_t seen = (uint64_t)r->above + r->inside;
        if (!sampled || seen == 0)
            return false;
        double expected = p->fns->count_above(s.keys, s.used, r->low) * ((double)plan->m / s.used);
        rank = (double)plan->k * s.used / (double)plan->m * (expected / (double)seen);
    }
    return false;
}

void actc_codec_select_keys(codec_pack *p, bool *from_pool)
{
    const actc_codec_plan *plan = p->units.plan;
    p->regions[0] = (codec_region){.low = 0, .high = ABS_MASK};
    *from_pool = false;
    if (plan->regions == 1 && plan->k < plan->m && try_keys(p, from_pool))
        return;
    *from_pool = false;
    find_exactly(p);
}
