/* reference.h: what a kernel computes, in float64, with a bound on how far a float32 result may be from it.
 *
 * One function a kernel, in reference_<family>.c, found by the kernel's number. The cases of single kernels compare with it,
 * and networks are computed in float64 by running their programs command by command through it.
 */
#ifndef ACTC_PARITY_REFERENCE_H
#define ACTC_PARITY_REFERENCE_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../backends/backend.h"

#define REFERENCE_UNIT 0x1p-24 /* of a rounding to nearest in float32 */
#define REFERENCE_BITS (-1.0) /* error of a word that is no float: its bits count */
#define REFERENCE_TINY 0x1p-60 /* magnitudes below are read, and stored, as zero (src/exact/exact.h) */

/* Element i is word i of the view. `value` and `error` are of views that hold floats, `bits` of those that hold integers (masks,
 * indices, labels, the step block, the result block); all three are there in every view, words 0 in one that is absent. What
 * a kernel writes as float has `error` >= |float32 result - value|, counting the errors of what it read. What moves words moves
 * all three. A word of decisions (bits of a mask, places that a maximum is at) of which the errors leave some open has the
 * error INFINITY: it is not compared, and `value` is an integer whose bits say which are open; `bits` decides by the values. */
typedef struct reference_view {
    size_t words;
    double *value, *error;
    uint32_t *bits;
} reference_view;

/* params: the kernel's struct. views: in the order of the kernel's access letters; those not written are left alone. */
typedef void (*reference_fn)(const void *params, reference_view *views);

/* NULL where a kernel has none (codecs; PRODUCT and DEPTHWISE kernels, whose commands are gemm and conv). */
reference_fn reference_of(actc_kernel_id id);

/* Commands that are no kernels. reference_product.c */
void reference_gemm(const actc_gemm *gemm, reference_view *views);
bool reference_conv(const actc_conv *conv, reference_view *views); /* false: out of memory */
/* Any command that has a reference: kernels, gemm, conv, copy, fill. False where there is none, or memory has run out. */
bool reference_has(const actc_command *command);
bool reference_command(const actc_command *command, reference_view *views);

/* The functions, by the file that they are in; reference.c has the table. */
void reference_copy_nd(const void *params, reference_view *views); /* reference_element.c */
void reference_unary(const void *params, reference_view *views);
void reference_unary_bwd(const void *params, reference_view *views);
void reference_unary_slopes(const void *params, reference_view *views);
void reference_unary_bwd_slopes(const void *params, reference_view *views);
void reference_binary(const void *params, reference_view *views);
void reference_relu_fwd(const void *params, reference_view *views); /* reference_layers.c */
void reference_relu_fwd_mask(const void *params, reference_view *views);
void reference_relu_bwd_mask(const void *params, reference_view *views);
void reference_relu_bwd_value(const void *params, reference_view *views);
void reference_dropout(const void *params, reference_view *views);
void reference_spread(const void *params, reference_view *views);
void reference_transpose(const void *params, reference_view *views);
void reference_max_pool_fwd(const void *params, reference_view *views);
void reference_max_pool_bwd(const void *params, reference_view *views);
void reference_avg_pool_fwd(const void *params, reference_view *views);
void reference_avg_pool_bwd(const void *params, reference_view *views);
void reference_bilinear_fwd(const void *params, reference_view *views);
void reference_bilinear_bwd(const void *params, reference_view *views);
void reference_nll_loss_fwd(const void *params, reference_view *views); /* reference_step.c */
void reference_nll_loss_bwd(const void *params, reference_view *views);
void reference_cross_entropy_bwd(const void *params, reference_view *views);
void reference_loss_reduce(const void *params, reference_view *views);
void reference_count_correct(const void *params, reference_view *views);
void reference_count_reduce(const void *params, reference_view *views);
void reference_distance_loss_fwd(const void *params, reference_view *views);
void reference_distance_loss_bwd(const void *params, reference_view *views);
void reference_dice_loss_fwd(const void *params, reference_view *views);
void reference_dice_loss_bwd(const void *params, reference_view *views);
void reference_finite_check(const void *params, reference_view *views);
void reference_state_commit(const void *params, reference_view *views);
void reference_sgd(const void *params, reference_view *views);
void reference_adam(const void *params, reference_view *views);
void reference_reduce_partial(const void *params, reference_view *views); /* reference_norm.c */
void reference_reduce_final(const void *params, reference_view *views);
void reference_bn_stats(const void *params, reference_view *views);
void reference_bn_apply(const void *params, reference_view *views);
void reference_bn_bwd(const void *params, reference_view *views);
void reference_ln_fwd(const void *params, reference_view *views);
void reference_ln_bwd(const void *params, reference_view *views);
void reference_softmax_fwd(const void *params, reference_view *views);
void reference_softmax_bwd(const void *params, reference_view *views);
void reference_attention_fwd(const void *params, reference_view *views); /* reference_attention.c */
void reference_attention_delta(const void *params, reference_view *views);
void reference_attention_bwd_q(const void *params, reference_view *views);
void reference_attention_bwd_kv(const void *params, reference_view *views);

