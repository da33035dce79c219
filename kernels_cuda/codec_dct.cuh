/* codec_dct.cuh: blocks of the dct in shared memory.
 *
 * A group holds 256 / block instances (a channel of a block), each with rows `block` apart in `cells`, and instances an
 * odd number of cells apart, so that neighbouring instances lie in different banks. A thread transforms one line: a
 * column of an instance, then a row of it.
 */
#ifndef ACTC_CODEC_DCT_CUH
#define ACTC_CODEC_DCT_CUH

#include "codec.cuh"
#include "exact/dct.h"
#include "index.cuh"

#define CODEC_CELLS (16 * 257)

struct codec_instance {
    uint lh, lw;      /* rows and columns */
    uint element;     /* of its row 0, column 0 */
    uint coefficient; /* its first */
};

/* q: instance of the block row, column by column, channels fastest. */
template <typename params>
static __device__ __forceinline__ codec_instance codec_instance_of(const params &p, uint row, uint q)
{
    const uint rows = (p.height + p.block - 1u) / p.block, s = row / rows, h = row % rows * p.block;
    const uint w = q / p.channels * p.block, c = q % p.channels;
    codec_instance i;
    i.lh = codec_min(p.block, p.height - h);
    i.lw = codec_min(p.block, p.width - w);
    i.element = ((s * p.height + h) * p.width + w) * p.channels + c;
    i.coefficient = (s * p.height + h) * p.width * p.channels + w * i.lh * p.channels + c * i.lh * i.lw;
    return i;
}

/* The coefficients of a group's instances, which follow each other: full_count instances with lw = block, then the others
 * of the last column. */
struct codec_group {
    uint begin, total, cells_each, block, full_count, full;
    actc_divisor full_size, full_lw, last_size, last_lw; /* coefficients of an instance, columns of it */
};

template <typename params>
static __device__ __forceinline__ codec_group codec_group_of(const params &p, uint row, uint q0, uint count)
{
    const codec_instance start = codec_instance_of(p, row, q0);
    const uint columns = (p.width + p.block - 1u) / p.block, last = (columns - 1u) * p.channels;
    const uint last_lw = p.width - (columns - 1u) * p.block;
    codec_group g;
    g.begin = start.coefficient;
    g.block = p.block;
    g.cells_each = p.block * p.block + 1u;
    g.full_count = q0 >= last ? 0u : codec_min(count, last - q0);
    g.full = g.full_count * start.lh * p.block;
    g.total = g.full + (count - g.full_count) * start.lh * last_lw;
    g.full_size = actc_divide_by(start.lh * p.block);
    g.full_lw = actc_divide_by(p.block);
    g.last_size = actc_divide_by(start.lh * last_lw);
    g.last_lw = actc_divide_by(last_lw);
    return g;
}

/* The cell of the group's coefficient k. */
static __device__ __forceinline__ uint codec_cell_of(const codec_group &g, uint k)
{
    const bool in_full = k < g.full;
    k -= in_full ? 0u : g.full;
    const uint i = (in_full ? 0u : g.full_count) + actc_div_rem(k, in_full ? g.full_size : g.last_size);
    const uint line = actc_div_rem(k, in_full ? g.full_lw : g.last_lw);
    return i * g.cells_each + line * g.block + k;
}

/* The thread's instance of the group and its line: neighbouring threads take neighbouring channels where there are enough
 * of them, else neighbouring lines. */
template <typename params>
static __device__ __forceinline__ void codec_split_thread(const params &p, uint each, uint *i, uint *line)
{
    const uint t = threadIdx.x;
    const bool by_channel = p.channels >= each;
    *i = by_channel ? t % each : t / p.block;
    *line = by_channel ? t / each : t % p.block;
}

