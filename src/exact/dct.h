/* dct.h: the orthonormal DCT-II of 16 and 8 points and its inverse, as straight-line programs for C, GLSL and CUDA.
 *
 * X_u = s_u sum_j x_j cos(pi u (2j + 1) / 2l), s_0 = sqrt(1/l), else sqrt(2/l). Both fold the input in halves, sums and
 * differences, until one is left; the odd outputs of each fold are sums of products of its differences, added in
 * ascending order. A path from input to output has one multiplication only: with inputs that are 0 or at least 2^-60
 * every intermediate is a multiple of 2^-112, so that none is subnormal. A constant input gives exact zeros beside X_0.
 * Other lengths are folded in the same manner with their matrix (codec_plan.h: constants).
 *
 * The macros work in place on an array x of T; ACTC_ADD, ACTC_SUB and ACTC_MUL come from exact.h.
 */
#ifndef ACTC_DCT_H
#define ACTC_DCT_H

/* sqrt(2/16) cos(pi u / 32); u = 0: sqrt(1/16) */
#define ACTC_C16_0 0.25f
#define ACTC_C16_1 0.351850927f
#define ACTC_C16_2 0.346759975f
#define ACTC_C16_3 0.338329494f
#define ACTC_C16_4 0.326640755f
#define ACTC_C16_5 0.311806262f
#define ACTC_C16_6 0.293968886f
#define ACTC_C16_7 0.273300469f
#define ACTC_C16_8 0.25f
#define ACTC_C16_9 0.224291891f
#define ACTC_C16_10 0.196423739f
#define ACTC_C16_11 0.166663915f
#define ACTC_C16_12 0.135299027f
#define ACTC_C16_13 0.102631129f
#define ACTC_C16_14 0.0689748451f
#define ACTC_C16_15 0.0346542932f

/* sqrt(2/8) cos(pi u / 16); u = 0: sqrt(1/8) */
#define ACTC_C8_0 0.353553385f
#define ACTC_C8_1 0.490392625f
#define ACTC_C8_2 0.461939752f
#define ACTC_C8_3 0.415734798f
#define ACTC_C8_4 0.353553385f
#define ACTC_C8_5 0.277785122f
#define ACTC_C8_6 0.191341713f
#define ACTC_C8_7 0.0975451618f

#define ACTC_DOT2(a0, a1, c0, c1) ACTC_ADD(ACTC_MUL(a0, c0), ACTC_MUL(a1, c1))
#define ACTC_DOT4(a0, a1, a2, a3, c0, c1, c2, c3) \
    ACTC_ADD(ACTC_ADD(ACTC_DOT2(a0, a1, c0, c1), ACTC_MUL(a2, c2)), ACTC_MUL(a3, c3))
#define ACTC_DOT8(a0, a1, a2, a3, a4, a5, a6, a7, c0, c1, c2, c3, c4, c5, c6, c7) \
    ACTC_ADD(ACTC_ADD(ACTC_ADD(ACTC_ADD(ACTC_DOT4(a0, a1, a2, a3, c0, c1, c2, c3), ACTC_MUL(a4, c4)), \
                               ACTC_MUL(a5, c5)), ACTC_MUL(a6, c6)), ACTC_MUL(a7, c7))

