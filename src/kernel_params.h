/* kernel_params.h: the parameters of every kernel, included by C, GLSL and CUDA.
 *
 * Only 32-bit scalars, so that C and GLSL agree on the layout; at most ACTC_MAX_PARAMS_BYTES. `groups` comes
 * first everywhere and is filled when the launch is emitted.
 *
 * Groups of a launch:
 *   element-wise kernels, each of which says `n` or `rows*cols` elements: ceil(elements / ACTC_GROUP_ELEMENTS); group g
 *     does the elements from g * ACTC_GROUP_ELEMENTS on. Counted over the output, or over what is updated in place.
 *   one invocation an output (reduce_*, nll_loss_fwd, dice_loss_fwd, count_correct): ceil(outputs / ACTC_GROUP_SIZE).
 *   bn_stats: ceil(cols / ACTC_BN_COLUMNS). ln_*: rows. softmax_*: rows, or ceil(rows / ACTC_GROUP_SIZE) where cols is at
 *     most ACTC_SOFTMAX_SERIAL.
 *   attention_fwd, attention_bwd_*: batch * heads * tiles of queries (bwd_kv: of keys) * tiles of head_dim, all tiles
 *     ACTC_ATTENTION_TILE long. attention_delta: ceil(rows / ACTC_ATTENTION_ROWS).
 *   loss_reduce, count_reduce: 1.
 *   gemm, conv_* and depthwise_*: chosen by the backend, which launches them itself; a CPU kernel takes any number from 1 up and
 *     splits the outputs evenly.
 *
 * Below, flush and canon are actc_flush and actc_canon of exact/exact.h: "y = a + b" in an arithmetic kernel means
 * y = canon(flush(a) + flush(b)). Kernels that move data (transpose, copy_nd) keep every bit.
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
#define ACTC_SUM_ROWS 64u        /* rows of a chunk in reduce_partial */
#define ACTC_SUM_CHUNKS 2048u    /* chunks that reduce_final gets at most: more are summed in chunks before */
#define ACTC_FILTER_PIXELS 1024u /* output pixels of a run in conv_bwd_filter and depthwise_bwd_filter */

/* Words of the step block: constants of one step, written by the host before it runs. */
#define ACTC_STEP_SEED_LO 0
#define ACTC_STEP_SEED_HI 1
#define ACTC_STEP_STEP_LO 2
#define ACTC_STEP_STEP_HI 3
#define ACTC_STEP_ROWS 4          /* samples of the batch that count */
#define ACTC_STEP_GRAD_SCALE 6    /* f32: 1 / accumulated batches */
#define ACTC_STEP_STEP_SIZE 7     /* f32: lr / (1 - beta1^t), or lr for SGD */
#define ACTC_STEP_ROOT 8          /* f32: 1 / sqrt(1 - beta2^t) */
#define ACTC_STEP_SHRINK 9        /* f32: 1 - lr * weight decay for AdamW, else 1 */
#define ACTC_STEP_FIRST 10        /* 1 on the first update: momentum buffers start with the gradient */
#define ACTC_STEP_NORM 16         /* words 16..31, f32: 1 / what loss or metric s counts of this batch */
#define ACTC_STEP_VALUES 16u      /* losses and metrics of a network, at most */
#define ACTC_STEP_BLOCK_BYTES 256

/* Words of the result block: what a step tells the host and its own update. */
#define ACTC_RESULT_LOSS 0        /* f32: the weighted sum of the losses' values; written by loss_reduce */
/* 0: all finite. 1: the loss is not. 2 + i: it is, and element i is the first of the gradients that is not. Kernels only
 * ever lower it, 0 counting as the highest (so an atomic min needs care: compare-and-swap in the rare bad case); the
 * program or the host clears it before the first batch of a step. */
#define ACTC_RESULT_BAD 1
#define ACTC_RESULT_VALUES 8      /* words 8..23: losses, f32, the mean of the batch (training) or the sum (evaluation); counts, u32 */
#define ACTC_RESULT_BLOCK_BYTES 256

/* y = actc_clip_bits(actc_relu_bits(x), cap) of exact/norm.h: min(max(x, 0), cap), NaN stays NaN. cap > 0: +Inf for ReLU, 6 for
 * ReLU6. */
struct actc_params_relu_fwd { uint groups, n; float cap; };
/* The same, and bit i % 32 of mask word i / 32 set where actc_clip_passes(y, cap): strictly between 0 and cap (NaN sets it
 * too: its gradient passes, as in PyTorch). ceil(n / 32) words are written; bits past n are 0. */