/* In place: sums of a fold stay in front, differences behind them in reverse, as deep as the length is even. */
static __device__ __forceinline__ void codec_dct_any(float *cells, uint stride, uint length, const float *matrix)
{
    uint folds = 0u;
    for (uint l = length; (l & 1u) == 0u; l /= 2u) {
        for (uint j = 0u; j < l / 2u; j++) {
            const float a = cells[j * stride], b = cells[(l - 1u - j) * stride];
            cells[j * stride] = ACTC_ADD(a, b);
            cells[(l - 1u - j) * stride] = ACTC_SUB(a, b);
        }
        folds++;
    }
    float y[16];
#pragma unroll
    for (uint u = 0u; u < 16u; u++) {
        if (u < length) {
            uint fold = 0u; /* where this output is a sum of differences; `folds`: of what is left */
            while (fold < folds && ((u >> fold) & 1u) == 0u)
                fold++;
            const uint l = length >> fold, terms = fold < folds ? l / 2u : l;
            float sum = 0.0f;
            for (uint j = 0u; j < terms; j++) {
                const uint at = fold < folds ? l - 1u - j : j;
                const float term = ACTC_MUL(cells[at * stride], matrix[u * length + j]);
                sum = j == 0u ? term : ACTC_ADD(sum, term);
            }
            y[u] = sum;
        }
    }
#pragma unroll
    for (uint u = 0u; u < 16u; u++)
        if (u < length)
            cells[u * stride] = y[u];
}

static __device__ __forceinline__ void codec_idct_any(float *cells, uint stride, uint length, const float *matrix)
{
    uint folds = 0u;
    while (((length >> folds) & 1u) == 0u)
        folds++;
    float x[16];
#pragma unroll
    for (uint j = 0u; j < 16u; j++) {
        if (j < length) {
            uint place = j; /* of this output in the innermost fold */
            for (uint fold = 0u; fold < folds; fold++)
                place = codec_min(place, (length >> fold) - 1u - place);
            float sum = 0.0f;
            for (uint i = 0u; i < length >> folds; i++) {
                const uint u = i << folds;
                const float term = ACTC_MUL(cells[u * stride], matrix[u * length + place]);
                sum = i == 0u ? term : ACTC_ADD(sum, term);
            }
            for (uint fold = folds; fold-- > 0u;) {
                uint here = j; /* its place in this fold */
                for (uint f = 0u; f < fold; f++)
                    here = codec_min(here, (length >> f) - 1u - here);
                const uint l = length >> fold, mirrored = codec_min(here, l - 1u - here);
                float odd = 0.0f;
                for (uint i = 0u; i < l / 2u; i++) {
                    const uint u = (2u * i + 1u) << fold;
                    const float term = ACTC_MUL(cells[u * stride], matrix[u * length + mirrored]);
                    odd = i == 0u ? term : ACTC_ADD(odd, term);
                }
                sum = here < l / 2u ? ACTC_ADD(sum, odd) : ACTC_SUB(sum, odd);
            }
            x[j] = sum;
        }
    }
#pragma unroll
    for (uint j = 0u; j < 16u; j++)
        if (j < length)
            cells[j * stride] = x[j];
}

#define CODEC_TRANSFORM_LINE(name, dct16, dct8, any)                                                              \
    static __device__ __forceinline__ void name(float *cells, uint stride, uint length, const float *matrix)      \
    {                                                                                                             \
        float x[16];                                                                                              \
        if (length == 16u) {                                                                                      \
            _Pragma("unroll") for (uint j = 0u; j < 16u; j++) x[j] = cells[j * stride];                           \
            dct16(float, x)                                                                                       \
            _Pragma("unroll") for (uint j = 0u; j < 16u; j++) cells[j * stride] = x[j];                           \
        } else if (length == 8u) {                                                                                \
            _Pragma("unroll") for (uint j = 0u; j < 8u; j++) x[j] = cells[j * stride];                            \
            dct8(float, x)                                                                                        \
            _Pragma("unroll") for (uint j = 0u; j < 8u; j++) cells[j * stride] = x[j];                            \
        } else {                                                                                                  \
            any(cells, stride, length, matrix);                                                                   \
        }                                                                                                         \
    }

#endif