#define ACTC_DCT16(T, x) \
    { \
        T s0 = ACTC_ADD(x[0], x[15]), s1 = ACTC_ADD(x[1], x[14]), s2 = ACTC_ADD(x[2], x[13]); \
        T s3 = ACTC_ADD(x[3], x[12]), s4 = ACTC_ADD(x[4], x[11]), s5 = ACTC_ADD(x[5], x[10]); \
        T s6 = ACTC_ADD(x[6], x[9]), s7 = ACTC_ADD(x[7], x[8]); \
        T d0 = ACTC_SUB(x[0], x[15]), d1 = ACTC_SUB(x[1], x[14]), d2 = ACTC_SUB(x[2], x[13]); \
        T d3 = ACTC_SUB(x[3], x[12]), d4 = ACTC_SUB(x[4], x[11]), d5 = ACTC_SUB(x[5], x[10]); \
        T d6 = ACTC_SUB(x[6], x[9]), d7 = ACTC_SUB(x[7], x[8]); \
        x[1] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_1, ACTC_C16_3, ACTC_C16_5, ACTC_C16_7, \
                  ACTC_C16_9, ACTC_C16_11, ACTC_C16_13, ACTC_C16_15); \
        x[3] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_3, ACTC_C16_9, ACTC_C16_15, -ACTC_C16_11, \
                  -ACTC_C16_5, -ACTC_C16_1, -ACTC_C16_7, -ACTC_C16_13); \
        x[5] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_5, ACTC_C16_15, -ACTC_C16_7, -ACTC_C16_3, \
                  -ACTC_C16_13, ACTC_C16_9, ACTC_C16_1, ACTC_C16_11); \
        x[7] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_7, -ACTC_C16_11, -ACTC_C16_3, ACTC_C16_15, \
                  ACTC_C16_1, ACTC_C16_13, -ACTC_C16_5, -ACTC_C16_9); \
        x[9] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_9, -ACTC_C16_5, -ACTC_C16_13, ACTC_C16_1, \
                  -ACTC_C16_15, -ACTC_C16_3, ACTC_C16_11, ACTC_C16_7); \
        x[11] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_11, -ACTC_C16_1, ACTC_C16_9, ACTC_C16_13, \
                  -ACTC_C16_3, ACTC_C16_7, ACTC_C16_15, -ACTC_C16_5); \
        x[13] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_13, -ACTC_C16_7, ACTC_C16_1, -ACTC_C16_5, \
                  ACTC_C16_11, ACTC_C16_15, -ACTC_C16_9, ACTC_C16_3); \
        x[15] = ACTC_DOT8(d0, d1, d2, d3, d4, d5, d6, d7, ACTC_C16_15, -ACTC_C16_13, ACTC_C16_11, -ACTC_C16_9, \
                  ACTC_C16_7, -ACTC_C16_5, ACTC_C16_3, -ACTC_C16_1); \
        T t0 = ACTC_ADD(s0, s7), t1 = ACTC_ADD(s1, s6), t2 = ACTC_ADD(s2, s5), t3 = ACTC_ADD(s3, s4); \
        T e0 = ACTC_SUB(s0, s7), e1 = ACTC_SUB(s1, s6), e2 = ACTC_SUB(s2, s5), e3 = ACTC_SUB(s3, s4); \
        x[2] = ACTC_DOT4(e0, e1, e2, e3, ACTC_C16_2, ACTC_C16_6, ACTC_C16_10, ACTC_C16_14); \
        x[6] = ACTC_DOT4(e0, e1, e2, e3, ACTC_C16_6, -ACTC_C16_14, -ACTC_C16_2, -ACTC_C16_10); \
        x[10] = ACTC_DOT4(e0, e1, e2, e3, ACTC_C16_10, -ACTC_C16_2, ACTC_C16_14, ACTC_C16_6); \
        x[14] = ACTC_DOT4(e0, e1, e2, e3, ACTC_C16_14, -ACTC_C16_10, ACTC_C16_6, -ACTC_C16_2); \
        T p0 = ACTC_ADD(t0, t3), p1 = ACTC_ADD(t1, t2); \
        T f0 = ACTC_SUB(t0, t3), f1 = ACTC_SUB(t1, t2); \
        x[4] = ACTC_DOT2(f0, f1, ACTC_C16_4, ACTC_C16_12); \
        x[12] = ACTC_DOT2(f0, f1, ACTC_C16_12, -ACTC_C16_4); \
        T q0 = ACTC_ADD(p0, p1); \
        T g0 = ACTC_SUB(p0, p1); \
        x[8] = ACTC_MUL(g0, ACTC_C16_8); \
        x[0] = ACTC_MUL(q0, ACTC_C16_0); \
    }

