/* product_float64.c: gemm and convolution in float64. */
#include "product_float64.h"

#include <math.h>
#include <stdlib.h>

void product_sums_free(void *shared)
{
    product_sums *s = shared;
    free(s->wanted);
    free(s->bound);
    free(s->dropped);
    free(s);
}

static void add_product(product_sums *s, size_t o, float a, float b)
{
    double product = (double)a * (double)b;
    s->wanted[o] += product;
    s->bound[o] += fabs(product);
    if (fabsf(a) < 0x1p-50f || fabsf(b) < 0x1p-50f)
        s->dropped[o] += fabs(product);
}

static void add_term(product_sums *s, size_t o, float term)
{
    s->wanted[o] += (double)term;
    s->bound[o] += fabs((double)term);
}

static uint64_t sum_gemm(const actc_gemm *g, const float *a, const float *b, const float *bias, product_sums *s)
{
    for (size_t matrix = 0; matrix < g->batch; matrix++, a += g->stride_a, b += g->stride_b)
        for (size_t i = 0; i < g->m; i++)
            for (size_t j = 0; j < g->n; j++) {
                size_t o = matrix * g->stride_c + i * g->ldc + j;
                for (size_t k = 0; k < g->k; k++)
                    add_product(s, o, a[g->trans_a ? k * g->lda + i : i * g->lda + k],
                                b[g->trans_b ? j * g->ldb + k : k * g->ldb + j]);
                s->wanted[o] *= (double)g->alpha;
                s->bound[o] *= fabs((double)g->alpha);
                s->dropped[o] *= fabs((double)g->alpha);
                if (g->bias)
                    add_term(s, o, bias[j]);
            }
    return g->k + (g->alpha < 1 || g->alpha > 1);
}

product_conv_sizes product_conv_sizes_of(const actc_conv *v)
{
    return (product_conv_sizes){.x = (size_t)v->batch * v->id * v->ih * v->iw * v->ic,
                                .w = (size_t)v->oc * v->kd * v->kh * v->kw * (v->ic / v->groups),
                                .y = (size_t)v->batch * v->od * v->oh * v->ow * v->oc,
                                .bias = v->pass == ACTC_CONV_BACKWARD_DATA ? v->ic : v->oc};
}

/* Adds the products of an output pixel and a tap: y, x and w are the first elements of each. */
static void sum_tap(const actc_conv *v, const float *a, const float *b, size_t y, size_t x, size_t w, product_sums *s)
{
    const size_t own = v->ic / v->groups, length = (size_t)v->kd * v->kh * v->kw * own; /* own: channels of an output */
    for (size_t o = 0; o < v->oc; o++)
        for (size_t j = 0; j < own; j++) {
            size_t at = w + o * length + j, i = own > 1 ? j : o / (v->oc / v->groups);
            if (v->pass == ACTC_CONV_FORWARD)
                add_product(s, y + o, a[x + i], b[at]);
            else if (v->pass == ACTC_CONV_BACKWARD_DATA)
                add_product(s, x + i, a[y + o], b[at]);
            else
                add_product(s, at, a[x + i], b[y + o]);
        }
}

/* Every pair of an output pixel and a tap inside of the image; x, w and y are what the pass reads or sums. */
static uint64_t sum_conv(const actc_conv *v, const float *a, const float *b, product_sums *s)
{
    const size_t pixels = (size_t)v->batch * v->od * v->oh * v->ow, taps = (size_t)v->kd * v->kh * v->kw;
    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (size_t tap = 0; tap < taps; tap++) {
            size_t ox = pixel % v->ow, oy = pixel / v->ow % v->oh, oz = pixel / v->ow / v->oh % v->od;
            size_t kx = tap % v->kw, ky = tap / v->kw % v->kh, kz = tap / v->kw / v->kh;
            long iz = (long)(oz * v->sd + kz * v->dd) - (long)v->pd, iy = (long)(oy * v->sh + ky * v->dh) - (long)v->ph,
                 ix = (long)(ox * v->sw + kx * v->dw) - (long)v->pw;
            if (iz < 0 || iy < 0 || ix < 0 || iz >= (long)v->id || iy >= (long)v->ih || ix >= (long)v->iw)
                continue;
            size_t n = pixel / v->ow / v->oh / v->od;
            size_t x = (((n * v->id + (size_t)iz) * v->ih + (size_t)iy) * v->iw + (size_t)ix) * v->ic;
            sum_tap(v, a, b, pixel * v->oc, x, tap * (v->ic / v->groups), s);
        }
    return v->pass == ACTC_CONV_FORWARD         ? taps * (v->ic / v->groups)
           : v->pass == ACTC_CONV_BACKWARD_DATA ? taps * (v->oc / v->groups)
                                                : pixels;
}

/* Of a sum of k products, a bias and the old value, in any order, fused or not: at most k + 3 roundings touch a term, so the
 * error is at most gamma(k + 3) times the sum of the magnitudes (Higham, Accuracy and Stability, 3.1). A factor below 2^-50
 * may be read as zero, and so may the bias, the old value and the result below 2^-60. */
product_sums *product_sums_make(const kernel_spec *spec, void *const *data)
{
    const actc_command *command = &spec->command;
    product_sums *s = calloc(1, sizeof *s);
    size_t n = (size_t)command->views[3].bytes / 4;
    bool add;
    if (!s)
        return NULL;
    *s = (product_sums){n, calloc(n, sizeof(double)), calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    if (!s->wanted || !s->bound || !s->dropped) {
        product_sums_free(s);
        return NULL;
    }
    uint64_t k;
    if (command->type == ACTC_COMMAND_GEMM) {
        k = sum_gemm(&command->u.gemm, data[0], data[1], data[2], s);
        add = command->u.gemm.add;
    } else {
        const actc_conv *conv = &command->u.conv;
        size_t columns = product_conv_sizes_of(conv).bias;
        k = sum_conv(conv, data[0], data[1], s);
        add = conv->add;
        for (size_t o = 0; conv->bias && o < n; o++)
            add_term(s, o, ((float *)data[2])[o % columns]);
    }
    double rounded = (double)(k + 3) * 0x1p-24, gamma = rounded / (1 - rounded);
    for (size_t o = 0; o < n; o++) {
        if (add)
            add_term(s, o, ((float *)data[3])[o]);
        s->bound[o] = gamma * s->bound[o] + s->dropped[o] + 3 * 0x1p-60;
    }
    return s;
}
