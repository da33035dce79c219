#!/usr/bin/env python3
"""Deliberately wrong variants of the CUDA kernels, and the test that actc-parity catches every one of them.

variants.py names                              the variants, one a line
variants.py source ROOT TEMPLATE NAME OUT DEP  writes OUT: the kernel of variant NAME, compiled for the processor as
                                               TEMPLATE (tests/cuda_host/kernel.cpp.in) does it, with its mistake in it
variants.py table OUT                          writes OUT: all variants, for replace.c
variants.py run PARITY                         runs PARITY (actc-parity over cuda-host with replace.c) on the cases of each
                                               variant, without it and with it

A variant is one substitution in one file. Its old text must be there exactly once, so that a variant whose source has moved
on fails the build instead of testing nothing.
"""
import json
import os
import subprocess
import sys

# name: (kernel, file, old, new, glob of the cases that must catch it)
VARIANTS = {
    'contracted-multiply-add-in-adam': (
        'adam', 'src/exact/exact.h',
        'm = actc_flush(ACTC_ADD(m, ACTC_MUL(beta1_rest, ACTC_SUB(g, m))));',
        'm = actc_flush(__builtin_fmaf(beta1_rest, ACTC_SUB(g, m), m));',
        'adam(*'),
    'contracted-multiply-add-in-the-dct': (
        'codec_dct', 'src/exact/dct.h',
        '#define ACTC_DOT2(a0, a1, c0, c1) ACTC_ADD(ACTC_MUL(a0, c0), ACTC_MUL(a1, c1))',
        '#define ACTC_DOT2(a0, a1, c0, c1) __builtin_fmaf(a0, c0, ACTC_MUL(a1, c1))',
        'codec_dct(*'),
    'contracted-multiply-add-in-exact-gemm': (
        'gemm_exact', 'kernels_cuda/common.cuh',
        '#define ACTC_MAC(sum, a, b) ACTC_ADD(sum, ACTC_MUL(a, b))',
        '#define ACTC_MAC(sum, a, b) __builtin_fmaf(a, b, sum)',
        'gemm_exact(*'),
    'tie-to-the-highest-index-in-pooling': (
        'max_pool_fwd', 'src/exact/exact.h',
        'return v > best || (v != v && best == best);',
        'return v >= best || (v != v && best == best);',
        'max_pool*_fwd(*'),
    'tie-to-the-highest-index-in-selection': (
        'codec_tile', 'kernels_cuda/codec_tile.cu',
        '(keys[j] == key && j < t)',
        '(keys[j] == key && j > t)',
        'codec_tile(*'),
    'one-draw-for-all-tiles': (
        'codec_sample', 'kernels_cuda/codec_sample.cu',
        'actc_philox(ACTC_SAMPLE_DRAWS + tile,',
        'actc_philox(ACTC_SAMPLE_DRAWS,',
        'codec_sample(*'),
    'sampled-values-not-scaled': (
        'codec_sample', 'kernels_cuda/codec_sample.cu',
        'always ? bits : actc_sample_value(bits, rest, part)',
        'bits',
        'codec_sample(*'),
    'slopes-of-the-input-taken-for-the-output': (
        'unary_slopes', 'kernels_cuda/unary_slopes.cu',
        'actc_unary_slope_code(p.op, v, ACTC_BITS_F32(u),',
        'actc_unary_slope_code(p.op, v, v,',
        'unary_slopes(op=sigmoid*'),
    'slopes-of-the-element-before': (
        'unary_bwd_slopes', 'kernels_cuda/unary_bwd_slopes.cu',
        'codes[i / per_word] >> (i % per_word * p.bits) & last',
        'codes[i / per_word] >> ((i - 1u) % per_word * p.bits) & last',
        'unary_bwd_slopes(*'),
    'dct-constant-off-by-one-ulp': (
        'codec_dct', 'src/exact/dct.h',
        '#define ACTC_C16_5 0.311806262f',
        '#define ACTC_C16_5 0.311806291f',
        'codec_dct(*'),
    'missing-barrier-in-a-sum': (
        'loss_reduce', 'kernels_cuda/loss_reduce.cu',
        '        __syncthreads();\n',
        '',
        'loss_reduce(*'),
    'missing-barrier-in-a-tree-along-rows': (
        'ln_fwd', 'kernels_cuda/row.cuh',
        '        __syncthreads();\n        if (t < h)',
        '        if (t < h)',
        'ln_fwd(*'),
    'outputs-before-an-input-left-out-in-resampling': (
        'bilinear_bwd', 'kernels_cuda/bilinear_bwd.cu',
        'actc_resize_begin(i - 1u, scale',
        'actc_resize_begin(i, scale',
        'bilinear_bwd(*'),
    'every-sample-by-the-first-in-dice': (
        'dice_loss_bwd', 'kernels_cuda/dice_loss_bwd.cu',
        'const uint column = actc_div_rem(rest, by_rows) * p.cols + c;',
        'const uint column = actc_div_rem(rest, by_rows) * 0u + c;',
        'dice_loss_bwd(*'),
    'background-counted-in-dice': (
        'dice_loss_fwd', 'kernels_cuda/dice_loss_fwd.cu',
        'i % p.cols >= p.first;',
        'i % p.cols + p.first >= p.first;',
        'dice_loss_fwd(*'),
    'samples-that-are-not-there-in-a-loss': (
        'distance_loss_fwd', 'kernels_cuda/distance_loss_fwd.cu',
        'const uint counted = min(p.n, step[ACTC_STEP_ROWS] * p.per_sample)',
        'const uint counted = max(p.n, step[ACTC_STEP_ROWS])',
        'distance_loss_fwd(*'),
    'padding-counted-in-a-mean': (
        'avg_pool_fwd', 'kernels_cuda/avg_pool_fwd.cu',
        'actc_pool_factor(p.scale, (z.last - z.first) * (r.last - r.first) * (k.last - k.first))',
        'actc_pool_factor(p.scale, p.adaptive ? (z.last - z.first) * (r.last - r.first) * (k.last - k.first) : p.kd * p.kh * p.kw)',
        'avg_pool_fwd(*count_include_pad=0*'),
    'adaptive-parts-that-do-not-overlap': (
        'avg_pool_fwd', 'src/exact/pool.h',
        'r.last = ((i + 1u) * size + parts - 1u) / parts;',
        'r.last = (i + 1u) * size / parts;',
        'avg_pool_fwd(*adaptive*'),
    'last-window-lost-in-a-gather': (
        'avg_pool_bwd', 'src/exact/pool.h',
        'r.last = end < outputs ? end : outputs;',
        'r.last = end < outputs ? end : outputs - 1u;',
        'avg_pool_bwd(*'),
    'contracted-multiply-add-in-a-gather': (
        'avg_pool_bwd', 'kernels_cuda/avg_pool_bwd.cu',
        'sum = ACTC_ADD(sum, ACTC_MUL(actc_flush(dy[at]), factor));',
        'sum = __builtin_fmaf(actc_flush(dy[at]), factor, sum);',
        'avg_pool_bwd(*count_include_pad=0*'),
    'halves-of-bytes-exchanged-in-values': (
        'codec_values', 'kernels_cuda/codec_values.cu',
        'code << (4u * (slot & 1u))',
        'code << (4u * (1u - (slot & 1u)))',
        'codec_values(*int4*'),
    'rounded-to-nearest-in-quant': (
        'codec_quant', 'src/exact/quant.h',
        '(t + (random >> 8)) >> 24',
        '(t + 0x800000u + 0u * random) >> 24',
        'codec_quant(*'),
    'one-random-number-for-four-neighbours-in-quant': (
        'codec_quant', 'kernels_cuda/codec_quant.cu',
        'base, scale, random[j])',
        'base, scale, random[0])',
        'codec_quant(*'),
    'not-finite-and-not-marked-in-quant': (
        'codec_quant', 'kernels_cuda/codec_quant.cu',
        'broken |= actc_not_finite(bits);',
        'broken |= 0u * bits;',
        'codec_quant(*adversarial*'),
    'steps-that-do-not-reach-in-quant': (
        'codec_quant', 'src/exact/quant.h',
        '(range & 0x7fffffu) > (steps & 0x7fffffu)',
        '(range & 0x7fffffu) > (steps | 0x7fffffu)',
        'codec_quant(*'),
    'offset-of-the-first-group-for-all-in-quant': (
        'codec_dequant', 'kernels_cuda/codec_dequant.cu',
        'offsets[g - p.offset_first]',
        'offsets[p.first / ACTC_QUANT_GROUP - p.offset_first]',
        'codec_dequant(*'),
    'squares-about-half-the-mean': (
        'reduce_partial', 'src/exact/norm.h',
        'float d = actc_factor(ACTC_SUB(x, mean));',
        'float d = actc_factor(ACTC_SUB(x, ACTC_MUL(0.5f, mean)));',
        'reduce_partial(op=moments*'),
    'moments-merged-without-the-means': (
        'bn_stats', 'kernels_cuda/bn_stats.cu',
        'ACTC_MUL(ACTC_F32(n), actc_squared_distance(chunk_mean, mean))',
        'ACTC_MUL(0.0f, actc_squared_distance(chunk_mean, mean))',
        'bn_stats(*'),
    'cap-counted-inside': (
        'bn_apply', 'src/exact/norm.h',
        'return y != 0u && (y != cap || cap == ACTC_INF_BITS);',
        'return y != 0u && (y <= cap || cap == ACTC_INF_BITS || y != cap);',
        'bn_apply(*'),
    'contracted-multiply-add-in-batch-norm': (
        'bn_apply', 'kernels_cuda/bn_apply.cu',
        'ACTC_ADD(ACTC_MUL(v, actc_flush(gamma[c])), actc_flush(beta[c]))',
        '__builtin_fmaf(v, actc_flush(gamma[c]), actc_flush(beta[c]))',
        'bn_apply(*'),
    'last-rows-dropped-from-a-chunk': (
        'reduce_partial', 'kernels_cuda/reduce_partial.cu',
        'end = at + rows * p.cols;',
        'end = at + rows / 2u * 2u * p.cols;',
        'reduce_partial(*'),
    'attention-that-keeps-sums-of-another-maximum': (
        'attention_fwd', 'kernels_cuda/attention_fwd.cu',
        'actc_attention_rescaled(outputs[i][j], s->alphas[row + i], sums[i][j])',
        'actc_attention_rescaled(outputs[i][j], 1.0f, sums[i][j])',
        'attention_fwd(*'),
    'causal-attention-without-the-own-key': (
        'attention_bwd_q', 'kernels_cuda/attention_bwd_q.cu',
        'key + c <= g.first + row + i',
        'key + c < g.first + row + i',
        'attention_bwd_q(*causal=1*'),
    'causal-attention-from-the-other-side': (
        'attention_bwd_kv', 'kernels_cuda/attention_bwd_kv.cu',
        'g.first + row + i <= query + c',
        'g.first + row + i >= query + c',
        'attention_bwd_kv(*causal=1*'),
    'attention-that-drops-other-pairs-in-the-backward': (
        'attention_bwd_kv', 'kernels_cuda/attention_bwd_kv.cu',
        'attention_kept(s, c, row + i)',
        'attention_kept(s, row + i, c)',
        'attention_bwd_kv(*dropout=1*'),
    'contracted-multiply-add-in-attention': (
        'attention_bwd_q', 'kernels_cuda/attention.cuh',
        'sums[i][j] = ACTC_ADD(sums[i][j], ACTC_MUL(fa[i], fb[j]));',
        'sums[i][j] = __builtin_fmaf(fa[i], fb[j], sums[i][j]);',
        'attention_bwd_q(*'),
    'missing-barrier-in-attention': (
        'attention_bwd_kv', 'kernels_cuda/attention_bwd_kv.cu',
        '__syncthreads(); /* all have read the weights */',
        '',
        'attention_bwd_kv(*'),
    'missing-barrier-in-a-tile': (
        'gemm', 'kernels_cuda/tile.cuh',
        '__syncthreads(); /* also: all have left the other half, which the next step writes */',
        '',
        'gemm(*'),
    'only-the-last-run-of-a-filter': (
        'conv_bwd_filter_exact', 'kernels_cuda/conv_bwd_filter.cu',
        '*to = run == 0u ? actc_canon(s) : actc_canon(ACTC_ADD(*to, actc_canon(s)));',
        '*to = actc_canon(s);',
        'conv_bwd_filter_exact(*'),
    'planes-taken-for-rows': (
        'conv_fwd_exact', 'kernels_cuda/conv.cuh',
        'const uint kz = actc_div_rem(ky, by_height);',
        'const uint kz = ky; ky = actc_div_rem(ky, by_height);',
        'conv3d_exact.fwd(*'),
    'depthwise-taps-outside-the-volume': (
        'depthwise_fwd', 'kernels_cuda/depthwise_fwd.cu',
        'if (iz >= p.id || iy >= p.ih || ix >= p.iw)',
        'if (iz >= p.id || iy >= p.ih || ix > p.iw)',
        'depthwise*fwd(*'),
    'one-bias-a-matrix-of-a-batch': (
        'gemm_exact', 'kernels_cuda/gemm.cu',
        's = ACTC_ADD(s, actc_flush(bias[n]));',
        's = ACTC_ADD(s, actc_flush(bias[(n + matrix) % p.n]));',
        'gemm_exact(batch*'),
    'skipped-edge-tile': (
        'gemm', 'kernels_cuda/tile.cuh',
        'if (row + i < rows && col + j < cols)',
        'if ((first_row == 0u || first_row + SHAPE::BM <= rows) && row + i < rows && col + j < cols)',
        'gemm(*'),
    'relu-mask-off-by-one': (
        'relu_bwd_mask', 'kernels_cuda/relu_bwd_mask.cu',
        '>> (i % 32u) & 1u',
        '>> ((i + 1u) % 32u) & 1u',
        'relu_bwd_mask(*'),
    'kept-subnormal': (
        'relu_bwd_mask', 'src/exact/exact.h',
        'u = ACTC_SELECT(a < ACTC_TINY_BITS, 0u, u);',
        'u = ACTC_SELECT(a == 0u, 0u, u);',
        'relu_bwd_mask(*'),
}