struct actc_params_relu_fwd_mask { uint groups, n; float cap; };
/* dx = dy where the bit is set, else +0. */
struct actc_params_relu_bwd_mask { uint groups, n; };
/* dx = dy where 0 < y < cap or y is NaN, else +0; y may be a restored X^lambda, with values below 0 and above the cap. */
struct actc_params_relu_bwd_value { uint groups, n; float cap; };
/* y = actc_unary(op, flush(x), a, b) of exact/unary.h, which has the operations ACTC_UNARY_*. */
struct actc_params_unary { uint groups, n, op; float a, b; };
/* dx = dy * actc_unary_slope(op, flush(saved), a); saved is y or x, as the operation says there, or empty. */
struct actc_params_unary_bwd { uint groups, n, op; float a; };
/* unary, of an operation without a and b, and the slopes in `bits` bits each, 2, 4 or 8: element i in bits from i * bits % 32 on
 * of word i * bits / 32 of codes = actc_unary_slope_code(op, flush(x), y, per_one, zero, 2^bits - 1). What is behind n is 0. */
struct actc_params_unary_slopes { uint groups, n, op, bits, zero; float per_one; };
/* dx = dy * actc_slope_level(code, zero, step). */
struct actc_params_unary_bwd_slopes { uint groups, n, bits, zero; float step; };
/* y = actc_binary(op, flush(a), flush(b), alpha) of exact/binary.h, which has the operations ACTC_BINARY_*, for n elements
 * (i0,...,i3) of a space of `size`, i3 fastest; y is dense, a and b at the sum of ik * sa[k] and ik * sb[k] (0: broadcast). y may
 * be a's or b's view, where that is dense. */
struct actc_params_binary { uint groups, n, op; float alpha; uint size[4], sa[4], sb[4]; };
/* y = x * scale where the random bits are below `threshold`, else +0. inner, channels: the random number of element i is
 * that of element (i / (inner*channels)) * channels + i % channels; inner = 1, channels = 1 draws one an element.
 * actc_random_bits(that element, path, step and seed words of the step block). */
struct actc_params_dropout { uint groups, n, path, threshold, inner, channels; float scale; };
/* dx[s][i][c] = dy[s][c] * scale for i < inner; n elements of dx. */
struct actc_params_spread { uint groups, n, inner, channels; float scale; };
/* y[b][c][r] = x[b][r][c] for n = batch * rows * cols elements; moves bits. */
struct actc_params_transpose { uint groups, n, rows, cols; };
/* Element (i0,...,i5) of a space of `size`, n elements, i5 fastest: target[target_at + the sum of ik * ds[k]] becomes
 * source[source_at + the sum of ik * ss[k]], bit for bit; or target + source where `accumulate`. Indices count modulo 2^32,
 * so that a stride may be negative. No two elements share a place in the target; the rest of it stays as it is. */
struct actc_params_copy_nd { uint groups, n, size[6], ss[6], ds[6], source_at, target_at, accumulate; };
/* n: elements of y (batch,od,oh,ow,channels); images have a depth of 1. The window is scanned in row-major order over
 * positions inside the image (at least one lies there); a later value wins only by actc_beats: greater, or the first NaN;
 * values compared are canon(x), y is the winner's. index: (kz*kh + ky)*kw + kx of the winner, one byte an element, byte i % 4
 * (little endian) of word i / 4; bytes past n in the last word are 0. kd*kh*kw <= 256. */
struct actc_params_max_pool_fwd { uint groups, n, channels, id, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw; };
/* n: elements of dx (batch,id,ih,iw,channels). dx = +0 plus flush(dy) of the windows whose index is this position, added in
 * ascending order of (oz, oy, ox). */
struct actc_params_max_pool_bwd { uint groups, n, channels, id, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw; };
/* n: elements of y (batch,od,oh,ow,channels). The window of an output is actc_pool_window of each axis (exact/pool.h; kernel, stride
 * and padding are not read where `adaptive`), w positions in all. s = +0 plus the sum of each row of the window, (z, y) in
 * ascending order; a row's sum = +0 plus flush(x), ascending; y = s * actc_pool_factor(scale, w). scale: 1 / (kd*kh*kw) where
 * positions outside the map count, else what all windows have in common, or 0. */
struct actc_params_avg_pool_fwd {
    uint groups, n, channels, id, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, adaptive;
    float scale;
};
/* n: elements of dx (batch,id,ih,iw,channels). dx = +0 plus flush(dy) * actc_pool_factor(scale, w) of the windows that hold this
 * position (actc_pool_holders of each axis), in ascending order of (oz, oy, ox). */
struct actc_params_avg_pool_bwd {
    uint groups, n, channels, id, ih, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, adaptive;
    float scale;
};
/* Bilinear resampling of x (batch,ih,iw,channels) to y (batch,oh,ow,channels), with the coordinates of exact/resize.h, scales sy
 * and sx; n elements of y. With mix = actc_resize_mix: y = mix(mix(x00, x10, wy), mix(x01, x11, wy), wx) of the rows first and
 * behind it (the last one: itself) and their inputs first and behind it. */
