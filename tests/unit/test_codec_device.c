/* test_codec_device.c: codecs through the public interface, on the device that ACTC_TEST_DEVICE names: payloads and
 * restored tensors equal to the CPU's byte for byte (every option, every wavelet, random combinations), codecs of the
 * user's, arguments that are refused.
 */
#include "keep_loaded.h"
#include "codec_cases.h"

#include <actc/actc.h>

#include "codec/wavelets.h"

static actc_context *context;
static actc_device *device, *reference;

static int setup(void **state)
{
    (void)state;
    actc_device_options options = actc_device_options_default();
    const char *name = getenv("ACTC_TEST_DEVICE");
    if (actc_context_create(NULL, &context) != ACTC_OK)
        return -1;
    options.device = "cpu";
    options.threads = 1;
    if (actc_device_open(context, &options, &reference) != ACTC_OK)
        return -1;
    options.device = name ? name : "cpu";
    options.threads = 2;
    options.validate = getenv("ACTC_TEST_VALIDATE") != NULL;
    if (actc_device_open(context, &options, &device) != ACTC_OK) {
        fprintf(stderr, "%s\n", actc_error_message(context));
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    actc_device_destroy(&device);
    actc_device_destroy(&reference);
    actc_context_destroy(&context);
    return 0;
}

static const actc_codec_key key = {.seed = 0x123456789abcdefu, .step = 7, .tensor = 99};

/* Packs and unpacks on a device; both results belong to the caller. */
static void round_trip(actc_device *on, const char *spec, const shape_case *s, const float *x, unsigned char **payload,
                       float **restored, actc_codec_info *info)
{
    actc_shape shape = {.ndim = s->ndim};
    actc_codec *codec;
    memcpy(shape.dims, s->d, sizeof shape.dims);
    if (actc_codec_create(on, spec, &shape, &codec) != ACTC_OK)
        fail_msg("%s", actc_error_message(context));
    info->size = sizeof *info;
    assert_int_equal(actc_codec_info_get(codec, info), ACTC_OK);
    *payload = malloc(info->payload_bytes + 1);
    *restored = malloc(info->elements * 4);
    assert_non_null(*payload);
    assert_non_null(*restored);
    (*payload)[info->payload_bytes] = 0x5a;
    if (actc_codec_pack(codec, x, &key, *payload) != ACTC_OK || actc_codec_unpack(codec, *payload, &key, *restored) != ACTC_OK)
        fail_msg("%s", actc_error_message(context));
    assert_int_equal((*payload)[info->payload_bytes], 0x5a);
    actc_codec_destroy(&codec);
    info->spec = info->note = info->index_form = "";
}

static void compare(const char *spec, const shape_case *s, const float *x)
{
    unsigned char *payload[2];
    float *restored[2];
    actc_codec_info info[2];
    round_trip(reference, spec, s, x, &payload[0], &restored[0], &info[0]);
    round_trip(device, spec, s, x, &payload[1], &restored[1], &info[1]);
    assert_int_equal(info[0].payload_bytes, info[1].payload_bytes);
    for (uint64_t i = 0; i < info[0].payload_bytes; i++)
        if (payload[0][i] != payload[1][i])
            fail_msg("%s, %d-D %lldx%lldx%lldx%lldx%lld: payload byte %llu of %llu is %02x on the CPU, %02x here", spec, s->ndim,
                     (long long)s->d[0], (long long)s->d[1], (long long)s->d[2], (long long)s->d[3], (long long)s->d[4],
                     (unsigned long long)i, (unsigned long long)info[0].payload_bytes, payload[0][i], payload[1][i]);
    for (uint64_t i = 0; i < info[0].elements; i++)
        if (float_bits(restored[0][i]) != float_bits(restored[1][i]))
            fail_msg("%s, %d-D %lldx%lldx%lldx%lldx%lld: restored element %llu is %08x on the CPU, %08x here", spec, s->ndim,
                     (long long)s->d[0], (long long)s->d[1], (long long)s->d[2], (long long)s->d[3], (long long)s->d[4],
                     (unsigned long long)i, float_bits(restored[0][i]), float_bits(restored[1][i]));
    for (int i = 0; i < 2; i++) {
        free(payload[i]);
        free(restored[i]);
    }
}

static uint64_t elements_of(const shape_case *s)
{
    uint64_t n = 1;
    for (int i = 0; i < s->ndim; i++)
        n *= (uint64_t)s->d[i];
    return n;
}

/* One of so many combinations is tried: with "quick" not all of them, unless ACTC_TEST_LONG is set. */
static unsigned one_of = 1;

static void test_options_and_shapes(void **state)
{
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < CODEC_SHAPES; s++) {
            if ((o + s) % one_of || codec_row_too_long(codec_specs[o], &codec_shapes[s]))
                continue;
            float *x = codec_content((content)((o + s) % CONTENTS), elements_of(&codec_shapes[s]), o * 1000 + s);
            compare(codec_specs[o], &codec_shapes[s], x);
            free(x);
        }
}

