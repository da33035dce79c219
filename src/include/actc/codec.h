/* actc/codec.h: compressing a plain buffer, and codecs of one's own.
 *
 * Mathematics: Vu, Garpebring, Nyholm, Lofstedt, "Compressing the Activation Maps in Deep Neural Networks and
 * Its Regularizing Effect", TMLR 2024. The payload's layout is documented in src/codec/README.md. For the same
 * tensor and key, payload and restored tensor have the same bytes on every backend.
 *
 * Spec: NAME[:key=value[,key=value...]]
 *   none                      dense, as is
 *   random                    stores nothing; restores U[0,1)
 *   threshold                 keeps the largest |x|
 *   dct       block=16|8|row (16), norm=ortho|none (ortho; none only with block=row)
 *   wavelet   wave=NAME (db3), levels=1..16 (3), mode=periodic|symmetric (periodic)
 *   quant     every element in bits=8|4|2|1 (8), groups of 256 with a power-of-two step, rounded at random so that the
 *             expectation is the tensor; mode=minmax|symmetric (minmax: an offset a group; symmetric: around 0)
 * and for threshold, dct, wavelet:
 *   lambda=L (L >= 1; 1 keeps every coefficient) or ratio=r (0 <= r <= 1), default lambda=10;
 *   select=global|tile|random (global), band for wavelet: random draws what is kept, with a probability proportional
 *   to its magnitude, and scales it so that the expectation is the tensor; at least one of each 256 coefficients is kept;
 *   values=f32|f16|bf16|int8|int4 (f32);
 * and for all: relu=mask|value (mask), bn=normalised|input (normalised:
 *   batch norm keeps its normalised input, where nothing else reads that tensor).
 *
 * In a network's rules and scopes also:
 *   recompute segments=N (1)  keeps nothing of the operators, which are computed again before the backward pass needs what they
 *                             save, from the tensors at their border, kept as they are: the same bits. Operators that follow one
 *                             another are one segment, or are cut into N of about the same bytes, the last of which is kept as it
 *                             is (PyTorch's checkpoint_sequential). Running statistics move once, dropout draws the same.
 *   derivative bits=2|4|8 (4)  gelu, silu, sigmoid and tanh keep their derivative in so many bits (actc/network.h).
 */
#ifndef ACTC_CODEC_H
#define ACTC_CODEC_H

#include <actc/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct actc_codec actc_codec; /* a codec bound to a shape and a device */

/* shape: logical, 0..ACTC_MAX_DIMS dimensions, at most 2^31 - 1 elements; all dimensions must be >= 1. */
ACTC_API actc_status actc_codec_create(actc_device *device, const char *spec, const actc_shape *shape,
                                       actc_codec **out);
ACTC_API void actc_codec_destroy(actc_codec **codec);

typedef struct actc_codec_info {
    size_t size;
    const char *spec;        /* canonical: lambda or ratio, then every key that differs from its default, in a fixed order */
    const char *note;        /* e.g. "levels: 3 asked, 1 possible at 7x7", or "" */
    uint64_t elements;       /* n */
    uint64_t coefficients;   /* m */
    uint64_t kept;           /* k, the most coefficients kept; with quant all elements are */
    uint64_t dense_bytes;
    uint64_t payload_bytes;  /* exact; the buffer that holds it must be this long */
    const char *index_form;  /* "mask", "u8", "u16", or "" where nothing is indexed */
    bool smaller;            /* payload_bytes < dense_bytes; where false a network keeps the tensor dense */
} actc_codec_info;
/* info->size must be set by the caller. */
ACTC_API actc_status actc_codec_info_get(const actc_codec *codec, actc_codec_info *info);

/* What random numbers are drawn with (codecs random and quant, select=random and values=int8 and int4). tensor: a number of the caller's, in
 * networks the hash of the path. */
typedef struct actc_codec_key {
    uint64_t seed;
    uint64_t step;
    uint32_t tensor;
} actc_codec_key;

/* x: the tensor in physical order (channels-last for 4-D and 5-D), host memory. payload: payload_bytes bytes,
 * host memory. key may be NULL (all zero). */
ACTC_API actc_status actc_codec_pack(actc_codec *codec, const float *x, const actc_codec_key *key, void *payload);
ACTC_API actc_status actc_codec_unpack(actc_codec *codec, const void *payload, const actc_codec_key *key, float *x);

/* Runs pack (or unpack) `repeat` times on the device over a rotation of `buffers` copies of the last tensor
 * packed, and returns the seconds of one run; with ACTC_CODEC_COPY the device's own copy of the tensor. For
 * benchmarks: buffers large enough to leave the caches show what a training step sees. */
typedef enum actc_codec_work { ACTC_CODEC_PACK = 0, ACTC_CODEC_UNPACK = 1, ACTC_CODEC_COPY = 2 } actc_codec_work;
ACTC_API actc_status actc_codec_benchmark(actc_codec *codec, actc_codec_work work, int buffers, int repeat,
                                          double *seconds);

/* A codec of the user's. Its functions get host pointers and run between two submissions of a step, so they
 * work on every backend. They must return 0, anything else fails the step. */
typedef struct actc_user_codec {
    size_t size;
    /* Bytes of the payload for this shape; must not depend on anything else. */
    uint64_t (*payload_bytes)(void *user, const actc_shape *shape);
    int (*pack)(void *user, const actc_shape *shape, const float *x, const actc_codec_key *key, void *payload);
    int (*unpack)(void *user, const actc_shape *shape, const void *payload, const actc_codec_key *key, float *x);
    void *user;
} actc_user_codec;
/* codec->size must be set by the caller. name: letters, digits, '-' and '_'; must not be taken. Specs of such a codec
 * have no keys but relu= and bn=. The struct is copied; user must outlive the context. */
ACTC_API actc_status actc_codec_register(actc_context *context, const char *name, const actc_user_codec *codec);

#ifdef __cplusplus
}
#endif
#endif