struct actc_params_bilinear_fwd { uint groups, n, channels, ih, iw, oh, ow, corners; float sy, sx; };
/* n elements of dx: dx = +0 plus share(ox) * flush(+0 plus share(oy) * dy, oy ascending), ox ascending, over the outputs from
 * actc_resize_begin(i - 1) to actc_resize_begin(i + 1) - 1 of each axis; share = actc_resize_share. */
#define actc_params_bilinear_bwd actc_params_bilinear_fwd
/* Sums over the rows of x (outer,rows,cols) in chunks of ACTC_SUM_ROWS, chunks = ceil(rows / ACTC_SUM_ROWS):
 * partial[o][j][w][c] = +0 plus term w of rows r ascending in [ACTC_SUM_ROWS * j, min(rows, ACTC_SUM_ROWS * (j+1))). The
 * terms of an op, read through flush; y has the shape of x; functions are those of exact/norm.h:
 *   SUM           x
 *   PRODUCT       actc_product(x, y)
 *   SQUARE        actc_squared_distance(x, mean[o][c])
 *   PAIR          x; actc_product(x, y)
 *   MOMENTS       x; actc_squared_distance(x, m), m = actc_chunk_mean(the chunk's sum of x in this column, its rows)
 *   NORM_COLUMNS  x; actc_product(x, actc_normalise(y, mean[o][c], inverse[o][c]))
 *   NORM_ROWS     x; actc_product(x, actc_normalise(y, mean[o][r], inverse[o][r]))
 *   OVERLAP       actc_product(x, y); actc_dice_size(0, x, y)
 *   OVERLAP_SQUARES         the same of actc_dice_size(1, x, y)
 *   OVERLAP_LABELS          as OVERLAP of the i32 labels y (outer,rows): y is 1 where label[o][r] is c, else 0
 *   OVERLAP_LABELS_SQUARES  as OVERLAP_SQUARES of them
 * Statistics are the means and behind them the inverse deviations (SQUARE reads the means only). Views that an op does not
 * name are empty. One invocation an (o, j, c). ACTC_REDUCE_WIDTH is the number of terms. */
#define ACTC_REDUCE_SUM 0u
#define ACTC_REDUCE_PRODUCT 1u
#define ACTC_REDUCE_SQUARE 2u
#define ACTC_REDUCE_PAIR 3u
#define ACTC_REDUCE_MOMENTS 4u
#define ACTC_REDUCE_NORM_COLUMNS 5u
#define ACTC_REDUCE_NORM_ROWS 6u
#define ACTC_REDUCE_OVERLAP 7u
#define ACTC_REDUCE_OVERLAP_SQUARES 8u
#define ACTC_REDUCE_OVERLAP_LABELS 9u
#define ACTC_REDUCE_OVERLAP_LABELS_SQUARES 10u
#define ACTC_REDUCE_OPS 11u
#define ACTC_REDUCE_WIDTH(op) ((op) < ACTC_REDUCE_PAIR ? 1u : 2u)
struct actc_params_reduce_partial { uint groups, op, outer, rows, cols, chunks; };
/* partial (outer,chunks,width,cols): s = +0 plus partial[o][j][w][c] for j ascending; s = scale * s;
 * sums[o][c] = add ? sums[o][c] + s : s, in the second view for w = 1 (empty where width is 1). One invocation an
 * (o, w, c). More than ACTC_SUM_CHUNKS chunks would take long in one chain of additions: they go through reduce_partial
 * once more before (SUM, rows = chunks, cols = width * cols). */
struct actc_params_reduce_final { uint groups, outer, chunks, width, cols, add; float scale; };
/* Batch norm of (rows,cols), channels last. Statistics (2,cols): means, and behind them inverse deviations
 * 1 / sqrt(variance + epsilon). Functions are those of exact/norm.h.
 *
 * From the moments (reduce_partial, op MOMENTS, outer 1): chunk j has n_j rows and the sum and squares s_j, q_j. A total over
 * chunks is that of ACTC_BN_LANES lanes, lane l adding +0 and terms l, l + ACTC_BN_LANES, ... ascending, and then a[l] +=
 * a[l + h] for l < h with h = ACTC_BN_LANES/2, ... 1.
 *   mean = flush(inverse_rows * total of s_j)
 *   variance = flush(inverse_rows * total of (q_j + n_j * actc_squared_distance(actc_chunk_mean(s_j, n_j), mean)))
 * statistics = mean, actc_inverse_deviation(variance, epsilon); and where `running` (else its views are empty)
 *   running mean = rest * running mean + momentum * mean
 *   running variance = rest * running variance + momentum * flush(unbiased * variance)
 * with unbiased = rows / (rows - 1), rest = 1 - momentum. evaluate: mean and variance are the running ones, which are not
 * written; there are no moments. epsilon >= 2^-60; a variance of 2^126 or more gives NaN. ACTC_BN_COLUMNS columns a group. */