/* Maps smaller than the filter, odd ones, with few and many channels, three dimensions. */
static void test_wavelets(void **state)
{
    static const shape_case shapes[] = {{4, {2, 5, 13, 11}}, {4, {1, 3, 40, 38}}, {2, {37, 70}}, {5, {1, 2, 3, 17, 19}}};
    (void)state;
    assert_true(actc_wavelet_count > 100);
    for (int w = 0; w < actc_wavelet_count; w++)
        for (int s = 0; s < 4; s++) {
            char spec[64];
            const char *mode = (w + s) % 2 ? "symmetric" : "periodic";
            snprintf(spec, sizeof spec, "wavelet:wave=%s,mode=%s", actc_wavelets[w].name, mode);
            float *x = codec_content(s % 2 ? NORMAL : ADVERSARIAL, elements_of(&shapes[s]), (uint64_t)(4 * w + s));
            compare(spec, &shapes[s], x);
            free(x);
        }
}

static const char *pick(test_rng *r, const char *const *texts, uint32_t count)
{
    return texts[rng_next(r) % count];
}

static void random_spec(test_rng *r, char *spec, size_t size)
{
    static const char *const kept[] = {"lambda=1",    "lambda=1.01", "lambda=1.7", "lambda=3",    "lambda=8",
                                       "lambda=10",   "lambda=33.3", "lambda=100", "lambda=250",  "lambda=1000",
                                       "ratio=0",     "ratio=0.5",   "ratio=0.97", "ratio=1"};
    static const char *const values[] = {"f32", "f16", "bf16", "int8", "int4"}, *const selects[] = {"global", "tile", "random", "band"};
    static const char *const blocks[] = {"16", "8", "row", "row,norm=none"}, *const modes[] = {"periodic", "symmetric"};
    static const char *const kinds[] = {"threshold", "dct", "wavelet"};
    uint32_t kind = rng_next(r) % 3;
    const char *amount = pick(r, kept, 14), *select = pick(r, selects, kind == 2 ? 4 : 3);
    int used = snprintf(spec, size, "%s:%s,", kinds[kind], amount);
    if (strcmp(amount, "ratio=1") || strcmp(select, "random")) /* refused together */
        used += snprintf(spec + used, size - (size_t)used, "select=%s,", select);
    used += snprintf(spec + used, size - (size_t)used, "values=%s", pick(r, values, 4));
    if (kind == 1)
        snprintf(spec + used, size - (size_t)used, ",block=%s", pick(r, blocks, 4));
    if (kind == 2) {
        const char *wave = actc_wavelets[rng_next(r) % (uint32_t)actc_wavelet_count].name;
        uint32_t levels = 1 + rng_next(r) % 5;
        snprintf(spec + used, size - (size_t)used, ",wave=%s,levels=%u,mode=%s", wave, levels, pick(r, modes, 2));
    }
}

/* Options together as nobody would write them down, on small tensors of 0 to 5 dimensions. */
static void test_random_combinations(void **state)
{
    test_rng r = {20261126};
    (void)state;
    for (unsigned i = 0; i < 2000 / one_of; i++) {
        static const uint32_t most[] = {1, 2000, 70, 24, 12, 6};
        char spec[160];
        random_spec(&r, spec, sizeof spec);
        shape_case shape = {(int)(rng_next(&r) % 6), {1, 1, 1, 1, 1}};
        for (int d = 0; d < shape.ndim; d++)
            shape.d[d] = 1 + (int64_t)(rng_next(&r) % most[shape.ndim]);
        float *x = codec_content((content)(rng_next(&r) % CONTENTS), elements_of(&shape), (uint64_t)i);
        compare(spec, &shape, x);
        free(x);
    }
}

/* ---- a codec of the user's: keeps the signs ---- */

static uint64_t sign_bytes(void *user, const actc_shape *shape)
{
    (void)user;
    return (uint64_t)actc_shape_elements(shape);
}

static int sign_pack(void *user, const actc_shape *shape, const float *x, const actc_codec_key *k, void *payload)
{
    (void)k;
    ++*(int *)user;
    for (int64_t i = 0; i < actc_shape_elements(shape); i++)
        ((signed char *)payload)[i] = (signed char)((x[i] > 0) - (x[i] < 0));
    return 0;
}

static int sign_unpack(void *user, const actc_shape *shape, const void *payload, const actc_codec_key *k, float *x)
{
    (void)k;
    ++*(int *)user;
    for (int64_t i = 0; i < actc_shape_elements(shape); i++)
        x[i] = ((const signed char *)payload)[i];
    return 0;
}

static int failing_pack(void *user, const actc_shape *shape, const float *x, const actc_codec_key *k, void *payload)
{
    (void)user;
    (void)shape;
    (void)x;
    (void)k;
    (void)payload;
    return 17;
}

static void expect_refusal(actc_status status, actc_status expected, const char *part)
{
    assert_int_equal(status, expected);
    if (!strstr(actc_error_message(context), part))
        fail_msg("\"%s\" does not say \"%s\"", actc_error_message(context), part);
}

