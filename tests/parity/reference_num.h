/* reference_num.h: arithmetic of the float64 references: numbers with the errors of their float32 counterparts. */
#ifndef ACTC_PARITY_REFERENCE_NUM_H
#define ACTC_PARITY_REFERENCE_NUM_H

#include <math.h>

#include "reference.h"

/* A number with the error of its float32 counterpart. Operations add the error of rounding, and of reading as zero. */
typedef struct num {
    double v, e;
} num;

static inline num get(const reference_view *view, size_t i)
{
    return (num){view->value[i], view->error[i]};
}

static inline num rounded(double v, double e)
{
    return (num){v, e + REFERENCE_UNIT * (fabs(v) + e)};
}

static inline num add(num a, num b)
{
    return rounded(a.v + b.v, a.e + b.e);
}

static inline num sub(num a, num b)
{
    return rounded(a.v - b.v, a.e + b.e);
}

static inline num mul(num a, num b)
{
    num r = rounded(a.v * b.v, fabs(a.v) * b.e + fabs(b.v) * a.e + a.e * b.e);
    r.e += REFERENCE_TINY;
    return r;
}

static inline void put(reference_view *view, size_t i, num x)
{
    reference_store(view, i, x.v, x.e, 0, 0);
}

/* Sums whatever their order: each of `additions` one after the other rounds at most the sum of magnitudes. */
typedef struct total {
    double v, e, magnitude;
} total;

static inline void take(total *t, num x)
{
    t->v += x.v;
    t->e += x.e;
    t->magnitude += fabs(x.v) + x.e;
}

static inline num sum_of(const total *t, double additions)
{
    return (num){t->v, t->e + additions * REFERENCE_UNIT * t->magnitude * (1 + additions * REFERENCE_UNIT)};
}

/* Within 2 ulp; below -41 it may be 0. */
static inline num exponential(num x)
{
    double v = exp(x.v), off = exp(x.v + x.e) - v;
    return (num){v, off + 5 * REFERENCE_UNIT * (v + off) + (x.v < -40 ? exp(-41) + v : 0)};
}

#endif