#define ACTC_BN_COLUMNS 8u
#define ACTC_BN_LANES 32u
struct actc_params_bn_stats {
    uint groups, chunks, rows, cols, evaluate, running;
    float inverse_rows, epsilon, momentum, rest, unbiased;
};
/* v = actc_normalise(x, mean, inverse deviation) where `normalise`, else x; v = flush(v * gamma + beta) where `affine`;
 * v = v + residual where `residual`; y = v, or actc_clip_bits(v, cap) where `relu` (cap = +Inf: ReLU; 6: ReLU6). What is not
 * set has empty views. mask: bit i % 32 of word i / 32 is actc_clip_passes(y, cap); ceil(n / 32) words, bits past n are 0.
 * The same bits as the parts one after the other: with `normalise` alone y is xhat, the normalised tensor. n elements. */
struct actc_params_bn_apply { uint groups, n, cols, normalise, affine, residual, relu, mask; float cap; };
/* dx = actc_normalise_slope(dy, xhat, flush(sum dy * inverse_rows), flush(sum dy xhat * inverse_rows), factor), factor =
 * flush(gamma * inverse deviation), or the inverse deviation where not `affine`. x is xhat itself where `normalised`, else
 * xhat = actc_normalise(x, mean, inverse deviation). constant: the statistics do not depend on x (they are running ones):
 * dx = factor * dy; x and both sums are empty. The sums are reduce_partial's NORM_COLUMNS (`normalised`: PAIR). */
struct actc_params_bn_bwd { uint groups, n, cols, normalised, affine, constant; float inverse_rows; };
/* Kernels with a group a row: a total over its columns is that of 256 lanes, lane t adding +0 and the terms of columns t,
 * t + 256, ... ascending, and then a[t] += a[t + h] for t < h with h = 128, 64, ... 1.
 *
 * Layer norm of (rows,cols): mean = flush(inverse_cols * total of x), variance = flush(inverse_cols * total of
 * actc_squared_distance(x, mean)); y = xhat = actc_normalise(x, mean, actc_inverse_deviation(variance, epsilon)), or xhat *
 * gamma + beta where `affine` (else both are empty). Where `keep`, statistics (2,rows) are the means and the inverse
 * deviations, for the backward. epsilon >= 2^-60; a variance of 2^126 or more gives NaN. */
struct actc_params_ln_fwd { uint groups, rows, cols, affine, keep; float inverse_cols, epsilon; };
/* g = actc_product(dy, gamma), or dy where not `affine`; x is xhat itself where `normalised`, else xhat =
 * actc_normalise(x, mean, inverse deviation); dx = actc_normalise_slope(g, xhat, flush(inverse_cols * total of g),
 * flush(inverse_cols * total of actc_product(g, xhat)), inverse deviation). The gradients of beta and gamma are
 * reduce_partial's NORM_ROWS of dy and x (`normalised`: PAIR). */
struct actc_params_ln_bwd { uint groups, rows, cols, normalised, affine; float inverse_cols; };
/* Along each row: m = the largest x (v takes the place of m where v > m); s = the sum of actc_exp(x[c] - m);
 * log: y[c] = (x[c] - m) - actc_log(s), else y[c] = actc_exp(x[c] - m) * actc_reciprocal(s). NaN or +Inf anywhere in a row
 * makes all of it NaN. causal: 0, or the rows of each of the matrices that follow one another; then x[c] counts as -Inf in columns past
 * the row's number in its matrix. Up to ACTC_SOFTMAX_SERIAL columns: one invocation a row, m begins as x[0] and s adds to +0 with
 * columns ascending. More: a group a row, m begins as -Inf in every lane and goes through the tree too, s is a total. */
#define ACTC_SOFTMAX_SERIAL 64u
struct actc_params_softmax_fwd { uint groups, rows, cols, log, causal; };
/* log: s = sum of dy[c], dx[c] = dy[c] - actc_exp(y[c]) * s; else s = sum of actc_product(dy[c], y[c]), dx[c] = y[c] *
 * (dy[c] - s). s adds as in softmax_fwd. */
