/* codec_cases.c: codecs through the public interface: payload bytes and X^lambda. */
#include <stdio.h>
#include <stdlib.h>

#include <actc/codec.h>

#include "../../src/codec/wavelets.h"
#include "codec_tables.h"
#include "parity.h"

typedef struct codec_case {
    char spec[128];
    shape_case shape;
    content fill;
} codec_case;

static bool open_codec(const codec_case *spec, parity_run *run, actc_codec **codec, actc_codec_info *info)
{
    actc_shape shape = {.ndim = spec->shape.ndim};
    memcpy(shape.dims, spec->shape.d, sizeof shape.dims);
    actc_status status = actc_codec_create(run->device, spec->spec, &shape, codec);
    if (status == ACTC_ERROR_UNSUPPORTED)
        return parity_skip(run, "not supported: %s", actc_error_message(run->context));
    if (status != ACTC_OK || actc_codec_info_get(*codec, info) != ACTC_OK)
        return parity_fail(run, "%s", actc_error_message(run->context));
    return true;
}

/* Guards behind what is written from outside of the library. */
#define GUARD 64

static bool guard_holds(const unsigned char *end)
{
    for (int i = 0; i < GUARD; i++)
        if (end[i] != 0xa5)
            return false;
    return true;
}

static bool run_codec(const parity_case *c, parity_run *run)
{
    const codec_case *spec = c->data;
    actc_codec *codec = NULL;
    actc_codec_info info = {.size = sizeof info};
    const actc_codec_key key = {run->seed, run->seed >> 32, 99};
    bool good = open_codec(spec, run, &codec, &info);
    size_t dense = good ? (size_t)info.dense_bytes : 0, packed = good ? (size_t)info.payload_bytes : 0;
    float *x = malloc(dense + GUARD), *restored = malloc(dense + GUARD);
    unsigned char *payload = malloc(packed + GUARD);
    if (good && (!x || !restored || !payload))
        good = parity_fail(run, "out of memory");
    if (good) {
        codec_content_fill(spec->fill, x, info.elements, run->seed);
        memset(payload, 0xa5, packed + GUARD);
        memset(restored, 0xa5, dense + GUARD);
        good = (actc_codec_pack(codec, x, &key, payload) == ACTC_OK &&
                actc_codec_unpack(codec, payload, &key, restored) == ACTC_OK) ||
               parity_fail(run, "%s", actc_error_message(run->context));
    }
    if (good && (!guard_holds(payload + packed) || !guard_holds((unsigned char *)restored + dense)))
        good = parity_fail(run, "something was written behind the payload or the restored tensor");
    if (good) {
        parity_exact(run, "payload", payload, packed);
        parity_exact(run, "X^lambda", restored, dense);
    }
    free(x);
    free(restored);
    free(payload);
    actc_codec_destroy(&codec);
    return good;
}

/* Packing and unpacking together; the dense tensor and the payload are read and written once each. */
static bool bench_codec(const parity_case *c, parity_run *run, parity_speed *speed)
{
    const codec_case *spec = c->data;
    actc_codec *codec = NULL;
    actc_codec_info info = {.size = sizeof info};
    const actc_codec_key key = {run->seed, 0, 99};
    double pack = 0, unpack = 0;
    bool good = open_codec(spec, run, &codec, &info);
    float *x = malloc(good ? (size_t)info.dense_bytes : 1);
    unsigned char *payload = malloc(good ? (size_t)info.payload_bytes + 1 : 1);
    if (good && (!x || !payload))
        good = parity_fail(run, "out of memory");
    if (good) {
        codec_content_fill(spec->fill, x, info.elements, run->seed);
        good = (actc_codec_pack(codec, x, &key, payload) == ACTC_OK &&
                actc_codec_benchmark(codec, ACTC_CODEC_PACK, 2, 8, &pack) == ACTC_OK &&
                actc_codec_benchmark(codec, ACTC_CODEC_UNPACK, 2, 8, &unpack) == ACTC_OK) ||
               parity_fail(run, "%s", actc_error_message(run->context));
        speed->seconds = pack + unpack;
        speed->bytes = 2.0 * (double)(info.dense_bytes + info.payload_bytes);
    }
    free(x);
    free(payload);
    actc_codec_destroy(&codec);
    return good;
}

/* ---- the cases ---- */