/* ---- one command ---- */

#define REFERENCE_UNTOUCHED (-1.0) /* error of a word that has not been written as a float */

/* A word that the host, or a command that writes integers, has put there. */
void reference_set_word(reference_view *view, size_t i, uint32_t word);
/* ACTC_MAX_VIEWS views with what a command finds in data. False where memory has run out. */
bool reference_views_make(const actc_command *command, void *const *data, reference_view *views);
void reference_views_free(reference_view *views);
/* Whether what the command has left in data is what the reference has written to the views: within the bounds where that is
 * floats (those that a float32 cannot hold are passed over), and bit for bit elsewhere. False with a message. */
bool reference_agrees(const actc_command *command, const reference_view *views, void *const *data, char *message, size_t size);

/* ---- for the functions themselves ---- */

/* A float that the host put into the step block. */
static inline double reference_step_float(const reference_view *step, uint32_t word)
{
    union { uint32_t u; float f; } pun = {.u = step->bits[word]};
    return pun.f;
}

/* Whether the errors leave open on which side of zero a float lies. What is below the bound of reading as zero is zero. */
static inline bool reference_sign_is_open(double value, double error)
{
    return fabs(value) <= error && fabs(value) + error > 4 * REFERENCE_TINY;
}

/* Decision i of a word of `per_word`, which takes 32 / per_word bits. */
static inline void reference_decide(reference_view *view, size_t i, uint32_t per_word, uint32_t decision, bool open)
{
    const size_t word = i / per_word, at = i % per_word;
    view->bits[word] |= decision << (32 / per_word) * at;
    if (!open)
        return;
    if (view->error[word] < INFINITY)
        view->value[word] = 0;
    view->error[word] = INFINITY;
    view->value[word] = (uint32_t)view->value[word] | 1u << at;
}

static inline bool reference_is_open(const reference_view *view, size_t i, uint32_t per_word)
{
    return view->error[i / per_word] == INFINITY && (uint32_t)view->value[i / per_word] >> i % per_word & 1;
}

/* Bit i of a mask. */
static inline void reference_put_bit(reference_view *view, size_t i, bool set, bool open)
{
    reference_decide(view, i, 32, set, open);
}

/* Moves word `from` of a view to word `to` of another. */
static inline void reference_move(const reference_view *source, size_t from, reference_view *target, size_t to)
{
    target->value[to] = source->value[from];
    target->error[to] = source->error[from];
    target->bits[to] = source->bits[from];
}

/* A bound of a float: one beyond all measure is finite still, and says so little. */
static inline double reference_bound(double error)
{
    return error < DBL_MAX ? error : DBL_MAX;
}

/* Stores a result whose inputs' errors add up to `error` and which `roundings` float32 operations of at most `magnitude` led to. */
static inline void reference_store(reference_view *view, size_t i, double value, double error, double roundings, double magnitude)
{
    view->value[i] = value;
    view->error[i] = reference_bound(error + roundings * REFERENCE_UNIT * magnitude * (1 + 1e-6) + REFERENCE_TINY);
}

#endif