struct actc_params_softmax_bwd { uint groups, rows, cols, log; };
/* Attention of `heads` heads. Element (b,i,h,d) of q is at q_at + (b*tq + i) * q_row + h*head_dim + d, of k and v at k_at and v_at +
 * (b*tk + j) * kv_row + h*head_dim + d of the view kv; o and do (batch,tq,heads,head_dim), lse and delta (batch,tq,heads) are
 * dense. Numbers are read through actc_factor, statistics through flush; functions are those of exact/attention.h. A "sum" is +0
 * plus its terms, ascending. Keys and queries are taken in tiles of ACTC_ATTENTION_TILE, ascending; where `causal`, a query sees
 * the keys up to its own number, and tiles of queries and keys that see nothing of each other are left out.
 *
 * The score of a pair: actc_attention_score(the sum of q*k over d, scale, whether the query sees the key).
 * Where `dropout`, a pair is kept where its random bits are below `threshold`: word j % 4 of
 * actc_attention_random(path, (first + b) * heads + h, i, j / 4, ceil(tk / 4)); else every pair is. rescale: 1 / (1 - p).
 *
 * Forward, of a query, from m = -Inf, l = 0, o = 0, for each tile of keys:
 *   m' = the largest of m and the tile's scores (v takes the place of m where v > m), alpha = actc_exp(m - m')
 *   w = actc_attention_weight(score, m'); l = l * alpha + the sum of w
 *   o[d] = flush(o[d] * alpha + the sum of (kept ? w : 0) * v[d]); m = m'
 * and then o[d] = o[d] * flush(rescale * actc_reciprocal(l)), and where `keep` lse = m + actc_log(l). NaN or +Inf among a query's
 * scores makes all of it NaN. */
#define ACTC_ATTENTION_TILE 64u
#define ACTC_ATTENTION_HEAD_DIM 256u /* head_dim is at most this */
struct actc_params_attention {
    uint groups, batch, heads, head_dim, tq, tk, causal, keep, q_at, q_row, k_at, v_at, kv_row, dropout, path, first, threshold;
    float scale, rescale;
};
#define actc_params_attention_fwd actc_params_attention
/* delta of a row = the products do * o of its head_dim elements by ACTC_ATTENTION_LANES lanes, lane l adding +0 and elements l,
 * l + ACTC_ATTENTION_LANES, ... ascending, and then a[l] += a[l + h] for l < h with h = ACTC_ATTENTION_LANES/2, ... 1. `rows` are
 * batch * tq * heads. */
#define ACTC_ATTENTION_LANES 16u
#define ACTC_ATTENTION_ROWS 16u
struct actc_params_attention_delta { uint groups, rows, head_dim; };
/* Of a pair: w = actc_attention_weight(score, lse), g = the sum of do * v over d, ds = actc_attention_slope(w, kept ? g * rescale :
 * 0, delta).
 * dq (as q lies) = scale * the total over tiles of keys of the sums of ds * k; a total is +0 plus the tiles' sums, ascending. */
#define actc_params_attention_bwd_q actc_params_attention
/* dk and dv (as k and v lie): scale * the total over tiles of queries of the sums of ds * q; rescale * that of (kept ? w : 0) * do. */
#define actc_params_attention_bwd_kv actc_params_attention
/* Losses, and what they get right, by rows of `cols` classes, `positions` rows a sample (1; of a map, its pixels). Labels are
 * i32. A row counts where it is below ROWS * positions of the step block and its label lies in [0, cols); -1 is PyTorch's
 * ignore_index. `norm` is the word of the step block with 1 / what the loss counts, `slot` the loss's or metric's number:
 * VALUES + slot is its word of the result block. scale = actc_loss_scale(step[norm], weight) of exact/loss.h.
 *
 * loss[row] = -(log p)[row][label], +0 where the row does not count. One invocation a row. */
struct actc_params_nll_loss_fwd { uint groups, rows, cols, positions; };
/* dx = -scale at the label of a row that counts, +0 everywhere else. */
struct actc_params_nll_loss_bwd { uint groups, rows, cols, positions, norm; float weight; };
/* dx = (actc_exp(log p) - (1 at the label, else 0)) * scale, +0 in rows that do not count. */
struct actc_params_cross_entropy_bwd { uint groups, rows, cols, positions, norm; float weight; };
/* Invocation t of 256: a[t] = +0 plus loss[t], loss[t + 256], ... ascending; then a[t] += a[t + s] for t < s with
 * s = 128, 64, ... 1. VALUES[slot] = mean ? a[0] * step[norm] : a[0]; LOSS = actc_loss_total(LOSS, first, VALUES[slot],
 * weight), so that the losses of a network add up; BAD becomes 1 where LOSS is not finite. */
struct actc_params_loss_reduce { uint groups, rows, mean, norm, slot, first; float weight; };
/* counts[g] = those of the ACTC_GROUP_SIZE rows from g * ACTC_GROUP_SIZE on that count and whose highest score is at the
 * label; scanned with actc_beats, so the lowest index wins a tie and the first NaN beats all. One invocation a row. */
