/* vk_selftest.h: the expressions of the self-test, evaluated by the shader and by the host. */
#ifndef ACTC_VK_SELFTEST_H
#define ACTC_VK_SELFTEST_H

#define VK_SELFTEST_RESULTS 12u

/* a, b, c: floats, their bits a_bits, ...; VK_SELFTEST_RESULT(k, bits) takes result k.
 * 0-2 rounding; 3-5 contraction of a product with a sum, in each place; 6 reassociation; 7-8 signed zeros, which
 * kernels store as +0 and never tell apart (a driver without SignedZeroInfNanPreserve may turn x + 0 into x); 9 NaN and
 * infinities compared; 10 sums of the smallest kind that kernels meet; 11 a whole function. */
#define VK_SELFTEST_ALL                                                                                           \
    VK_SELFTEST_RESULT(0u, actc_canon_bits(ACTC_ADD(a, b)))                                                       \
    VK_SELFTEST_RESULT(1u, actc_canon_bits(ACTC_SUB(a, b)))                                                       \
    VK_SELFTEST_RESULT(2u, actc_canon_bits(ACTC_MUL(a, b)))                                                       \
    VK_SELFTEST_RESULT(3u, actc_canon_bits(ACTC_ADD(ACTC_MUL(a, b), c)))                                          \
    VK_SELFTEST_RESULT(4u, actc_canon_bits(ACTC_SUB(c, ACTC_MUL(a, b))))                                          \
    VK_SELFTEST_RESULT(5u, actc_canon_bits(ACTC_SUB(ACTC_MUL(a, b), ACTC_MUL(b, c))))                             \
    VK_SELFTEST_RESULT(6u, actc_canon_bits(ACTC_SUB(ACTC_ADD(a, b), a)))                                          \
    VK_SELFTEST_RESULT(7u, actc_canon_bits(ACTC_ADD(ACTC_MUL(ACTC_BITS_F32(a_bits & 0x80000000u), b), 0.0f)))     \
    VK_SELFTEST_RESULT(8u, actc_relu_bits(ACTC_F32_BITS(ACTC_SUB(ACTC_MUL(a, b), ACTC_MUL(b, a)))))               \
    VK_SELFTEST_RESULT(9u, (a < b ? 1u : 0u) | (a != a ? 2u : 0u) | (actc_beats(a, b) ? 4u : 0u) |                \
                               (a >= c ? 8u : 0u) | (ACTC_SUB(a, a) == 0.0f ? 16u : 0u))                          \
    VK_SELFTEST_RESULT(10u, actc_canon_bits(ACTC_ADD(ACTC_MUL(actc_factor(a), actc_factor(b)), actc_flush(c))))   \
    VK_SELFTEST_RESULT(11u, actc_canon_bits(actc_exp(actc_flush(c))))

#endif
