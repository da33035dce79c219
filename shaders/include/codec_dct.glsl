/* codec_dct.glsl: blocks of the dct in shared memory. Needs the view `constants`.
 *
 * A group holds 256 / block instances (a channel of a block), each with rows `block` apart in `cells`, and instances
 * CELLS apart, an odd number, so that neighbouring instances lie in different banks. A lane transforms one line: a column
 * of an instance, then a row of it.
 */
#ifndef ACTC_CODEC_DCT_GLSL
#define ACTC_CODEC_DCT_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "codec.glsl"
#include "exact/dct.h"

shared float cells[16 * 257];

struct instance {
    uint lh, lw;      /* rows and columns */
    uint element;     /* of its row 0, column 0 */
    uint coefficient; /* its first */
};

uint blocks_of(uint size)
{
    return (size + p.block - 1u) / p.block;
}

/* q: instance of the block row, column by column, channels fastest. */
instance instance_of(uint row, uint q)
{
    uint rows = blocks_of(p.height), s = row / rows, h = row % rows * p.block, w = q / p.channels * p.block,
         c = q % p.channels;
    instance i;
    i.lh = min(p.block, p.height - h);
    i.lw = min(p.block, p.width - w);
    i.element = ((s * p.height + h) * p.width + w) * p.channels + c;
    i.coefficient = (s * p.height + h) * p.width * p.channels + w * i.lh * p.channels + c * i.lh * i.lw;
    return i;
}

float matrix_at(uint matrix, uint i)
{
    return uintBitsToFloat(constants[TABLES + matrix + i]);
}

/* In place: sums of a fold stay in front, differences behind them in reverse, as deep as the length is even. */
void dct_any(uint base, uint stride, uint length, uint matrix)
{
    uint folds = 0u;
    for (uint l = length; (l & 1u) == 0u; l /= 2u) {
        for (uint j = 0u; j < l / 2u; j++) {
            float a = cells[base + j * stride], b = cells[base + (l - 1u - j) * stride];
            cells[base + j * stride] = ACTC_ADD(a, b);
            cells[base + (l - 1u - j) * stride] = ACTC_SUB(a, b);
        }
        folds++;
    }
    float y[16];
    [[unroll]] for (uint u = 0u; u < 16u; u++) {
        if (u < length) {
            uint fold = 0u; /* where this output is a sum of differences; `folds`: of what is left */
            while (fold < folds && ((u >> fold) & 1u) == 0u)
                fold++;
            uint l = length >> fold, terms = fold < folds ? l / 2u : l;
            float sum = 0.0;
            for (uint j = 0u; j < terms; j++) {
                uint at = fold < folds ? l - 1u - j : j;
                float term = ACTC_MUL(cells[base + at * stride], matrix_at(matrix, u * length + j));
                sum = j == 0u ? term : ACTC_ADD(sum, term);
            }
            y[u] = sum;
        }
    }
    [[unroll]] for (uint u = 0u; u < 16u; u++)
        if (u < length)
            cells[base + u * stride] = y[u];
}

void idct_any(uint base, uint stride, uint length, uint matrix)
{
    uint folds = 0u;
    while (((length >> folds) & 1u) == 0u)
        folds++;
    float x[16];
    [[unroll]] for (uint j = 0u; j < 16u; j++) {
        if (j < length) {
            /* the place of this output in the innermost fold */
            uint place = j;
            for (uint fold = 0u; fold < folds; fold++)
                place = min(place, (length >> fold) - 1u - place);
            float sum = 0.0;
            for (uint i = 0u; i < length >> folds; i++) {
                uint u = i << folds;
                float term = ACTC_MUL(cells[base + u * stride], matrix_at(matrix, u * length + place));
                sum = i == 0u ? term : ACTC_ADD(sum, term);
            }
            for (uint fold = folds; fold-- > 0u;) {
                uint here = j; /* its place in this fold */
                for (uint f = 0u; f < fold; f++)
                    here = min(here, (length >> f) - 1u - here);
                uint l = length >> fold, mirrored = min(here, l - 1u - here);
                float odd = 0.0;
                for (uint i = 0u; i < l / 2u; i++) {
                    uint u = (2u * i + 1u) << fold;
                    float term = ACTC_MUL(cells[base + u * stride], matrix_at(matrix, u * length + mirrored));
                    odd = i == 0u ? term : ACTC_ADD(odd, term);
                }
                sum = here < l / 2u ? ACTC_ADD(sum, odd) : ACTC_SUB(sum, odd);
            }
            x[j] = sum;
        }
    }
    [[unroll]] for (uint j = 0u; j < 16u; j++)
        if (j < length)
            cells[base + j * stride] = x[j];
}