struct actc_params_count_correct { uint groups, rows, cols, positions; };
/* VALUES[slot] = the sum of n counts, an integer. */
struct actc_params_count_reduce { uint groups, n, slot; };
/* Losses of x and a target of its shape, n elements, `per_sample` of them a sample; an element counts where it is below
 * ROWS * per_sample. The distances ACTC_DISTANCE_* and their functions are those of exact/loss.h.
 *
 * sums[g] = the total, as of a row above, of actc_distance(op, x, target) of the ACTC_GROUP_ELEMENTS elements from
 * g * ACTC_GROUP_ELEMENTS on that count. */
struct actc_params_distance_loss_fwd { uint groups, n, per_sample, op; };
/* dx = actc_distance_slope(op, x, target) * scale, +0 where the element does not count. */
struct actc_params_distance_loss_bwd { uint groups, n, per_sample, op, norm; float weight; };
/* Dice of probabilities p and targets t over the rows of (outer,rows,cols), classes from `first` on, from the sums of p t and of
 * p + t, or p^2 + t^2 where `squares`: reduce_partial's OVERLAP. Class c of o counts where c >= first and o < ROWS; functions are
 * those of exact/loss.h.
 *   inverse = actc_dice_inverse(size, smooth_dr), quotient = actc_dice_quotient(overlap, inverse, smooth_nr)
 *   loss[o][c] = 1 - quotient; quotients (2,outer,cols) = quotient, inverse, where `keep`; all +0 where the class does not
 * count. One invocation an (o, c). */
struct actc_params_dice_loss_fwd { uint groups, outer, cols, first, keep; float smooth_nr, smooth_dr; };
/* dp = actc_dice_slope(squares, p, t, quotient, flush(inverse * scale)), +0 where the inverse is 0. t is (outer,rows,cols), or
 * where `labels` 1 at the i32 label of its row, else 0. n elements. */
struct actc_params_dice_loss_bwd { uint groups, n, outer, rows, cols, labels, squares, norm; float weight; };
/* BAD = the smaller of what it is (0 counting as highest) and 2 + first + i for the first i where g is not finite. */
struct actc_params_finite_check { uint groups, n, first; };
/* states = staged where BAD is 0, else staged = states: what a step staged becomes the state, or is forgotten. Moves bits. */
struct actc_params_state_commit { uint groups, n; };
/* actc_sgd and actc_adam with g * GRAD_SCALE as gradient. Nothing is touched where BAD is not 0. The momentum buffer is
 * neither read nor written where momentum is 0 (its view is empty). */
struct actc_params_sgd { uint groups, n; float momentum, weight_decay; };
struct actc_params_adam { uint groups, n; float beta1_rest, beta2, beta2_rest, epsilon, l2; };
/* c (m,n) = alpha op(a) op(b) [+ bias (n)] [+ c], of `batch` matrices; row-major; a is (m,k), or (k,m) where trans_a; b is
 * (k,n), or (n,k). lda, ldb, ldc: elements from row to row. stride_*: from matrix to matrix; 0: all have the same a or b.
 * Words of c between its rows are not touched.
 *
 * gemm and the convolutions: s = +0; for k ascending s = s + actc_factor(a) * actc_factor(b), two roundings; then, in gemm,
 * s = s * alpha; then s = s + flush(bias) where there is one; then s = s + flush(old) where `add`; stored as canon(s). The TOLERANT kernels
 * may add in another order and fuse, but in the same order at every output position. */
struct actc_params_gemm {
    uint groups, m, n, k, trans_a, trans_b, add, bias, batch, lda, ldb, ldc, stride_a, stride_b, stride_c;
    float alpha;
};
/* x (batch,id,ih,iw,ic), w (oc,kd,kh,kw,ic), y (batch,od,oh,ow,oc); a 2-D convolution has depth 1. s, p and d are strides,
 * padding before the image, and dilation. `bias`: whether there is one. */
struct actc_params_conv {
    uint groups, batch, ic, id, ih, iw, oc, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, bias, runs;
};
/* y. k runs over (kz,ky,kx,i), i fastest. Positions outside the image are factors of +0 that take part (so an Inf weight
 * gives NaN there); so are they in both backward passes. */
#define actc_params_conv_fwd actc_params_conv
/* dx. k runs over (kz,ky,kx,o), o fastest; dy at oy = (iy + ph - ky*dh) / sh where that is whole and inside, else +0. The
 * bias (ic) is of transposed convolutions, whose forward pass this is. */