static void add(parity_list *list, bool full, const char *spec, const shape_case *shape, content fill)
{
    codec_case data = {.shape = *shape, .fill = fill};
    char text[80];
    if (codec_row_too_long(spec, shape))
        return;
    snprintf(data.spec, sizeof data.spec, "%s", spec);
    parity_case *c =
        parity_add(list, PARITY_CODEC, ACTC_PARITY_EXACT, run_codec, &data, sizeof data, "codec(%s,shape=%s,fill=%s)", spec,
                   codec_shape_text(shape, text, sizeof text), codec_content_name(fill));
    c->bench = bench_codec;
    c->full = full;
}

/* Every option with every shape; the smoke suite takes every option with two shapes, and so every shape with some option. */
static void options_and_shapes(parity_list *list)
{
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < CODEC_SHAPES; s++) {
            bool smoke = s == o % CODEC_SHAPES || s == (7 * o + 23) % CODEC_SHAPES;
            add(list, !smoke, codec_specs[o], &codec_shapes[s], (content)((o + s) % CONTENTS));
        }
}

/* Every wavelet: maps smaller than the filter, odd ones, three dimensions; the smoke suite takes some of them. */
static void wavelets(parity_list *list)
{
    static const shape_case shapes[] = {{4, {2, 5, 13, 11}}, {4, {1, 3, 72, 70}}, {2, {37, 130}}, {5, {1, 2, 3, 17, 19}}};
    for (int w = 0; w < actc_wavelet_count; w++)
        for (int s = 0; s < 4; s++) {
            char spec[64];
            snprintf(spec, sizeof spec, "wavelet:wave=%s,mode=%s", actc_wavelets[w].name,
                     (w + s) % 2 ? "symmetric" : "periodic");
            add(list, !(w % 8 == 3 && s == w / 8 % 4), spec, &shapes[s], s % 2 ? NORMAL : RELU);
        }
}

static const char *pick(test_rng *r, const char *const *texts, uint32_t count)
{
    return texts[rng_next(r) % count];
}

/* Options together as nobody would write them down. They are the same for every --seed, which is that of the data. */
static void combinations(parity_list *list)
{
    static const char *const lambdas[] = {"1", "1.01", "1.7", "3", "8", "10", "33.3", "100", "250", "1000"};
    static const char *const values[] = {"f32", "f16", "bf16", "int8"};
    static const char *const selects[] = {"global", "tile", "band"};
    static const char *const blocks[] = {"16", "8", "row"};
    test_rng r = {20260101};
    for (int i = 0; i < 240; i++) {
        char spec[128];
        uint32_t kind = rng_next(&r) % 3;
        const char *select = pick(&r, selects, kind == 2 ? 3 : 2), *value = pick(&r, values, 4),
                   *lambda = pick(&r, lambdas, 10);
        int used = snprintf(spec, sizeof spec, "%s:lambda=%s,select=%s,values=%s",
                            kind == 0   ? "threshold"
                            : kind == 1 ? "dct"
                                        : "wavelet",
                            lambda, select, value);
        if (kind == 1)
            snprintf(spec + used, sizeof spec - (size_t)used, ",block=%s", pick(&r, blocks, 3));
        if (kind == 2)
            snprintf(spec + used, sizeof spec - (size_t)used, ",wave=%s,levels=%u,mode=%s",
                     actc_wavelets[rng_next(&r) % (uint32_t)actc_wavelet_count].name, 1 + rng_next(&r) % 5,
                     rng_next(&r) % 2 ? "symmetric" : "periodic");
        shape_case shape = {1 + (int)(rng_next(&r) % 5), {1, 1, 1, 1, 1}};
        for (int d = 0; d < shape.ndim; d++) {
            static const int most[] = {3000, 90, 30, 14, 7};
            shape.d[d] = 1 + (int64_t)(rng_next(&r) % (uint32_t)most[shape.ndim - 1]);
        }
        add(list, i % 8 != 0, spec, &shape, (content)(rng_next(&r) % CONTENTS));
    }
}

/* Over 128 MiB: more than one view of a device can hold, and more segments than a workgroup has invocations. */
static void large(parity_list *list)
{
    static const char *const specs[] = {"threshold:lambda=10", "dct:lambda=100", "wavelet:lambda=100"};
    static const shape_case shape = {4, {5, 128, 231, 233}};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        add(list, true, specs[i], &shape, RELU);
}

void parity_codec_cases(parity_list *list)
{
    options_and_shapes(list);
    wavelets(list);
    combinations(list);
    large(list);
}