#define TRANSFORM_LINE(name, dct16, dct8, any)                               \
    void name(uint base, uint stride, uint length, uint matrix)              \
    {                                                                        \
        float x[16];                                                         \
        if (length == 16u) {                                                 \
            [[unroll]] for (uint j = 0u; j < 16u; j++)                       \
                x[j] = cells[base + j * stride];                             \
            dct16(float, x)                                                  \
            [[unroll]] for (uint j = 0u; j < 16u; j++)                       \
                cells[base + j * stride] = x[j];                             \
        } else if (length == 8u) {                                           \
            [[unroll]] for (uint j = 0u; j < 8u; j++)                        \
                x[j] = cells[base + j * stride];                             \
            dct8(float, x)                                                   \
            [[unroll]] for (uint j = 0u; j < 8u; j++)                        \
                cells[base + j * stride] = x[j];                             \
        } else {                                                             \
            any(base, stride, length, matrix);                               \
        }                                                                    \
    }

/* The lane's instance of the group and its line: neighbouring lanes take neighbouring channels where there are enough of
 * them, else neighbouring lines. */
void split_lane(uint lane, uint each, out uint i, out uint line)
{
    bool by_channel = p.channels >= each;
    i = by_channel ? lane % each : lane / p.block;
    line = by_channel ? lane / each : lane % p.block;
}

/* Quotient and remainder by a divisor that stays the same: one integer division, then multiplications. */
struct divisor {
    uint d, m; /* m = floor((2^32 - 1) / d) */
};

divisor divide_by(uint d)
{
    return divisor(d, 0xffffffffu / d);
}

/* floor(n / d), and n becomes n % d. n * m / 2^32 is below n / d by less than 1 + n / 2^32, so one correction does. */
uint div_rem(inout uint n, divisor by)
{
    uint q, low;
    umulExtended(n, by.m, q, low);
    n -= q * by.d;
    bool more = n >= by.d;
    n -= more ? by.d : 0u;
    return q + (more ? 1u : 0u);
}

/* The coefficients of a group's instances, which follow each other: full_count instances with lw = block, then the others
 * of the last column. */
struct group_cells {
    uint begin, total, cells_each, full_count, full;
    divisor full_size, full_lw, last_size, last_lw; /* coefficients of an instance, columns of it */
};

group_cells group_of(uint row, uint q0, uint count)
{
    instance start = instance_of(row, q0);
    uint columns = blocks_of(p.width), last = (columns - 1u) * p.channels, last_lw = p.width - (columns - 1u) * p.block;
    group_cells g;
    g.begin = start.coefficient;
    g.cells_each = p.block * p.block + 1u;
    g.full_count = q0 >= last ? 0u : min(count, last - q0);
    g.full = g.full_count * start.lh * p.block;
    g.total = g.full + (count - g.full_count) * start.lh * last_lw;
    g.full_size = divide_by(start.lh * p.block);
    g.full_lw = divide_by(p.block);
    g.last_size = divide_by(start.lh * last_lw);
    g.last_lw = divide_by(last_lw);
    return g;
}

/* The cell of the group's coefficient k. */
uint cell_of(group_cells g, uint k)
{
    bool in_full = k < g.full;
    k -= in_full ? 0u : g.full;
    divisor size = g.last_size, lw = g.last_lw;
    if (in_full) {
        size = g.full_size;
        lw = g.full_lw;
    }
    uint i = (in_full ? 0u : g.full_count) + div_rem(k, size);
    uint line = div_rem(k, lw);
    return i * g.cells_each + line * p.block + k;
}

#endif