#define ACTC_IDCT16(T, x) \
    { \
        T a0 = ACTC_MUL(x[0], ACTC_C16_0); \
        T e0 = ACTC_MUL(x[8], ACTC_C16_8); \
        T b0 = ACTC_ADD(a0, e0), b1 = ACTC_SUB(a0, e0); \
        T f0 = ACTC_DOT2(x[4], x[12], ACTC_C16_4, ACTC_C16_12); \
        T f1 = ACTC_DOT2(x[4], x[12], ACTC_C16_12, -ACTC_C16_4); \
        T c0 = ACTC_ADD(b0, f0), c1 = ACTC_ADD(b1, f1), c2 = ACTC_SUB(b1, f1), c3 = ACTC_SUB(b0, f0); \
        T g0 = ACTC_DOT4(x[2], x[6], x[10], x[14], ACTC_C16_2, ACTC_C16_6, ACTC_C16_10, ACTC_C16_14); \
        T g1 = ACTC_DOT4(x[2], x[6], x[10], x[14], ACTC_C16_6, -ACTC_C16_14, -ACTC_C16_2, -ACTC_C16_10); \
        T g2 = ACTC_DOT4(x[2], x[6], x[10], x[14], ACTC_C16_10, -ACTC_C16_2, ACTC_C16_14, ACTC_C16_6); \
        T g3 = ACTC_DOT4(x[2], x[6], x[10], x[14], ACTC_C16_14, -ACTC_C16_10, ACTC_C16_6, -ACTC_C16_2); \
        T d0 = ACTC_ADD(c0, g0), d1 = ACTC_ADD(c1, g1), d2 = ACTC_ADD(c2, g2), d3 = ACTC_ADD(c3, g3); \
        T d4 = ACTC_SUB(c3, g3), d5 = ACTC_SUB(c2, g2), d6 = ACTC_SUB(c1, g1), d7 = ACTC_SUB(c0, g0); \
        T h0 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_1, ACTC_C16_3, ACTC_C16_5, \
                  ACTC_C16_7, ACTC_C16_9, ACTC_C16_11, ACTC_C16_13, ACTC_C16_15); \
        T h1 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_3, ACTC_C16_9, ACTC_C16_15, \
                  -ACTC_C16_11, -ACTC_C16_5, -ACTC_C16_1, -ACTC_C16_7, -ACTC_C16_13); \
        T h2 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_5, ACTC_C16_15, -ACTC_C16_7, \
                  -ACTC_C16_3, -ACTC_C16_13, ACTC_C16_9, ACTC_C16_1, ACTC_C16_11); \
        T h3 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_7, -ACTC_C16_11, \
                  -ACTC_C16_3, ACTC_C16_15, ACTC_C16_1, ACTC_C16_13, -ACTC_C16_5, -ACTC_C16_9); \
        T h4 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_9, -ACTC_C16_5, \
                  -ACTC_C16_13, ACTC_C16_1, -ACTC_C16_15, -ACTC_C16_3, ACTC_C16_11, ACTC_C16_7); \
        T h5 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_11, -ACTC_C16_1, ACTC_C16_9, \
                  ACTC_C16_13, -ACTC_C16_3, ACTC_C16_7, ACTC_C16_15, -ACTC_C16_5); \
        T h6 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_13, -ACTC_C16_7, ACTC_C16_1, \
                  -ACTC_C16_5, ACTC_C16_11, ACTC_C16_15, -ACTC_C16_9, ACTC_C16_3); \
        T h7 = ACTC_DOT8(x[1], x[3], x[5], x[7], x[9], x[11], x[13], x[15], ACTC_C16_15, -ACTC_C16_13, \
                  ACTC_C16_11, -ACTC_C16_9, ACTC_C16_7, -ACTC_C16_5, ACTC_C16_3, -ACTC_C16_1); \
        x[0] = ACTC_ADD(d0, h0); \
        x[1] = ACTC_ADD(d1, h1); \
        x[2] = ACTC_ADD(d2, h2); \
        x[3] = ACTC_ADD(d3, h3); \
        x[4] = ACTC_ADD(d4, h4); \
        x[5] = ACTC_ADD(d5, h5); \
        x[6] = ACTC_ADD(d6, h6); \
        x[7] = ACTC_ADD(d7, h7); \
        x[8] = ACTC_SUB(d7, h7); \
        x[9] = ACTC_SUB(d6, h6); \
        x[10] = ACTC_SUB(d5, h5); \
        x[11] = ACTC_SUB(d4, h4); \
        x[12] = ACTC_SUB(d3, h3); \
        x[13] = ACTC_SUB(d2, h2); \
        x[14] = ACTC_SUB(d1, h1); \
        x[15] = ACTC_SUB(d0, h0); \
    }