#define actc_params_conv_bwd_data actc_params_conv
/* partial (chunks, oc*kd*kh*kw*ic) of output pixels (batch,od,oh,ow): a run is ACTC_FILTER_PIXELS of them, a chunk `runs`
 * runs. s of a run: its pixels in ascending order; partial = canon(s) of the first run of a chunk, then canon(partial +
 * canon(s)), runs ascending. reduce_final adds the chunks. */
#define actc_params_conv_bwd_filter actc_params_conv

/* Depthwise: oc = m * ic, channel o sees channel o / m of x; w (oc,kd,kh,kw). Only taps inside the image, or those that lead to
 * an output, take part; one invocation an output, channels fastest, and the CPU kernels take any number of groups.
 *
 * y: s = +0; taps (kz,ky,kx) ascending, s = s + actc_factor(x) * actc_factor(w); then s + flush(bias); stored as canon(s). */
#define actc_params_depthwise_fwd actc_params_conv
/* dx: the same over taps ascending and, for each, the channels o of i ascending; bias (ic). */
#define actc_params_depthwise_bwd_data actc_params_conv
/* partial (chunks, oc*kd*kh*kw): as conv_bwd_filter. One invocation an element, o fastest, then taps, then chunks. */
#define actc_params_depthwise_bwd_filter actc_params_conv

/* ---- codecs (backends/common/codec_passes.c emits the launches; src/codec/README.md describes the payload) ----
 *
 * x is the tensor, y its coefficients in their order, slots are the payload's values in their order. Views may begin
 * inside of a tensor: a field NAME_first is the index that the view's first element has in the whole (modulo 2^32, so
 * that word = index - first). A 256-byte aligned view of a payload section may begin before the section: its first
 * is then counted in the section's own elements, again modulo 2^32.
 */

/* Region r of the selection is [begin[r], begin[r+1]), with k[r], in the constants. */
#define ACTC_CODEC_MAX_REGIONS_ 17
/* Words of the state, one record a region. */
#define ACTC_CODEC_STATE_WORDS 8u
#define ACTC_CODEC_STATE_KEY 0u   /* |y| bits of the last kept; while selecting the upper bits of it */
#define ACTC_CODEC_STATE_TIES 1u  /* how many of the coefficients equal to it are kept, the first ones; while selecting k */
#define ACTC_CODEC_STATE_EQUAL 2u /* how many there are */
#define ACTC_CODEC_STATE_EQUAL_BEFORE 3u /* sum of EQUAL over the regions before */
#define ACTC_CODEC_STATE_TIES_BEFORE 4u  /* sum of TIES over the regions before */
#define ACTC_CODEC_STATE_ALL 5u   /* 1: no more than k are not zero, all of them are kept: KEY, TIES, EQUAL are 0 */
#define ACTC_CODEC_BINS 2048u     /* words of the histogram, zero before and after a pass */

/* Forward dct on blocks. Group g does the block row first_row + g / row_groups (counted over samples and block rows) and
 * of its instances (block column, channel; channel fastest) the 256 / block ones from (g % row_groups) * 256 / block on.
 * y = canon(dct along width of flush(dct along height of flush(x))). Blocks of 16 and 8, and a last block of 8, use
 * exact/dct.h; other last lengths the matrices in the constants, folded as in exact/dct.h. */
struct actc_params_codec_dct { uint groups, first_row, row_groups, block, height, width, channels, x_first, y_first; };
/* Inverse, along width and then along height. */
struct actc_params_codec_idct { uint groups, first_row, row_groups, block, height, width, channels, x_first, y_first; };
/* 1-D dct of whole rows, inverse or not: one invocation for each of n outputs from out_first on. Row r, channel c:
 * y[(r * channels + c) * width + u], x[(r * width + j) * channels + c]. Products are added in ascending order in groups
 * of ACTC_CODEC_ROW_GROUP, and the groups' sums in ascending order: y = canon(sum of flush(x) * cosine, times the
 * factor), x = canon(sum of (flush(y) * factor) * cosine); cosine u (2j + 1) modulo 4 width. */
#define ACTC_CODEC_ROW_GROUP 32u
struct actc_params_codec_dct_row { uint groups, n, out_begin, width, channels, inverse, in_first, out_first; };
/* One level along one axis of (outer, size, inner): low and high (outer, out_size, inner), one invocation for the
 * pair. out = canon(sum of flush(in) * tap over ascending taps that are not 0). taps: their number; table: word of the
 * low-pass in the constants, the high-pass follows. *_at: words to skip in a view. */