def symbol(name):
    return 'actc_wrong_' + name.replace('-', '_')


def source(root, template, name, out, dep):
    kernel, path, old, new, _ = VARIANTS[name]
    with open(os.path.join(root, path), encoding='utf-8') as file:
        text = file.read()
    if text.count(old) != 1:
        sys.exit(f'{name}: {path} holds {text.count(old)} times, not once, the text that this variant replaces:\n{old}')
    text = text.replace(old, new)
    base = kernel[:-len('_exact')] if kernel.endswith('_exact') else kernel
    with open(template, encoding='utf-8') as file:
        code = file.read()
    code = code.replace('@VARIANT@', 'ACTC_BASE_KERNEL' if base == kernel else 'ACTC_EXACT_VARIANT')
    code = code.replace('@BASE@', base)
    # The changed file stands where it would first be included; include guards keep the true one out.
    anchor = '#include "exact/exact.h"\n' if path.startswith('src/exact/') else f'#include "{base}.cu"\n'
    if code.count(anchor) != 1:
        sys.exit(f'{template} holds {code.count(anchor)} times, not once: {anchor}')
    if path.endswith('.cu'):
        code = code.replace(anchor, text)
    elif path.endswith('exact.h') or not path.startswith('src/exact/'):
        code = code.replace(anchor, text + anchor)
    else:
        code = code.replace(anchor, anchor + text)
    # A name of its own for the linker, its own shared memory; the kernel that it says it is stays.
    code = code.replace('actc_shared_@NAME@', 'actc_shared_' + symbol(name))
    code = code.replace('actc_host_kernel_@NAME@', symbol(name)).replace('@NAME@', kernel)
    with open(out, 'w', encoding='utf-8') as file:
        file.write(f'/* Made by tests/wrong_variants/variants.py: {name}. */\n' + code)
    with open(dep, 'w', encoding='utf-8') as file:
        file.write(f'{out}: {os.path.join(root, path)} {template} {os.path.abspath(__file__)}\n')


