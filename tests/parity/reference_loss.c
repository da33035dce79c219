/* reference_loss.c: losses, and what they get right, in float64. */
#include "reference.h"

#include <math.h>

static bool row_counts(uint32_t row, uint32_t label, uint32_t cols, uint32_t positions, const reference_view *step)
{
    return row / positions < step->bits[ACTC_STEP_ROWS] && label < cols;
}

static void store_bits(reference_view *view, size_t i, uint32_t bits)
{
    view->error[i] = REFERENCE_BITS;
    view->bits[i] = bits;
}

void reference_nll_loss_fwd(const void *params, reference_view *views)
{
    const struct actc_params_nll_loss_fwd *p = params;
    for (uint32_t r = 0; r < p->rows; r++) {
        const uint32_t label = views[1].bits[r];
        if (row_counts(r, label, p->cols, p->positions, &views[2])) {
            const size_t at = (size_t)r * p->cols + label;
            reference_store(&views[3], r, -views[0].value[at], views[0].error[at], 0, 0);
        } else {
            store_bits(&views[3], r, 0);
        }
    }
}

void reference_nll_loss_bwd(const void *params, reference_view *views)
{
    const struct actc_params_nll_loss_bwd *p = params;
    const double scale = reference_step_float(&views[1], p->norm) * p->weight;
    for (size_t i = 0; i < (size_t)p->rows * p->cols; i++) {
        const uint32_t row = (uint32_t)(i / p->cols), label = views[0].bits[row];
        if (row_counts(row, label, p->cols, p->positions, &views[1]) && i % p->cols == label)
            reference_store(&views[2], i, -scale, 0, 1, fabs(scale));
        else
            store_bits(&views[2], i, 0);
    }
}

void reference_cross_entropy_bwd(const void *params, reference_view *views)
{
    const struct actc_params_cross_entropy_bwd *p = params;
    const double scale = reference_step_float(&views[2], p->norm) * p->weight;
    for (size_t i = 0; i < (size_t)p->rows * p->cols; i++) {
        const uint32_t row = (uint32_t)(i / p->cols), label = views[1].bits[row];
        if (!row_counts(row, label, p->cols, p->positions, &views[2])) {
            store_bits(&views[3], i, 0);
            continue;
        }
        const double probability = exp(views[0].value[i]), target = i % p->cols == label;
        const double error = probability * (expm1(views[0].error[i]) + 4 * REFERENCE_UNIT) + REFERENCE_TINY;
        /* the difference, the scale and their product are rounded */
        reference_store(&views[3], i, (probability - target) * scale, fabs(scale) * error, 3, fabs(scale) * (probability + target + error));
    }
}

void reference_loss_reduce(const void *params, reference_view *views)
{
    const struct actc_params_loss_reduce *p = params;
    reference_view *result = &views[2];
    const double norm = p->mean ? reference_step_float(&views[1], p->norm) : 1, weight = p->weight;
    double sum = 0, error = 0, magnitude = 0;
    for (uint32_t r = 0; r < p->rows; r++) {
        sum += views[0].value[r];
        error += views[0].error[r];
        magnitude += fabs(views[0].value[r]) + views[0].error[r];
    }
    const double roundings = p->rows / 256 + 11;
    const size_t slot = ACTC_RESULT_VALUES + p->slot;
    reference_store(result, slot, sum * norm, error * norm, roundings, magnitude * norm);
    const double before = p->first ? 0 : result->value[ACTC_RESULT_LOSS], unsure = p->first ? 0 : result->error[ACTC_RESULT_LOSS];
    const double term = result->value[slot] * weight, term_error = result->error[slot] * weight + REFERENCE_TINY;
    reference_store(result, ACTC_RESULT_LOSS, before + term, unsure + term_error, 2, fabs(before) + unsure + fabs(term) + term_error);
}

void reference_count_correct(const void *params, reference_view *views)
{
    const struct actc_params_count_correct *p = params;
    const reference_view *scores = &views[0];
    for (uint32_t g = 0; g * ACTC_GROUP_SIZE < p->rows; g++) {
        uint32_t correct = 0;
        for (uint32_t r = g * ACTC_GROUP_SIZE; r < p->rows && r < (g + 1) * ACTC_GROUP_SIZE; r++) {
            const uint32_t label = views[1].bits[r];
            uint32_t best = 0;
            double highest = 0;
            for (uint32_t c = 0; c < p->cols; c++) {
                double v = scores->value[(size_t)r * p->cols + c];
                v = fabs(v) < REFERENCE_TINY ? 0 : v; /* compared as float32 kernels do */
                if (c == 0 || v > highest) {
                    highest = v;
                    best = c;
                }
            }
            correct += row_counts(r, label, p->cols, p->positions, &views[2]) && best == label;
        }
        store_bits(&views[3], g, correct);
    }
}

void reference_count_reduce(const void *params, reference_view *views)
{
    const struct actc_params_count_reduce *p = params;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < p->n; i++)
        sum += views[0].bits[i];
    store_bits(&views[1], ACTC_RESULT_VALUES + p->slot, sum);
}
