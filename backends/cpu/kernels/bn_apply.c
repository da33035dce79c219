/* bn_apply.c: batch norm from its statistics, with what may follow: scale and shift, a residual, ReLU and its mask. */
#include "columns.h"
#include "exact/norm.h"
#include "mask_bits.h"

typedef struct tables {
    float mean[COLUMNS_TABLE], inverse[COLUMNS_TABLE], gamma[COLUMNS_TABLE], beta[COLUMNS_TABLE];
} tables;

/* Parts that are not wanted have values that change nothing: x - 0, x * 1, x + 0. */
static inline __attribute__((always_inline)) void apply(const tables *t, uint32_t count, const float *x, const float *residual,
                                                        uint32_t *y, const bool add, const bool clip, const bool capped, uint32_t cap)
{
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++) {
        float v = actc_normalise(actc_flush(x[k]), t->mean[k], t->inverse[k]);
        v = ACTC_ADD(ACTC_MUL(v, t->gamma[k]), t->beta[k]);
        if (add)
            v = ACTC_ADD(actc_flush(v), actc_flush(residual[k]));
        uint32_t u = actc_canon_bits(v);
        y[k] = clip ? actc_clip_bits(u, capped ? cap : ACTC_INF_BITS) : u;
    }
}

static inline __attribute__((always_inline)) void apply_parts(const tables *t, uint32_t count, const float *x,
                                                              const float *residual, uint32_t *y, const bool add, bool relu,
                                                              uint32_t cap)
{
    if (!relu)
        apply(t, count, x, residual, y, add, false, false, cap);
    else if (cap == ACTC_INF_BITS)
        apply(t, count, x, residual, y, add, true, false, cap);
    else
        apply(t, count, x, residual, y, add, true, true, cap);
}

/* The mask word of `count` elements (actc_clip_passes). stop: the cap, or 0 where there is none, so that all but 0 pass. */
static inline __attribute__((always_inline)) uint32_t mask_word(const uint32_t *y, const uint32_t count, uint32_t stop)
{
    uint32_t pass[32] = {0};
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++)
        pass[k] = ACTC_SELECT(y[k] == stop, 0u, y[k]);
    return actc_cpu_nonzero_bits(pass);
}

/* Mask words of the elements [from, to); from is a multiple of 32. */
static void write_mask(uint32_t *mask, const uint32_t *y, uint32_t from, uint32_t to, uint32_t cap)
{
    const uint32_t stop = cap == ACTC_INF_BITS ? 0u : cap;
    for (; from + 32 <= to && !stop; from += 32)
        mask[from / 32] = actc_cpu_nonzero_bits(y + from);
    for (; from + 32 <= to; from += 32)
        mask[from / 32] = mask_word(y + from, 32, stop);
    if (from < to)
        mask[from / 32] = mask_word(y + from, to - from, stop);
}

ACTC_CPU_KERNEL(bn_apply)
{
    const struct actc_params_bn_apply *p = params;
    const float *x = views[0], *statistics = views[1], *gamma = views[2], *beta = views[3], *residual = views[4];
    uint32_t *y = views[5], *mask = views[6];
    const uint32_t cap = ACTC_F32_BITS(p->cap);
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t masked = span.first;
    tables t;
    for (columns_block b = columns_next((columns_block){0}, span, p->cols); b.count; b = columns_next(b, span, p->cols)) {
        if (b.fill) {
            columns_fill(t.mean, &b, p->cols, p->normalise ? statistics : NULL, 0.0f);
            columns_fill(t.inverse, &b, p->cols, p->normalise ? statistics + p->cols : NULL, 1.0f);
            columns_fill(t.gamma, &b, p->cols, p->affine ? gamma : NULL, 1.0f);
            columns_fill(t.beta, &b, p->cols, p->affine ? beta : NULL, 0.0f);
        }
        const float *in = x + b.first, *other = p->residual ? residual + b.first : in;
        if (p->residual)
            apply_parts(&t, b.count, in, other, y + b.first, true, p->relu, cap);
        else
            apply_parts(&t, b.count, in, other, y + b.first, false, p->relu, cap);
        uint32_t ready = b.first + b.count;
        if (p->mask) {
            ready = ready == span.last ? ready : ready / 32 * 32;
            write_mask(mask, y, masked, ready, cap);
            masked = ready;
        }
    }
}