#define ACTC_DCT8(T, x) \
    { \
        T s0 = ACTC_ADD(x[0], x[7]), s1 = ACTC_ADD(x[1], x[6]), s2 = ACTC_ADD(x[2], x[5]); \
        T s3 = ACTC_ADD(x[3], x[4]); \
        T d0 = ACTC_SUB(x[0], x[7]), d1 = ACTC_SUB(x[1], x[6]), d2 = ACTC_SUB(x[2], x[5]); \
        T d3 = ACTC_SUB(x[3], x[4]); \
        x[1] = ACTC_DOT4(d0, d1, d2, d3, ACTC_C8_1, ACTC_C8_3, ACTC_C8_5, ACTC_C8_7); \
        x[3] = ACTC_DOT4(d0, d1, d2, d3, ACTC_C8_3, -ACTC_C8_7, -ACTC_C8_1, -ACTC_C8_5); \
        x[5] = ACTC_DOT4(d0, d1, d2, d3, ACTC_C8_5, -ACTC_C8_1, ACTC_C8_7, ACTC_C8_3); \
        x[7] = ACTC_DOT4(d0, d1, d2, d3, ACTC_C8_7, -ACTC_C8_5, ACTC_C8_3, -ACTC_C8_1); \
        T t0 = ACTC_ADD(s0, s3), t1 = ACTC_ADD(s1, s2); \
        T e0 = ACTC_SUB(s0, s3), e1 = ACTC_SUB(s1, s2); \
        x[2] = ACTC_DOT2(e0, e1, ACTC_C8_2, ACTC_C8_6); \
        x[6] = ACTC_DOT2(e0, e1, ACTC_C8_6, -ACTC_C8_2); \
        T p0 = ACTC_ADD(t0, t1); \
        T f0 = ACTC_SUB(t0, t1); \
        x[4] = ACTC_MUL(f0, ACTC_C8_4); \
        x[0] = ACTC_MUL(p0, ACTC_C8_0); \
    }

#define ACTC_IDCT8(T, x) \
    { \
        T a0 = ACTC_MUL(x[0], ACTC_C8_0); \
        T e0 = ACTC_MUL(x[4], ACTC_C8_4); \
        T b0 = ACTC_ADD(a0, e0), b1 = ACTC_SUB(a0, e0); \
        T f0 = ACTC_DOT2(x[2], x[6], ACTC_C8_2, ACTC_C8_6); \
        T f1 = ACTC_DOT2(x[2], x[6], ACTC_C8_6, -ACTC_C8_2); \
        T c0 = ACTC_ADD(b0, f0), c1 = ACTC_ADD(b1, f1), c2 = ACTC_SUB(b1, f1), c3 = ACTC_SUB(b0, f0); \
        T g0 = ACTC_DOT4(x[1], x[3], x[5], x[7], ACTC_C8_1, ACTC_C8_3, ACTC_C8_5, ACTC_C8_7); \
        T g1 = ACTC_DOT4(x[1], x[3], x[5], x[7], ACTC_C8_3, -ACTC_C8_7, -ACTC_C8_1, -ACTC_C8_5); \
        T g2 = ACTC_DOT4(x[1], x[3], x[5], x[7], ACTC_C8_5, -ACTC_C8_1, ACTC_C8_7, ACTC_C8_3); \
        T g3 = ACTC_DOT4(x[1], x[3], x[5], x[7], ACTC_C8_7, -ACTC_C8_5, ACTC_C8_3, -ACTC_C8_1); \
        x[0] = ACTC_ADD(c0, g0); \
        x[1] = ACTC_ADD(c1, g1); \
        x[2] = ACTC_ADD(c2, g2); \
        x[3] = ACTC_ADD(c3, g3); \
        x[4] = ACTC_SUB(c3, g3); \
        x[5] = ACTC_SUB(c2, g2); \
        x[6] = ACTC_SUB(c1, g1); \
        x[7] = ACTC_SUB(c0, g0); \
    }

#endif
