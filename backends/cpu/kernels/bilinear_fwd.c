/* bilinear_fwd.c: bilinear resampling of maps, row by row: of what two rows of inputs give, two inputs. */
#include "kernel.h"

#include "exact/resize.h"

#define TABLE 4096u /* inputs that are mixed at once */

/* The two inputs of an output along one axis, and the weight of the second. */
typedef struct pair {
    uint32_t first, second;
    float weight;
} pair;

static inline pair pair_of(uint32_t o, float scale, uint32_t corners, uint32_t inputs)
{
    const float source = actc_resize_source(o, scale, corners);
    const uint32_t first = actc_resize_first(source, inputs);
    return (pair){first, ACTC_MIN(first + 1, inputs - 1), actc_resize_weight(source, first)};
}

/* A row of outputs: the two rows of inputs. */
typedef struct row_pair {
    const float *upper, *lower;
    float weight;
} row_pair;

static inline row_pair row_of(const struct actc_params_bilinear_fwd *p, const float *x, uint32_t line)
{
    const size_t row = (size_t)p->iw * p->channels;
    const pair v = pair_of(line % p->oh, p->sy, p->corners, p->ih);
    const float *image = x + (size_t)(line / p->oh) * p->ih * row;
    return (row_pair){image + v.first * row, image + v.second * row, v.weight};
}

/* The outputs of columns from `column` on, at most `elements` from channel c on, whose inputs the table holds: returns how many. */
static uint32_t from_table(const struct actc_params_bilinear_fwd *p, row_pair r, uint32_t column, uint32_t c, uint32_t elements,
                           float *y)
{
    float table[TABLE];
    const uint32_t channels = p->channels, first = pair_of(column, p->sx, p->corners, p->iw).first, room = TABLE / channels;
    const uint32_t last = pair_of((c + elements - 1) / channels + column, p->sx, p->corners, p->iw).second;
    const uint32_t columns = ACTC_MIN(last - first + 1, room), count = columns * channels;
    const float *a = r.upper + (size_t)first * channels, *b = r.lower + (size_t)first * channels;
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++)
        table[k] = actc_resize_mix(actc_flush(a[k]), actc_flush(b[k]), r.weight);
    uint32_t done = 0;
    for (; done < elements; column++, c = 0) {
        const pair h = pair_of(column, p->sx, p->corners, p->iw);
        const uint32_t left = ACTC_MIN(channels - c, elements - done);
        if (h.second - first >= columns)
            break;
        const float *u = table + (h.first - first) * channels + c, *v = table + (h.second - first) * channels + c;
        float *out = y + done;
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < left; k++)
            out[k] = actc_canon(actc_resize_mix(u[k], v[k], h.weight));
        done += left;
    }
    return done;
}

/* The same of one column, without a table. */
static uint32_t from_inputs(const struct actc_params_bilinear_fwd *p, row_pair r, uint32_t column, uint32_t c, uint32_t elements,
                            float *y)
{
    const pair h = pair_of(column, p->sx, p->corners, p->iw);
    const uint32_t count = ACTC_MIN(p->channels - c, elements);
    const size_t first = (size_t)h.first * p->channels + c, second = (size_t)h.second * p->channels + c;
    const float *a = r.upper + first, *b = r.upper + second, *d = r.lower + first, *e = r.lower + second;
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++) {
        const float u = actc_resize_mix(actc_flush(a[k]), actc_flush(d[k]), r.weight);
        const float v = actc_resize_mix(actc_flush(b[k]), actc_flush(e[k]), r.weight);
        y[k] = actc_canon(actc_resize_mix(u, v, h.weight));
    }
    return count;
}

ACTC_CPU_KERNEL(bilinear_fwd)
{
    const struct actc_params_bilinear_fwd *p = params;
    const float *x = views[0];
    float *y = views[1];
    const uint32_t row_elements = p->ow * p->channels;
    const bool tables = p->iw <= p->ow && 2 * p->channels <= TABLE; /* else most of what is mixed would be used once, or never */
    const actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last;) {
        const uint32_t line = i / row_elements, at = i % row_elements, stop = i + ACTC_MIN(row_elements - at, span.last - i);
        const row_pair r = row_of(p, x, line);
        uint32_t column = at / p->channels, c = at % p->channels;
        while (i < stop) {
            const uint32_t left = stop - i;
            const uint32_t done = tables ? from_table(p, r, column, c, left, y + i) : from_inputs(p, r, column, c, left, y + i);
            i += done;
            column += (c + done) / p->channels;
            c = (c + done) % p->channels;
        }
    }
}
