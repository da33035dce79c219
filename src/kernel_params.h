/* kernel_params.h: the parameters of every kernel, included by C, GLSL and CUDA.
 *
 * Only 32-bit scalars, so that C and GLSL agree on the layout; at most ACTC_MAX_PARAMS_BYTES. `groups` comes
 * first everywhere and is filled when the launch is emitted.
 */
#ifndef ACTC_KERNEL_PARAMS_H
#define ACTC_KERNEL_PARAMS_H

#if !defined(ACTC_GLSL)
#include <stdint.h>
typedef unsigned int uint;
#endif

#define ACTC_MAX_PARAMS_BYTES 128
#define ACTC_GROUP_SIZE 256u     /* invocations of a group */
#define ACTC_GROUP_ELEMENTS 1024u /* elements of a group in element-wise kernels */
#define ACTC_SUM_ROWS 64u        /* rows of a chunk in column_sum_partial */
#define ACTC_FILTER_PIXELS 1024u /* output pixels of a chunk in conv2d_bwd_filter */

/* Words of the step block: constants of one step, written by the host before it runs. */
#define ACTC_STEP_SEED_LO 0
#define ACTC_STEP_SEED_HI 1
#define ACTC_STEP_STEP_LO 2
#define ACTC_STEP_STEP_HI 3
#define ACTC_STEP_ROWS 4          /* samples of the batch that count */
#define ACTC_STEP_INV_ROWS 5      /* f32: 1 / rows whose label is not -1 */
#define ACTC_STEP_GRAD_SCALE 6    /* f32: 1 / accumulated batches */
#define ACTC_STEP_STEP_SIZE 7     /* f32: lr / (1 - beta1^t), or lr for SGD */
#define ACTC_STEP_ROOT 8          /* f32: 1 / sqrt(1 - beta2^t) */
#define ACTC_STEP_SHRINK 9        /* f32: 1 - lr * weight decay for AdamW, else 1 */
#define ACTC_STEP_FIRST 10        /* 1 on the first update: momentum buffers start with the gradient */
#define ACTC_STEP_BLOCK_BYTES 256

/* Words of the result block: what a step tells the host and its own update. */
#define ACTC_RESULT_LOSS 0        /* f32: mean of the batch (training) or sum (evaluation) */
#define ACTC_RESULT_BAD 1         /* 0, or 1 + index of the first element that is not finite: 1 the loss, then gradients */
#define ACTC_RESULT_CORRECT 2
#define ACTC_RESULT_BLOCK_BYTES 256

struct actc_params_relu_fwd { uint groups, n; };
struct actc_params_relu_fwd_mask { uint groups, n; };
struct actc_params_relu_bwd_mask { uint groups, n; };
struct actc_params_relu_bwd_value { uint groups, n; };
struct actc_params_add { uint groups, n; };
/* Random bits below `threshold` keep the element. inner, channels: the random number of element i is that of
 * (i / (inner*channels)) * channels + i % channels; inner = 1, channels = 1 draws one an element. */
struct actc_params_dropout { uint groups, n, path, threshold, inner, channels; float scale; };
struct actc_params_transpose { uint groups, n, rows, cols; };
struct actc_params_max_pool2d_fwd { uint groups, n, channels, ih, iw, oh, ow, kh, kw, sh, sw, ph, pw; };
struct actc_params_max_pool2d_bwd { uint groups, n, channels, ih, iw, oh, ow, kh, kw, sh, sw, ph, pw; };
struct actc_params_column_sum_partial { uint groups, rows, cols; };
struct actc_params_column_sum_final { uint groups, chunks, cols, add; };
struct actc_params_log_softmax_fwd { uint groups, rows, cols; };
struct actc_params_log_softmax_bwd { uint groups, rows, cols; };
struct actc_params_nll_loss_fwd { uint groups, rows, cols; };
struct actc_params_nll_loss_bwd { uint groups, rows, cols; };
struct actc_params_cross_entropy_bwd { uint groups, rows, cols; };
struct actc_params_loss_reduce { uint groups, rows, mean; };
struct actc_params_count_correct { uint groups, rows, cols; };
struct actc_params_accumulate { uint groups, n; };
struct actc_params_finite_check { uint groups, n; };
struct actc_params_sgd { uint groups, n; float momentum, weight_decay; };
struct actc_params_adam { uint groups, n; float beta1_rest, beta2, beta2_rest, epsilon, l2; };
/* c (m,n) = op(a) op(b) [+ bias (n)] [+ c]; row-major; a is (m,k), or (k,m) where trans_a; b is (k,n), or (n,k). */
struct actc_params_gemm { uint groups, m, n, k, trans_a, trans_b, add, bias; };
/* x (batch,ih,iw,ic), w (oc,kh,kw,ic), y (batch,oh,ow,oc) */
struct actc_params_conv2d_fwd { uint groups, batch, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw, bias; };
struct actc_params_conv2d_bwd_data { uint groups, batch, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw, bias; };
/* partial (chunks, oc*kh*kw*ic): each chunk sums ACTC_FILTER_PIXELS output pixels in ascending order;
 * column_sum_final adds the chunks. */
struct actc_params_conv2d_bwd_filter { uint groups, batch, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw, bias; };

#if !defined(ACTC_GLSL)
#define actc_params_gemm_exact actc_params_gemm
#define actc_params_conv2d_fwd_exact actc_params_conv2d_fwd
#define actc_params_conv2d_bwd_data_exact actc_params_conv2d_bwd_data
#define actc_params_conv2d_bwd_filter_exact actc_params_conv2d_bwd_filter
#endif

#endif