static void test_user_codec(void **state)
{
    int calls = 0;
    actc_user_codec sign = {sizeof sign, sign_bytes, sign_pack, sign_unpack, &calls}, bad = sign;
    actc_shape shape = {2, {3, 5}};
    actc_codec *codec;
    float x[15], restored[15];
    signed char payload[15];
    (void)state;
    for (int i = 0; i < 15; i++)
        x[i] = (float)(i - 7) / 3;
    assert_int_equal(actc_codec_register(context, "sign-1", &sign), ACTC_OK);
    expect_refusal(actc_codec_register(context, "sign-1", &sign), ACTC_ERROR_INVALID_ARGUMENT, "taken");
    expect_refusal(actc_codec_register(context, "dct", &sign), ACTC_ERROR_INVALID_ARGUMENT, "taken");
    expect_refusal(actc_codec_register(context, "a b", &sign), ACTC_ERROR_INVALID_ARGUMENT, "letters");
    expect_refusal(actc_codec_register(context, "", &sign), ACTC_ERROR_INVALID_ARGUMENT, "letters");
    bad.unpack = NULL;
    expect_refusal(actc_codec_register(context, "other", &bad), ACTC_ERROR_INVALID_ARGUMENT, "unpack");
    bad.size = 3;
    expect_refusal(actc_codec_register(context, "other", &bad), ACTC_ERROR_INVALID_ARGUMENT, "size");
    assert_int_equal(actc_codec_create(device, "sign-1:relu=value", &shape, &codec), ACTC_OK);
    actc_codec_info info = {.size = sizeof info};
    assert_int_equal(actc_codec_info_get(codec, &info), ACTC_OK);
    assert_int_equal(info.payload_bytes, 15);
    assert_true(info.smaller);
    assert_string_equal(info.spec, "sign-1:relu=value");
    assert_int_equal(actc_codec_pack(codec, x, NULL, payload), ACTC_OK);
    assert_int_equal(actc_codec_unpack(codec, payload, NULL, restored), ACTC_OK);
    for (int i = 0; i < 15; i++)
        assert_true(restored[i] == (float)((i > 7) - (i < 7)));
    assert_int_equal(calls, 2);
    actc_codec_destroy(&codec);
    sign.pack = failing_pack;
    assert_int_equal(actc_codec_register(context, "failing", &sign), ACTC_OK);
    assert_int_equal(actc_codec_create(device, "failing", &shape, &codec), ACTC_OK);
    expect_refusal(actc_codec_pack(codec, x, NULL, payload), ACTC_ERROR_DEVICE, "17");
    actc_codec_destroy(&codec);
    expect_refusal(actc_codec_create(device, "failing:lambda=3", &shape, &codec), ACTC_ERROR_INVALID_ARGUMENT, "relu");
}

static void test_arguments(void **state)
{
    actc_shape shape = {4, {2, 3, 16, 16}};
    actc_codec *codec = NULL;
    float x[2 * 3 * 16 * 16] = {1}, payload[2 * 3 * 16 * 16];
    double seconds;
    (void)state;
    expect_refusal(actc_codec_create(device, "dct", NULL, &codec), ACTC_ERROR_INVALID_ARGUMENT, "NULL");
    expect_refusal(actc_codec_create(device, NULL, &shape, &codec), ACTC_ERROR_INVALID_ARGUMENT, "no text");
    assert_null(codec);
    assert_int_equal(actc_codec_create(device, "dct:lambda=100", &shape, &codec), ACTC_OK);
    actc_codec_info info = {.size = 0};
    expect_refusal(actc_codec_info_get(codec, &info), ACTC_ERROR_INVALID_ARGUMENT, "size");
    expect_refusal(actc_codec_pack(codec, NULL, NULL, payload), ACTC_ERROR_INVALID_ARGUMENT, "NULL");
    expect_refusal(actc_codec_unpack(codec, NULL, NULL, x), ACTC_ERROR_INVALID_ARGUMENT, "NULL");
    expect_refusal(actc_codec_benchmark(codec, ACTC_CODEC_PACK, 2, 4, &seconds), ACTC_ERROR_INVALID_ARGUMENT, "packed");
    assert_int_equal(actc_codec_pack(codec, x, NULL, payload), ACTC_OK);
    expect_refusal(actc_codec_benchmark(codec, ACTC_CODEC_PACK, 0, 4, &seconds), ACTC_ERROR_INVALID_ARGUMENT, "buffers 0");
    for (int work = ACTC_CODEC_PACK; work <= ACTC_CODEC_COPY; work++) {
        if (actc_codec_benchmark(codec, (actc_codec_work)work, 2, 5, &seconds) != ACTC_OK)
            fail_msg("%s", actc_error_message(context));
        assert_true(seconds > 0 && seconds < 10);
    }
    actc_codec_destroy(&codec);
    assert_null(codec);
    actc_codec_destroy(&codec);
}

int main(int argc, char **argv)
{
    one_of = argc > 1 && strcmp(argv[1], "quick") == 0 && !getenv("ACTC_TEST_LONG") ? 4 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_shapes),
        cmocka_unit_test(test_wavelets),
        cmocka_unit_test(test_random_combinations),
        cmocka_unit_test(test_user_codec),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
