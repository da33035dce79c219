/* Compression acts on the weight gradient of the operator whose input is compressed, and nowhere else, on the device that
 * ACTC_TEST_DEVICE names: all other gradients are the same bits; the weight gradient is linear in what is restored, so that
 * grad W(X) = grad W(X^lambda) + grad W(X - X^lambda); and ||grad W - grad W^lambda|| <= sqrt(r) ||X - X^lambda|| ||delta||
 * with r = product of ceil(kernel / stride), 1 for linear.
 *
 * The network is conv1 - relu1 - conv2 (stride 2) - flatten - fc - cross-entropy; delta and the gradients of any X are
 * computed here in float64 from its parameters and from X as the step had it.
 */
#include "fill.h"
#include "keep_loaded.h"

#include <actc/actc.h>

enum { N = 4, SIDE = 12, C = 6, H = SIDE - 2, K = 3, STRIDE = 2, OUT = 5, O = (H - K) / STRIDE + 1, F = OUT * O * O };
enum { CLASSES = 7, X_ELEMENTS = N * H * H * C, W_ELEMENTS = OUT * C * K * K, D_ELEMENTS = N * OUT * O * O };

static actc_context *context;
static actc_device *device;

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

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* What one step leaves: gradients by state index, X, and the parameters that delta needs. */
typedef struct step {
    size_t states;
    float *values[32];
    actc_state_info infos[32];
    actc_network *network; /* owns the names */
    float x[X_ELEMENTS];   /* n, h, w, c */
} step;

static step *run_step(const char *rules)
{
    static float images[N * SIDE * SIDE];
    int32_t labels[N] = {3, 0, 6, 3};
    const int64_t sample[] = {1, SIDE, SIDE};
    actc_conv2d_options conv1 = actc_conv2d_options_default(C, 3), conv2 = actc_conv2d_options_default(OUT, K);
    actc_linear_options linear = actc_linear_options_default(CLASSES);
    actc_graph *graph;
    step *s = calloc(1, sizeof *s);
    assert_non_null(s);
    conv2.stride[0] = conv2.stride[1] = STRIDE;
    ok(actc_graph_create(context, "two-convolutions", &graph));
    actc_tensor *x = actc_input(graph, "input", sample, 3), *label = actc_label_input(graph, "label");
    x = actc_relu(graph, "relu1", actc_conv2d(graph, "conv1", x, &conv1));
    x = actc_flatten(graph, "flatten", actc_conv2d(graph, "conv2", x, &conv2));
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_linear(graph, "fc", x, &linear), label));
    actc_network_options options = actc_network_options_default();
    options.train_batch = N;
    options.compress = rules;
    options.seed = 11;
    options.capture = true;
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    ok(actc_network_create(device, graph, &options, &s->network));
    ok(actc_network_initialize(s->network));
    test_rng r = {42};
    for (size_t i = 0; i < N * SIDE * SIDE; i++)
        images[i] = rng_normal(&r);
    ok(actc_network_train_step(s->network, images, labels, 0, NULL)); /* rate 0: the parameters stay */
    s->states = actc_network_state_count(s->network);
    assert_true(s->states <= 32);
    for (size_t i = 0; i < s->states; i++) {
        s->infos[i].size = sizeof s->infos[i];
        ok(actc_network_state_info(s->network, i, &s->infos[i]));
        s->values[i] = malloc((size_t)actc_shape_elements(&s->infos[i].shape) * sizeof(float));
        assert_non_null(s->values[i]);
        ok(actc_network_read_state(s->network, i, s->values[i]));
    }
    bool found = false;
    for (size_t i = 0; i < actc_network_saved_count(s->network); i++) {
        actc_saved_info info = {.size = sizeof info};
        ok(actc_network_saved_info(s->network, i, &info));
        if (strcmp(info.name, "relu1") || !strcmp(info.codec, "mask"))
            continue;
        assert_int_equal(info.dense_bytes, sizeof s->x);
        ok(actc_network_read_saved(s->network, i, s->x));
        assert_int_equal(rules != NULL, strcmp(info.codec, "none") != 0);
        found = true;
    }
    assert_true(found);
    actc_graph_destroy(&graph);
    return s;
}

static void drop(step *s)
{
    for (size_t i = 0; i < s->states; i++)
        free(s->values[i]);
    actc_network_destroy(&s->network);
    free(s);
}

static const float *state_of(const step *s, const char *name, actc_state_kind kind)
{
    for (size_t i = 0; i < s->states; i++)
        if (s->infos[i].kind == kind && strstr(s->infos[i].name, name))
            return s->values[i];
    fail_msg("no state %s", name);
    return NULL;
}

/* ---- float64 ---- */

/* What tap i of the kernel sees for output (h,w). */
static float x_under(const float *x, int n, int c, int h, int w, int i)
{
    return x[((n * H + h * STRIDE + i / K) * H + w * STRIDE + i % K) * C + c];
}

