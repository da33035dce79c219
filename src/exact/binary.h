/* binary.h: functions of two numbers; the rules of exact.h hold. */
#ifndef ACTC_EXACT_BINARY_H
#define ACTC_EXACT_BINARY_H

#include "exact.h"

#define ACTC_BINARY_ADD 0u  /* a + b */
#define ACTC_BINARY_SUB 1u  /* a - b */
#define ACTC_BINARY_MUL 2u  /* a * b */
#define ACTC_BINARY_AXPY 3u /* a + alpha * b */
#define ACTC_BINARY_OPS 4u

ACTC_FN float actc_binary(uint op, float a, float b, float alpha)
{
    if (op == ACTC_BINARY_ADD)
        return ACTC_ADD(a, b);
    if (op == ACTC_BINARY_SUB)
        return ACTC_SUB(a, b);
    if (op == ACTC_BINARY_MUL)
        return ACTC_MUL(a, b);
    return ACTC_ADD(a, actc_flush(ACTC_MUL(actc_flush(alpha), b)));
}

#endif
