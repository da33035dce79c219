/* codec_payload.c: tiles into payloads and out of them. The host is little-endian as the payload is, but for half words and
 * bytes nothing depends on it. */
#include "codec_payload.h"

#include <string.h>

#include "../../src/exact/codec.h"

static uint32_t half_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static void put_half(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Up to here a loop is faster than a call to copy. */
#define FEW 8u

/* The 16-bit forms of exact/codec.h. */
static uint32_t form_of(const actc_codec_plan *plan)
{
    return plan->spec.values == ACTC_VALUES_F16 ? ACTC_CODEC_F16 : ACTC_CODEC_BF16;
}

/* ---- writing ---- */

void actc_codec_writer_begin(const codec_writer *w)
{
    const actc_codec_plan *plan = w->plan;
    if (plan->index == ACTC_INDEX_MASK)
        memset(w->payload + plan->mask_offset, 0, (size_t)(4 * ((plan->m + 31) / 32)));
    if (plan->value_bits < 8)
        memset(w->payload + plan->values_offset, 0, (size_t)actc_codec_value_bytes(plan, plan->k));
    if (w->largest)
        memset(w->largest, 0, (size_t)((plan->k + 255) / 256 * sizeof *w->largest));
}

static void raise_to(uint32_t *largest, uint32_t value)
{
    uint32_t now = __atomic_load_n(largest, __ATOMIC_RELAXED);
    while (now < value && !__atomic_compare_exchange_n(largest, &now, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

static void measure(const codec_writer *w, const uint32_t *bits, uint32_t count, uint64_t slot)
{
    for (uint32_t i = 0; i < count;) {
        uint64_t group = (slot + i) / 256, end = CODEC_MIN((group + 1) * 256 - slot, count);
        uint32_t largest = 0;
        for (; i < end; i++) {
            uint32_t a = bits[i] & ACTC_ABS_MASK;
            largest = a < ACTC_INF_BITS && a > largest ? a : largest;
        }
        raise_to(&w->largest[group], largest);
    }
}

static uint32_t int_code(const codec_writer *w, uint32_t bits, uint64_t slot)
{
    const uint32_t *step = w->step;
    uint32_t random = actc_random_bits((uint32_t)slot, w->tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                       step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
    return actc_int_code(bits, w->payload[w->plan->scale_offset + slot / 256], random, w->plan->value_bits);
}

/* The first and the last byte may be shared with what another thread writes. */
static void put_halves_of_bytes(const codec_writer *w, const uint32_t *bits, uint32_t count, uint64_t slot)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *to = w->payload + w->plan->values_offset + (slot + i) / 2;
        uint32_t code = int_code(w, bits[i], slot + i);
        if ((slot + i) % 2) {
            __atomic_fetch_or(to, (uint8_t)(code << 4), __ATOMIC_RELAXED);
        } else if (i + 1 < count) {
            code |= int_code(w, bits[i + 1], slot + i + 1) << 4;
            *to = (uint8_t)code;
            i++;
        } else {
            __atomic_fetch_or(to, (uint8_t)code, __ATOMIC_RELAXED);
        }
    }
}

static void put_values(const codec_writer *w, const uint32_t *bits, uint32_t count, uint64_t slot)
{
    const actc_codec_plan *plan = w->plan;
    uint8_t *to = w->payload + plan->values_offset + slot * (plan->value_bits / 8);
    if (plan->spec.values == ACTC_VALUES_F32 && count <= FEW) {
        for (uint32_t i = 0; i < count; i++)
            memcpy(to + 4 * i, &bits[i], sizeof *bits);
    } else if (plan->spec.values == ACTC_VALUES_F32) {
        memcpy(to, bits, count * sizeof *bits);
    } else if (plan->spec.values == ACTC_VALUES_INT8) {
        for (uint32_t i = 0; i < count; i++)
            to[i] = (uint8_t)int_code(w, bits[i], slot + i);
    } else if (plan->spec.values == ACTC_VALUES_INT4) {
        put_halves_of_bytes(w, bits, count, slot);
    } else {
        uint32_t form = form_of(plan);
        for (uint32_t i = 0; i < count; i++)
            put_half(to + 2 * i, actc_value16_code(bits[i], form));
    }
}

void actc_codec_put(const codec_writer *w, uint64_t begin, bool whole, const uint8_t *places, const uint32_t *bits,
                    uint32_t count, uint64_t slot)
{
    const actc_codec_plan *plan = w->plan;
    if (count == 0)
        return;
    if (w->measure) {
        measure(w, bits, count, slot);
        return;
    }
    put_values(w, bits, count, slot);
    if (plan->index == ACTC_INDEX_U8) {
        uint8_t *to = w->payload + plan->index_offset + slot;
        if (count > FEW)
            memcpy(to, places, count);
        else
            for (uint32_t i = 0; i < count; i++)
                to[i] = places[i];
    } else if (plan->index == ACTC_INDEX_U16) {
        uint8_t *to = w->payload + plan->index_offset + 2 * slot;
        for (uint32_t i = 0; i < count; i++)
            put_half(to + 2 * i, (uint32_t)(begin + places[i]) & 65535);
    } else {
        uint32_t words[8] = {0};
        for (uint32_t i = 0; i < count; i++)
            words[places[i] / 32] |= 1u << places[i] % 32;
        uint32_t *to = (uint32_t *)(void *)(w->payload + plan->mask_offset) + begin / 32;
        for (uint32_t i = 0; i < 8; i++)
            if (words[i] && whole)
                to[i] = words[i];
            else if (words[i])
                __atomic_fetch_or(&to[i], words[i], __ATOMIC_RELAXED);
    }
}

void actc_codec_put_tile_entry(const codec_writer *w, uint64_t tile, uint64_t slots_of_segment)
{
    const actc_codec_plan *plan = w->plan;
    if (!w->measure && plan->tables && plan->index != ACTC_INDEX_U16 && tile % 256)
        put_half(w->payload + plan->tile_offset + 2 * (uint64_t)actc_tile_entry((uint32_t)tile), (uint32_t)slots_of_segment);
}

void actc_codec_put_nothing(const codec_writer *w, uint64_t begin, uint64_t end)
{
    const actc_codec_plan *plan = w->plan;
    uint32_t index_bytes = plan->index == ACTC_INDEX_U16 ? 2 : plan->index == ACTC_INDEX_U8 ? 1 : 0;
    if (w->measure || begin >= end)
        return;
    uint32_t value_bytes = plan->value_bits / 8; /* halves of bytes are zero from the start */
    memset(w->payload + plan->values_offset + begin * value_bytes, 0, (size_t)((end - begin) * value_bytes));
    memset(w->payload + plan->index_offset + begin * index_bytes, 0, (size_t)((end - begin) * index_bytes));
}

void actc_codec_put_scales(const codec_writer *w)
{
    for (uint64_t i = 0; i < (w->plan->k + 255) / 256; i++)
        w->payload[w->plan->scale_offset + i] = (uint8_t)actc_int_scale(w->largest[i], w->plan->value_bits);
}

/* ---- reading ---- */

static uint32_t code_at(const codec_reader *r, uint64_t slot)
{
    const actc_codec_plan *plan = r->plan;
    const uint8_t *p = r->payload + plan->values_offset + slot * plan->value_bits / 8;
    switch (plan->value_bits) {
    case 32: return word_at(p);
    case 16: return half_at(p);
    case 8: return p[0];
    default: return (uint32_t)p[0] >> 4 * (slot % 2) & 15;
    }
}

/* The values of slots from `slot` on. */
static void values_at(const codec_reader *r, uint64_t slot, uint32_t count, uint32_t *bits)
{
    const actc_codec_plan *plan = r->plan;
    const uint8_t *from = r->payload + plan->values_offset + slot * (plan->value_bits / 8);
    if (plan->spec.values == ACTC_VALUES_F32) {
        for (uint32_t i = 0; i < count; i++)
            bits[i] = word_at(from + 4ull * i);
    } else if (plan->spec.values == ACTC_VALUES_INT8) {
        for (uint32_t i = 0; i < count; i++)
            bits[i] = actc_int_bits(from[i], r->payload[plan->scale_offset + (slot + i) / 256], 8);
    } else if (plan->spec.values == ACTC_VALUES_INT4) {
        for (uint32_t i = 0; i < count; i++)
            bits[i] = actc_int_bits(code_at(r, slot + i), r->payload[plan->scale_offset + (slot + i) / 256], 4);
    } else {
        uint32_t form = form_of(plan);
        for (uint32_t i = 0; i < count; i++)
            bits[i] = actc_value16_bits(half_at(from + 2ull * i), form);
    }
}

/* The first slot of a tile; of a segment's first tile, and of the one behind the last, the segment table tells. */
static uint64_t first_slot(const codec_reader *r, uint64_t tile)
{
    const actc_codec_plan *plan = r->plan;
    uint64_t segment = tile / 256, slot;
    if (!plan->tables)
        return actc_codec_tile_slot(plan, tile);
    if (tile >= plan->tiles)
        segment = plan->segments;
    slot = segment ? word_at(r->payload + plan->segment_offset + 4 * (segment - 1)) : 0;
    if (tile < plan->tiles && tile % 256)
        slot += half_at(r->payload + plan->tile_offset + 2 * (uint64_t)actc_tile_entry((uint32_t)tile));
    return CODEC_MIN(slot, plan->k);
}

typedef struct found {
    uint32_t *places, *bits;
    uint64_t begin, end; /* wanted */
    uint32_t count, room;
} found;

/* Some entries of a tile, of which all may be wanted. */
static bool all_wanted(const found *f, uint64_t tile, uint64_t count)
{
    return tile * 256 >= f->begin && tile * 256 + 256 <= f->end && count <= f->room - f->count;
}

static void add(const codec_reader *r, found *f, uint64_t coefficient, uint64_t slot)
{
    if (coefficient < f->begin || coefficient >= f->end || f->count == f->room)
        return;
    f->places[f->count] = (uint32_t)(coefficient - f->begin);
    values_at(r, slot, 1, &f->bits[f->count++]);
}

static void read_mask(const codec_reader *r, uint64_t tile, uint64_t slot, uint64_t last, found *f)
{
    const actc_codec_plan *plan = r->plan;
    uint64_t words = CODEC_MIN((plan->m - tile * 256 + 31) / 32, 8), first = slot;
    const uint8_t *mask = r->payload + plan->mask_offset + tile * 32;
    if (!all_wanted(f, tile, 256)) {
        for (uint64_t i = 0; i < words; i++)
            for (uint32_t word = word_at(mask + 4 * i); word && slot < last; word &= word - 1)
                add(r, f, tile * 256 + i * 32 + (uint32_t)__builtin_ctz(word), slot++);
        return;
    }
    uint32_t *places = f->places + f->count, base = (uint32_t)(tile * 256 - f->begin);
    for (uint32_t i = 0; i < words; i++)
        for (uint32_t word = word_at(mask + 4 * i); word && slot < last; word &= word - 1, slot++)
            *places++ = base + i * 32 + (uint32_t)__builtin_ctz(word);
    values_at(r, first, (uint32_t)(slot - first), f->bits + f->count);
    f->count += (uint32_t)(slot - first);
}

static void read_u8(const codec_reader *r, uint64_t tile, uint64_t slot, uint64_t last, found *f)
{
    const actc_codec_plan *plan = r->plan;
    const uint8_t *index = r->payload + plan->index_offset;
    while (!plan->tables && last > slot && !code_at(r, last - 1)) /* unused */
        last--;
    if (last <= slot)
        return;
    if (!all_wanted(f, tile, last - slot)) {
        for (; slot < last; slot++)
            add(r, f, tile * 256 + index[slot], slot);
        return;
    }
    uint32_t *places = f->places + f->count, base = (uint32_t)(tile * 256 - f->begin), count = (uint32_t)(last - slot);
    for (uint32_t i = 0; i < count; i++)
        places[i] = base + index[slot + i];
    values_at(r, slot, count, f->bits + f->count);
    f->count += count;
}

/* Entries of a segment ascend. */
static void read_u16(const codec_reader *r, uint64_t segment, found *f)
{
    const actc_codec_plan *plan = r->plan;
    const uint8_t *index = r->payload + plan->index_offset;
    uint64_t first = first_slot(r, segment * 256), last = first_slot(r, (segment + 1) * 256), base = segment << 16;
    uint64_t low = first, high = CODEC_MAX(first, last);
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (base + half_at(index + 2 * middle) < f->begin)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint64_t slot = low; slot < last && base + half_at(index + 2 * slot) < f->end; slot++)
        add(r, f, base + half_at(index + 2 * slot), slot);
}

uint32_t actc_codec_read(const codec_reader *r, uint64_t begin, uint64_t end, uint32_t *places, uint32_t *bits)
{
    const actc_codec_plan *plan = r->plan;
    found f = {.places = places, .bits = bits, .begin = begin, .end = end, .room = (uint32_t)(end - begin)};
    if (plan->index == ACTC_INDEX_U16) {
        for (uint64_t segment = begin >> 16; segment << 16 < end; segment++)
            read_u16(r, segment, &f);
        return f.count;
    }
    uint64_t slot = first_slot(r, begin / 256);
    for (uint64_t tile = begin / 256; tile * 256 < end; tile++) {
        uint64_t last = first_slot(r, tile + 1);
        if (plan->index == ACTC_INDEX_MASK)
            read_mask(r, tile, slot, last, &f);
        else
            read_u8(r, tile, slot, last, &f);
        slot = last;
    }
    return f.count;
}
