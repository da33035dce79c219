/* What a compressed tensor is used for decides how far its error reaches, on the device that ACTC_TEST_DEVICE names: for each
 * operator whose `uses` is set in tests/operators/list.c, and each codec, whether the gradient handed on to the layers before
 * keeps its bits. What is found must be what the operator declares (actc_saved_info.use) and what docs/compression.md lists.
 */
#include "../operators/list.h"
#include "fill.h"
#include "keep_loaded.h"

#include <actc/actc.h>

enum { N = 8, C = 4, SIDE = 16, CLASSES = 5, CHANNELS = 64 };

static actc_context *context;
static actc_device *device;

static const char *const codecs[] = {"random", "threshold:lambda=4", "dct:lambda=4", "wavelet:lambda=4", "dct:lambda=4,select=tile",
                                     "threshold:lambda=4,values=int8", "quant:bits=2"};
enum { CODECS = sizeof codecs / sizeof *codecs };

/* A key that the codecs get as well; NULL for none. */
static const char *key_of(const operator_case *o)
{
    return o->uses[0] ? o->uses : NULL;
}

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* The gradient of the layer before the operator; what its tensors are used for, the worst of them; whether one of them is
 * compressed. rules: NULL for none. */
typedef struct outcome {
    float gradient[CHANNELS * C * 9];
    actc_saved_use use;
    bool compressed;
} outcome;

/* The operator that is looked at. */
static const char *path_of(const operator_case *o)
{
    return o->build ? "op" : "loss";
}

/* images (N,C,SIDE,SIDE) -> "first", a convolution to the channels that the operator wants -> "op", on rows where it is listed with
 * such -> a loss; a loss without an operator before it is the one looked at, and has an f32 target. */
static void run(const operator_case *o, const char *rules, outcome *out)
{
    static float images[N * C * SIDE * SIDE], target[N * CHANNELS * SIDE * SIDE];
    int32_t labels[N];
    const int64_t sample[] = {C, SIDE, SIDE};
    actc_graph *graph;
    actc_network *network;
    actc_conv2d_options first = actc_conv2d_options_default(o->ndim > 1 ? o->width : C, 3);
    assert_true(first.out_channels <= CHANNELS && o->ndim < 4);
    first.padding[0] = first.padding[1] = 1;
    actc_linear_options last = actc_linear_options_default(CLASSES);
    ok(actc_graph_create(context, "uses", &graph));
    actc_tensor *x = actc_conv2d(graph, "first", actc_input(graph, "input", sample, 3), &first);
    x = o->ndim == 1 ? actc_flatten(graph, "rows", x) : x;
    x = o->build ? o->build(graph, "op", x, &o->options) : x;
    if (o->loss) { /* nothing else may read it */
        actc_graph_set_loss(graph, o->loss(graph, x));
    } else {
        x = actc_linear(graph, "last", actc_tensor_shape(x).ndim == 2 ? x : actc_flatten(graph, "flat", x), &last);
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
    }
    actc_network_options options = actc_network_options_default();
    options.train_batch = N;
    options.seed = 5;
    options.compress = rules;
    ok(actc_network_create(device, graph, &options, &network));
    ok(actc_network_initialize(network));
    test_rng r = {7};
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = rng_normal(&r);
    for (int i = 0; i < N; i++)
        labels[i] = i % CLASSES;
    for (size_t i = 0; i < sizeof target / sizeof *target; i++)
        target[i] = rng_normal(&r);
    const actc_binding bindings[] = {{"input", images}, {o->build ? "label" : "target", o->build ? (const void *)labels : target}};
    ok(actc_network_train(network, bindings, 2, 0, NULL));
    memset(out, 0, sizeof *out);
    out->use = ACTC_SAVED_EXACT;
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        ok(actc_network_saved_info(network, i, &info));
        bool reads = !strcmp(info.readers, path_of(o)) || (!strcmp(info.name, "op") && !strcmp(o->kind, "relu"));
        if (reads && info.use > out->use)
            out->use = info.use;
        out->compressed |= reads && strcmp(info.codec, "none") && strcmp(info.codec, "mask") && strcmp(info.codec, "index") &&
                           strcmp(info.codec, "own");
    }
    bool found = false;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        if (info.kind == ACTC_STATE_GRADIENT && !strcmp(info.name, "grad.first.weight")) {
            ok(actc_network_read_state(network, i, out->gradient));
            found = true;
        }
    }
    assert_true(found);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

/* The use that docs/compression.md gives in its row "| `KIND` | USE |", with the key in the name where there is one. */
static const char *documented(const operator_case *o)
{
    const char *key = key_of(o);
    static char text[16384], use[32], row[64];
    FILE *file = fopen(ACTC_TEST_SOURCE_DIR "/../../docs/compression.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    snprintf(row, sizeof row, "\n| `%s%s%s` | ", o->kind, key ? "`, `" : "", key ? key : "");
    const char *at = strstr(text, row);
    if (!at)
        fail_msg("docs/compression.md has no row%s", row);
    assert_int_equal(sscanf(at + strlen(row), "%31[a-z]", use), 1);
    return use;
}

static void errors_reach_as_declared(void **state)
{
    (void)state;
    for (size_t i = 0; i < operator_n_cases; i++) {
        const operator_case *o = &operator_cases[i];
        if (!o->uses)
            continue;
        const char *key = key_of(o), *path = path_of(o);
        outcome dense, lossy;
        run(o, NULL, &dense);
        actc_saved_use found = ACTC_SAVED_EXACT, declared = dense.use;
        for (int c = 0; c < CODECS; c++) {
            char plain[128], named[160];
            const char *separator = strchr(codecs[c], ':') ? "," : ":";
            snprintf(plain, sizeof plain, "%s=%s%s%s", path, codecs[c], key ? separator : "", key ? key : "");
            snprintf(named, sizeof named, "%s@%s%s", path, o->kind, plain + strlen(path));
            run(o, plain, &lossy);
            if (key)
                declared = lossy.use;
            bool differs = memcmp(dense.gradient, lossy.gradient, sizeof dense.gradient) != 0;
            if (lossy.compressed && found < ACTC_SAVED_FOR_PARAMETERS)
                found = ACTC_SAVED_FOR_PARAMETERS;
            if (differs)
                found = ACTC_SAVED_FOR_GRADIENT;
            if (lossy.compressed || declared != ACTC_SAVED_PROBABILITY)
                continue;
            /* left out by a glob; compressed where its kind is named, to the gradient's harm */
            assert_false(differs);
            run(o, named, &lossy);
            if (lossy.compressed && memcmp(dense.gradient, lossy.gradient, sizeof dense.gradient) != 0)
                found = ACTC_SAVED_PROBABILITY;
        }
        if (found != declared)
            fail_msg("%s %s: declared %s, found %s", o->kind, key ? key : "", actc_saved_use_string(declared),
                     actc_saved_use_string(found));
        assert_string_equal(documented(o), actc_saved_use_string(found));
    }
}

static int setup(void **state)
{
    (void)state;
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.validate = getenv("ACTC_TEST_VALIDATE") && !strncmp(options.device, "vulkan", 6);
    if (actc_context_create(NULL, &context) != ACTC_OK || actc_device_open(context, &options, &device) != ACTC_OK)
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors_reach_as_declared)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