/* The gradient of the loss by conv2's output (n,o,h,w), from X and the parameters. */
static void make_delta(const step *s, double *delta)
{
    static const int labels[N] = {3, 0, 6, 3};
    const float *w2 = state_of(s, "conv2.weight", ACTC_STATE_PARAMETER);
    const float *b2 = state_of(s, "conv2.bias", ACTC_STATE_PARAMETER);
    const float *w3 = state_of(s, "fc.weight", ACTC_STATE_PARAMETER);
    const float *b3 = state_of(s, "fc.bias", ACTC_STATE_PARAMETER);
    for (int n = 0; n < N; n++) {
        double y[F], logits[CLASSES], sum = 0;
        for (int o = 0; o < OUT; o++)
            for (int h = 0; h < O; h++)
                for (int w = 0; w < O; w++) {
                    double v = b2[o];
                    for (int c = 0; c < C; c++)
                        for (int i = 0; i < K * K; i++)
                            v += (double)w2[(o * C + c) * K * K + i] * x_under(s->x, n, c, h, w, i);
                    y[(o * O + h) * O + w] = v;
                }
        for (int k = 0; k < CLASSES; k++) {
            logits[k] = b3[k];
            for (int f = 0; f < F; f++)
                logits[k] += (double)w3[k * F + f] * y[f];
            sum += exp(logits[k]);
        }
        for (int f = 0; f < F; f++) {
            delta[n * F + f] = 0;
            for (int k = 0; k < CLASSES; k++)
                delta[n * F + f] += (exp(logits[k]) / sum - (k == labels[n])) / N * (double)w3[k * F + f];
        }
    }
}

/* conv2's weight gradient of any X. */
static void weight_gradient(const float *x, const double *delta, double *gradient)
{
    for (int o = 0; o < OUT; o++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < K * K; i++) {
                double sum = 0;
                for (int n = 0; n < N; n++)
                    for (int h = 0; h < O; h++)
                        for (int w = 0; w < O; w++)
                            sum += delta[((n * OUT + o) * O + h) * O + w] * (double)x_under(x, n, c, h, w, i);
                gradient[(o * C + c) * K * K + i] = sum;
            }
}

static double norm(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

/* ---- */

static void restore(const char *spec, const float *x, float *restored)
{
    const actc_shape shape = {.ndim = 4, .dims = {N, C, H, H}};
    static unsigned char payload[4 * X_ELEMENTS];
    actc_codec *codec;
    actc_codec_info info = {.size = sizeof info};
    ok(actc_codec_create(device, spec, &shape, &codec));
    ok(actc_codec_info_get(codec, &info));
    assert_true(info.payload_bytes <= sizeof payload);
    ok(actc_codec_pack(codec, x, NULL, payload));
    ok(actc_codec_unpack(codec, payload, NULL, restored));
    actc_codec_destroy(&codec);
}

static double distance(const float *a, const double *b)
{
    double difference[W_ELEMENTS];
    for (int i = 0; i < W_ELEMENTS; i++)
        difference[i] = (double)a[i] - b[i];
    return norm(difference, W_ELEMENTS) / norm(b, W_ELEMENTS);
}

static void acts_on_one_gradient(void **state)
{
    static const char *const specs[] = {"threshold:lambda=20", "dct:lambda=3", "wavelet:lambda=10",
                                        "dct:lambda=100,values=f16",
                                        "wavelet:wave=haar,select=band,mode=symmetric,lambda=30"};
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char rules[128];
        static float restored[X_ELEMENTS], rest[X_ELEMENTS];
        static double delta[D_ELEMENTS];
        double of_x[W_ELEMENTS], of_restored[W_ELEMENTS], of_rest[W_ELEMENTS], sum[W_ELEMENTS], difference[W_ELEMENTS];
        double lost = 0;
        snprintf(rules, sizeof rules, "conv2=%s", specs[i]);
        step *plain = run_step(NULL), *lossy = run_step(rules);
        assert_memory_equal(plain->x, lossy->x, sizeof plain->x);
        for (size_t k = 0; k < plain->states; k++) {
            size_t bytes = (size_t)actc_shape_elements(&plain->infos[k].shape) * sizeof(float);
            bool same = memcmp(plain->values[k], lossy->values[k], bytes) == 0;
            bool compressed = plain->infos[k].kind == ACTC_STATE_GRADIENT && strstr(plain->infos[k].name, "conv2.weight");
            if (same == compressed)
                fail_msg("%s: state %s is %s", specs[i], plain->infos[k].name, same ? "the same" : "another");
        }
        restore(specs[i], plain->x, restored);
        for (int k = 0; k < X_ELEMENTS; k++) {
            rest[k] = plain->x[k] - restored[k];
            lost += (double)rest[k] * rest[k];
        }
        make_delta(plain, delta);
        weight_gradient(plain->x, delta, of_x);
        weight_gradient(restored, delta, of_restored);
        weight_gradient(rest, delta, of_rest);
        const float *gradient = state_of(plain, "conv2.weight", ACTC_STATE_GRADIENT);
        const float *compressed = state_of(lossy, "conv2.weight", ACTC_STATE_GRADIENT);
        assert_true(distance(gradient, of_x) < 1e-5);
        assert_true(distance(compressed, of_restored) < 1e-5);
        for (int k = 0; k < W_ELEMENTS; k++) {
            sum[k] = (double)compressed[k] + of_rest[k];
            difference[k] = (double)gradient[k] - compressed[k];
        }
        assert_true(distance(gradient, sum) < 1e-5);
        /* ceil(3 / 2) = 2 on both axes */
        double bound = sqrt(2.0 * 2.0) * sqrt(lost) * norm(delta, D_ELEMENTS);
        if (!(norm(difference, W_ELEMENTS) <= bound * (1 + 1e-6)) || !(norm(difference, W_ELEMENTS) > 0))
            fail_msg("%s: the gradient changes by %g, bound %g", specs[i], norm(difference, W_ELEMENTS), bound);
        drop(plain);
        drop(lossy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(acts_on_one_gradient)};
    return cmocka_run_group_tests_name("regularising", tests, setup, teardown);
}
