/* reference.c: the float64 reference of every kernel that has one, and a command's results held against it. */
#include "reference.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const reference_fn references[ACTC_KERNEL_COUNT] = {
    [ACTC_KERNEL_copy_nd] = reference_copy_nd,
    [ACTC_KERNEL_unary] = reference_unary,
    [ACTC_KERNEL_unary_bwd] = reference_unary_bwd,
    [ACTC_KERNEL_unary_slopes] = reference_unary_slopes,
    [ACTC_KERNEL_unary_bwd_slopes] = reference_unary_bwd_slopes,
    [ACTC_KERNEL_binary] = reference_binary,
    [ACTC_KERNEL_relu_fwd] = reference_relu_fwd,
    [ACTC_KERNEL_relu_fwd_mask] = reference_relu_fwd_mask,
    [ACTC_KERNEL_relu_bwd_mask] = reference_relu_bwd_mask,
    [ACTC_KERNEL_relu_bwd_value] = reference_relu_bwd_value,
    [ACTC_KERNEL_dropout] = reference_dropout,
    [ACTC_KERNEL_spread] = reference_spread,
    [ACTC_KERNEL_transpose] = reference_transpose,
    [ACTC_KERNEL_max_pool_fwd] = reference_max_pool_fwd,
    [ACTC_KERNEL_max_pool_bwd] = reference_max_pool_bwd,
    [ACTC_KERNEL_avg_pool_fwd] = reference_avg_pool_fwd,
    [ACTC_KERNEL_avg_pool_bwd] = reference_avg_pool_bwd,
    [ACTC_KERNEL_bilinear_fwd] = reference_bilinear_fwd,
    [ACTC_KERNEL_bilinear_bwd] = reference_bilinear_bwd,
    [ACTC_KERNEL_nll_loss_fwd] = reference_nll_loss_fwd,
    [ACTC_KERNEL_nll_loss_bwd] = reference_nll_loss_bwd,
    [ACTC_KERNEL_cross_entropy_bwd] = reference_cross_entropy_bwd,
    [ACTC_KERNEL_loss_reduce] = reference_loss_reduce,
    [ACTC_KERNEL_count_correct] = reference_count_correct,
    [ACTC_KERNEL_count_reduce] = reference_count_reduce,
    [ACTC_KERNEL_distance_loss_fwd] = reference_distance_loss_fwd,
    [ACTC_KERNEL_distance_loss_bwd] = reference_distance_loss_bwd,
    [ACTC_KERNEL_dice_loss_fwd] = reference_dice_loss_fwd,
    [ACTC_KERNEL_dice_loss_bwd] = reference_dice_loss_bwd,
    [ACTC_KERNEL_finite_check] = reference_finite_check,
    [ACTC_KERNEL_state_commit] = reference_state_commit,
    [ACTC_KERNEL_sgd] = reference_sgd,
    [ACTC_KERNEL_adam] = reference_adam,
    [ACTC_KERNEL_reduce_partial] = reference_reduce_partial,
    [ACTC_KERNEL_reduce_final] = reference_reduce_final,
    [ACTC_KERNEL_bn_stats] = reference_bn_stats,
    [ACTC_KERNEL_bn_apply] = reference_bn_apply,
    [ACTC_KERNEL_bn_bwd] = reference_bn_bwd,
    [ACTC_KERNEL_ln_fwd] = reference_ln_fwd,
    [ACTC_KERNEL_ln_bwd] = reference_ln_bwd,
    [ACTC_KERNEL_softmax_fwd] = reference_softmax_fwd,
    [ACTC_KERNEL_softmax_bwd] = reference_softmax_bwd,
    [ACTC_KERNEL_attention_fwd] = reference_attention_fwd,
    [ACTC_KERNEL_attention_delta] = reference_attention_delta,
    [ACTC_KERNEL_attention_bwd_q] = reference_attention_bwd_q,
    [ACTC_KERNEL_attention_bwd_kv] = reference_attention_bwd_kv,
};

reference_fn reference_of(actc_kernel_id id)
{
    return references[id];
}

bool reference_has(const actc_command *command)
{
    switch (command->type) {
    case ACTC_COMMAND_KERNEL: return references[command->u.kernel.id];
    case ACTC_COMMAND_GEMM:
    case ACTC_COMMAND_CONV:
    case ACTC_COMMAND_COPY:
    case ACTC_COMMAND_FILL: return true;
    default: return false;
    }
}

bool reference_command(const actc_command *command, reference_view *views)
{
    if (!reference_has(command))
        return false;
    switch (command->type) {
    case ACTC_COMMAND_KERNEL: references[command->u.kernel.id](command->u.kernel.params.bytes, views); break;
    case ACTC_COMMAND_GEMM: reference_gemm(&command->u.gemm, views); break;
    case ACTC_COMMAND_CONV: return reference_conv(&command->u.conv, views);
    case ACTC_COMMAND_COPY:
        for (size_t i = 0; i < views[1].words; i++)
            reference_move(&views[0], i, &views[1], i);
        break;
    default:
        for (size_t i = 0; i < views[0].words; i++)
            reference_set_word(&views[0], i, command->u.fill.word);
    }
    return true;
}

/* ---- views of one command ---- */

void reference_views_free(reference_view *views)
{
    for (uint32_t v = 0; v < ACTC_MAX_VIEWS; v++) {
        free(views[v].value);
        free(views[v].error);
        free(views[v].bits);
        views[v] = (reference_view){0};
    }
}

void reference_set_word(reference_view *view, size_t i, uint32_t word)
{
    float x;
    memcpy(&x, &word, sizeof x);
    view->bits[i] = word;
    view->value[i] = x;
    view->error[i] = fabsf(x) < (float)REFERENCE_TINY ? fabs((double)x) : 0; /* may be read as 0 */
}

bool reference_views_make(const actc_command *command, void *const *data, reference_view *views)
{
    memset(views, 0, ACTC_MAX_VIEWS * sizeof *views);
    for (uint32_t v = 0; v < command->n_views; v++) {
        size_t n = (size_t)(command->views[v].bytes + 3) / 4;
        views[v] = (reference_view){n, calloc(n + 1, sizeof(double)), calloc(n + 1, sizeof(double)), calloc(n + 1, sizeof(uint32_t))};
        if (!views[v].value || !views[v].error || !views[v].bits) {
            reference_views_free(views);
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (command->access[v] == 'w')
                views[v].error[i] = REFERENCE_UNTOUCHED;
            else
                reference_set_word(&views[v], i, ((const uint32_t *)data[v])[i]);
        }
    }
    return true;
}

bool reference_agrees(const actc_command *command, const reference_view *views, void *const *data, char *message, size_t size)
{
    for (uint32_t v = 0; v < command->n_views; v++) {
        for (size_t i = 0; i < views[v].words && command->access[v] != 'r'; i++) {
            const uint32_t got = ((const uint32_t *)data[v])[i];
            const double value = views[v].value[i], error = views[v].error[i];
            float x;
            memcpy(&x, &got, sizeof x);
            if (error == REFERENCE_UNTOUCHED ? got == views[v].bits[i]
                                   : got == views[v].bits[i] || !(fabs(value) + error <= FLT_MAX) || fabs(x - value) <= error)
                continue;
            if (error == REFERENCE_UNTOUCHED)
                snprintf(message, size, "view %u[%zu] is %08x, the reference says %08x", v, i, got, views[v].bits[i]);
            else
                snprintf(message, size, "view %u[%zu] is %.9g, in float64 %.9g with a bound of %.3g", v, i, (double)x, value, error);
            return false;
        }
    }
    return true;
}