struct actc_params_codec_dwt {
    uint groups, outer, size, inner, out_size, taps, symmetric, table, in_at, low_at, high_at;
};
/* Inverse: out (outer, size, inner) = canon(sum over low + sum over high), each in ascending order of taps. */
struct actc_params_codec_idwt {
    uint groups, outer, size, inner, in_size, taps, symmetric, table, low_at, high_at, out_at;
};
/* Histogram over [begin, end), ACTC_CODEC_HIST_COEFFICIENTS a group, of the keys |y| that are not 0. pass 0: key >> 20;
 * pass 1: (key >> 10) & 1023 where key >> 20 is the state's; pass 2: key & 1023 where key >> 10 is. Does nothing where
 * the state's record says ALL. */
#define ACTC_CODEC_HIST_COEFFICIENTS 8192u
struct actc_params_codec_hist { uint groups, pass, region, begin, end, y_first; };
/* Takes the histogram into the region's record and clears it. Regions and their passes run in ascending order. */
struct actc_params_codec_select { uint groups, pass, region; };
/* Piece p: the coefficients of one tile (256) that lie in one region; pieces are numbered in order, so that coefficient
 * i of region r lies in piece (i >> 8) + r. Group g does piece first_piece + g: counts[2p] = keys above KEY,
 * counts[2p+1] = keys equal to it (0 where ALL), both added to sums[2s], sums[2s+1] of the segment s = i >> 16. */
struct actc_params_codec_count { uint groups, first_piece, regions, y_first; };
/* The sums become those of all segments before, exclusively; one group. */
struct actc_params_codec_scan { uint groups, segments; };
/* Group g writes piece first_piece + g: its index entries, table entries and values. A coefficient is kept where key >
 * KEY, or key == KEY (not ALL) and fewer than TIES equal ones of its region come before it. Its slot is the number kept
 * before it. to_values: values go to the view `values` (words) instead of the payload. *_word are offsets in 32-bit
 * words of the payload, *_byte in bytes; bytes and half words are combined by atomic or into zeroed words. Only words
 * [payload_first, payload_first + payload_words) of the payload, and slots [values_first, + values_words), are written. */
struct actc_params_codec_write {
    uint groups, first_piece, regions, y_first, index, to_values, segment_word, mask_word, values_word,
        tile_byte, index_byte, payload_first, payload_words, values_first, values_words;
};
/* select=tile: group g selects and writes tile first_tile + g; fields as above. */
struct actc_params_codec_tile {
    uint groups, first_tile, m, k, y_first, index, to_values, mask_word, values_word, index_byte, payload_first,
        payload_words, values_first, values_words;
};
/* Group g encodes the slots first_slot + 256 g and following, below k, from f32 bits: form is ACTC_CODEC_F16, BF16,
 * INT8 or INT4 (exact/codec.h). The random number of a slot has the element number `slot`. */
struct actc_params_codec_values {
    uint groups, first_slot, k, form, values_byte, scale_byte, tensor, values_first, payload_first, payload_words;
};
/* Group g restores the coefficients of tile first_tile + g that lie in [begin, end): y = the value where it is kept and
 * its slot lies in [slot_begin, slot_end), +0 elsewhere, but nothing where a coefficient is not kept or its slot is
 * outside and `keep` is set. Views begin *_first elements (words for segments, mask, f32; half words; bytes; of int4 halves
 * of them) into their section. Whatever the payload holds, nothing outside of the views is touched. */
struct actc_params_codec_scatter {
    uint groups, first_tile, begin, end, y_first, m, k, index, tile_select, form, keep, slot_begin, slot_end,
        tile_first, index_first, values_first, scale_first;
};
/* x[first + i] = uniform of element first + i; ACTC_GROUP_ELEMENTS a group. */
struct actc_params_codec_random { uint groups, n, first, tensor; };
/* select=random: as codec_tile, but what is kept is a random sample (exact/codec.h). */
struct actc_params_codec_sample {
    uint groups, first_tile, m, k, y_first, index, to_values, mask_word, values_word, index_byte, payload_first,
        payload_words, values_first, values_words, tensor;
};
/* Group g quantises the elements [first + 1024 g, first + 1024 g + 1024) below `end`: four groups of exact/quant.h, of `bits`
 * each, so that all words of codes and scales are its own. The random number of an element has its number. symmetric
 * (minmax 0) has no view of offsets. */
struct actc_params_codec_quant { uint groups, first, end, bits, minmax, tensor, x_first, code_first, offset_first, scale_first; };
/* Group g restores of the elements [first + 1024 g, first + 1024 g + 1024) those in [begin, end); first is a multiple of 1024. */
struct actc_params_codec_dequant {
    uint groups, first, begin, end, bits, minmax, x_first, code_first, offset_first, scale_first;
};

#if !defined(ACTC_GLSL)
#define actc_params_gemm_exact actc_params_gemm
#define actc_params_conv_fwd_exact actc_params_conv
#define actc_params_conv_bwd_data_exact actc_params_conv
#define actc_params_conv_bwd_filter_exact actc_params_conv
#endif

#endif
