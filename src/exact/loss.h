/* loss.h: EXACT arithmetic of losses; the rules of exact.h hold. */
#ifndef ACTC_EXACT_LOSS_H
#define ACTC_EXACT_LOSS_H

#include "exact.h"

/* What a loss's gradients are multiplied by; norm: a word of the step block. */
ACTC_FN float actc_loss_scale(uint norm, float weight)
{
    return actc_flush(ACTC_MUL(actc_flush_bits(norm), weight));
}

/* The bits of the losses' weighted sum, with `value` in it; total: what it was before, unless this is the first. */
ACTC_FN uint actc_loss_total(uint total, uint first, uint value, float weight)
{
    float term = actc_flush(ACTC_MUL(actc_flush_bits(value), weight));
    return actc_canon_bits(first != 0u ? term : ACTC_ADD(actc_flush_bits(total), term));
}

#endif