def table(out):
    with open(out, 'w', encoding='utf-8') as file:
        for name, variant in VARIANTS.items():
            file.write(f'VARIANT("{name}", "{variant[0]}", {symbol(name)})\n')


def run(parity):
    def cases(glob, variant):
        env = dict(os.environ)
        env.pop('ACTC_WRONG_VARIANT', None)
        if variant:
            env['ACTC_WRONG_VARIANT'] = variant
        result = subprocess.run([parity, '--backends', 'cpu,cuda-host', '-k', glob, '--format', 'json'], env=env,
                                stdout=subprocess.PIPE, text=True, check=False)
        try:
            report = json.loads(result.stdout)
        except ValueError:
            sys.exit(f'{parity} -k {glob!r}: exit status {result.returncode}, and no report')
        for skipped in report['skipped']:
            sys.exit(f'{parity} -k {glob!r} skipped something: {skipped}')
        return result.returncode, len(report['cases']), report['failed']

    missed = []
    for name, (kernel, path, _, _, glob) in VARIANTS.items():
        code, count, failed = cases(glob, None)
        if code != 0 or count == 0 or failed:
            sys.exit(f'{name}: without it, {count} cases of {glob} ran, {len(failed)} failed, exit status {code}')
        code, _, failed = cases(glob, name)
        if code != 1 or not failed:
            missed.append(name)
            print(f'{name}: NOT CAUGHT by {count} cases of {glob} (exit status {code})')
            continue
        print(f'{name} ({kernel}, {path}): caught by {len(failed)} of {count} cases, first {failed[0]["case"]}\n'
              f'    {failed[0]["reason"][:120]}')
        sys.stdout.flush()
    if missed:
        sys.exit('not caught: ' + ', '.join(missed))
    print(f'all {len(VARIANTS)} wrong variants caught; without them every case passed')


def main(arguments):
    commands = {'names': (lambda: print('\n'.join(VARIANTS)), 0), 'source': (source, 5), 'table': (table, 1),
                'run': (run, 1)}
    if not arguments or arguments[0] not in commands or len(arguments) - 1 != commands[arguments[0]][1]:
        sys.exit(__doc__)
    commands[arguments[0]][0](*arguments[1:])


if __name__ == '__main__':
    main(sys.argv[1:])
