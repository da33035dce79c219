/* Losses of maps and volumes against PyTorch in float64 (tests/oracle/losses.py): L1, mean squared error, Dice, also of maps that
 * have been resampled; their values, what evaluations of a part of a batch give, and gradients. On the device that
 * ACTC_TEST_DEVICE names.
 */
#include <math.h>

#include "network_test.h"

enum { N = 3, PART = 2 };

typedef enum loss_kind { L1, MSE, MASKS, LABELS } loss_kind;

static const struct loss_case {
    const char *name;
    int axes;
    int64_t size[3];
    int64_t classes;
    loss_kind kind;
    actc_dice_options o;
    int64_t to[2]; /* resampled to this size; 0: not */
    bool corners;
} cases[] = {
    {"l1-map", 2, {7, 5}, 3, L1, {0}},
    {"l1-volume", 3, {3, 4, 5}, 2, L1, {0}},
    {"mse-map", 2, {6, 9}, 3, MSE, {0}},
    {"dice-brats", 3, {4, 5, 3}, 3, MASKS, {.sigmoid = true, .include_background = true, .squared_pred = true, .smooth_dr = 1e-5}},
    {"dice-spleen", 3, {5, 3, 4}, 2, LABELS, {.softmax = true, .include_background = true, .smooth_nr = 1e-5, .smooth_dr = 1e-5}},
    {"dice-foreground", 2, {8, 7}, 5, LABELS, {.softmax = true, .smooth_nr = 1, .smooth_dr = 1}},
    {"dice-batch", 2, {6, 5}, 4, LABELS,
     {.softmax = true, .include_background = true, .batch = true, .squared_pred = true, .smooth_nr = 1e-5, .smooth_dr = 1e-5}},
    {"dice-probabilities", 2, {9, 4}, 3, MASKS, {.smooth_nr = 1e-5, .smooth_dr = 1e-5}},
    {"mse-enlarged", 2, {6, 5}, 3, MSE, .to = {24, 13}},
    {"mse-enlarged-corners", 2, {5, 7}, 4, MSE, .to = {11, 21}, .corners = true},
    {"mse-reduced", 2, {13, 17}, 2, MSE, .to = {4, 9}},
    {"dice-enlarged", 2, {4, 4}, 3, LABELS, {.softmax = true, .include_background = true, .smooth_nr = 1e-5, .smooth_dr = 1e-5},
     .to = {16, 16}},
};

static const float *tensor(const fixture *f, const actc_safetensors *file, const char *name, const char *what, int64_t *elements)
{
    char text[128];
    size_t index;
    const float *values;
    actc_shape shape;
    snprintf(text, sizeof text, "%s|%s", name, what);
    if (actc_safetensors_find(file, text, &index) != ACTC_OK)
        fail_msg("the fixture has no tensor %s", text);
    CHECK(f->context, actc_safetensors_get(file, index, NULL, &shape, &values));
    if (elements)
        *elements = actc_shape_elements(&shape);
    return values;
}

static actc_tensor *loss_of(actc_graph *graph, const struct loss_case *c, actc_tensor *x)
{
    const int64_t *size = c->to[0] ? c->to : c->size, sample[] = {c->classes, size[0], size[1], c->axes > 2 ? size[2] : 0};
    actc_tensor *target = c->kind == LABELS ? actc_input_of(graph, "target", ACTC_I32, size, c->axes)
                                            : actc_input_of(graph, "target", ACTC_F32, sample, 1 + c->axes);
    actc_dice_options o = c->o;
    o.size = sizeof o;
    if (c->kind == L1 || c->kind == MSE)
        return c->kind == L1 ? actc_l1_loss(graph, "loss", x, target) : actc_mse_loss(graph, "loss", x, target);
    return actc_dice_loss(graph, "loss", c->kind == MASKS && !o.sigmoid ? actc_relu(graph, "relu", x) : x, target, &o);
}

static actc_network *network_of_case(const fixture *f, const struct loss_case *c)
{
    const int64_t sample[] = {2, c->size[0], c->size[1], c->size[2]};
    actc_graph *graph;
    actc_network *network;
    CHECK(f->context, actc_graph_create(f->context, c->name, &graph));
    actc_conv_options first = actc_conv_options_default(c->classes, 1);
    actc_tensor *x = actc_convolution(graph, "first", actc_input(graph, "x", sample, 1 + c->axes), &first);
    x = c->to[0] ? actc_resize_bilinear(graph, "resize", x, c->to[0], c->to[1], c->corners) : x;
    actc_graph_set_loss(graph, loss_of(graph, c, x));
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = N;
    options.seed = 9;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    CHECK(f->context, actc_network_initialize(network));
    return network;
}

static void near(const char *name, const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 2e-6 * fabs(want)))
        fail_msg("%s: %s %.9g, float64 gives %.9g", name, what, got, want);
}

static void compare_gradients(const fixture *f, const actc_safetensors *file, const char *name, actc_network *network)
{
    for (size_t s = 0; s < actc_network_state_count(network); s++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, s, &info));
        if (info.kind != ACTC_STATE_GRADIENT)
            continue;
        int64_t n = actc_shape_elements(&info.shape);
        float *got = malloc((size_t)n * sizeof *got);
        const float *want = tensor(f, file, name, info.name, NULL);
        double error = 0, norm = 0;
        assert_non_null(got);
        CHECK(f->context, actc_network_read_state(network, s, got));
        for (int64_t k = 0; k < n; k++) {
            error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            norm += (double)want[k] * want[k];
        }
        free(got);
        if (!(error <= 1e-10 * norm))
            fail_msg("%s: %s: relative error %g", name, info.name, sqrt(error / norm));
    }
}

static void against_float64(void **state)
{
    const fixture *f = *state;
    actc_safetensors *file;
    CHECK(f->context, actc_safetensors_open(f->context, ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/losses.safetensors", &file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct loss_case *c = &cases[i];
        const char *name = c->name;
        int64_t elements, each;
        const float *images = tensor(f, file, name, "images", &each), *target = tensor(f, file, name, "target", &elements);
        actc_network *network = network_of_case(f, c);
        int32_t *labels = malloc((size_t)elements * sizeof *labels);
        assert_non_null(labels);
        for (int64_t k = 0; k < elements; k++)
            labels[k] = (int32_t)target[k];
        actc_binding bindings[] = {{"x", images}, {"target", c->kind == LABELS ? (const void *)labels : target}};
        actc_step_result result = {.size = sizeof result};
        CHECK(f->context, actc_network_train(network, bindings, 2, 0, &result));
        near(name, "loss", result.loss, tensor(f, file, name, "loss", NULL)[0]);
        compare_gradients(f, file, name, network);
        /* a part of a batch, behind which the batch before still lies, made NaN */
        float *none = malloc((size_t)each * sizeof *none);
        assert_non_null(none);
        for (int64_t k = 0; k < each; k++)
            none[k] = NAN;
        const actc_binding stale[] = {{"x", none}, bindings[1]};
        actc_value value = {.size = sizeof value};
        CHECK(f->context, actc_network_evaluate_batch(network, stale, 2, N));
        if (c->o.batch)
            assert_int_equal(actc_network_evaluate_batch(network, bindings, 2, PART), ACTC_ERROR_UNSUPPORTED);
        CHECK(f->context, actc_network_evaluate_batch(network, bindings, 2, c->o.batch ? N : PART));
        CHECK(f->context, actc_network_value(network, 0, &value));
        near(name, "sum", value.value, tensor(f, file, name, "sum", NULL)[0]);
        assert_int_equal(value.count, (int64_t)tensor(f, file, name, "count", NULL)[0]);
        free(none);
        free(labels);
        actc_network_destroy(&network);
    }
    actc_safetensors_destroy(&file);
}

/* A target that an operator behind the loss would work in the place of, and that the loss's backward pass reads after it. */
static void targets_stay(void **state)
{
    const fixture *f = *state;
    enum { C = 3, SIDE = 6, ALL = N * C * SIDE * SIDE };
    const int64_t sample[] = {C, SIDE, SIDE};
    float x[ALL], t[ALL], gradients[2][C * C];
    for (int i = 0; i < ALL; i++) {
        x[i] = (float)(i * 37 % 101) / 50 - 1;
        t[i] = (float)(i * 29 % 103) / 50 - 1;
    }
    for (int no_inplace = 0; no_inplace < 2; no_inplace++) {
        actc_graph *graph;
        actc_network *network;
        CHECK(f->context, actc_graph_create(f->context, "targets", &graph));
        const actc_conv_options conv = actc_conv_options_default(C, 1);
        actc_tensor *input = actc_input(graph, "x", sample, 3), *target = actc_input(graph, "t", sample, 3);
        actc_tensor *y = actc_convolution(graph, "first", input, &conv);
        actc_graph_add_loss(graph, actc_l1_loss(graph, "a", y, target), 1);
        y = actc_convolution(graph, "second", actc_relu(graph, "relu", target), &conv);
        actc_graph_add_loss(graph, actc_mse_loss(graph, "b", y, input), 0.5);
        actc_network_options options = actc_network_options_default();
        options.train_batch = N;
        options.no_inplace = no_inplace;
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        CHECK(f->context, actc_network_initialize(network));
        CHECK(f->context, actc_network_train(network, (actc_binding[]){{"x", x}, {"t", t}}, 2, 0, NULL));
        for (size_t s = 0; s < actc_network_state_count(network); s++) {
            actc_state_info info = {.size = sizeof info};
            CHECK(f->context, actc_network_state_info(network, s, &info));
            if (!strcmp(info.name, "grad.first.weight"))
                CHECK(f->context, actc_network_read_state(network, s, gradients[no_inplace]));
        }
        actc_network_destroy(&network);
    }
    assert_memory_equal(gradients[0], gradients[1], sizeof gradients[0]);
}

/* ---- what is refused ---- */

static void refused(const fixture *f, const char *words, actc_tensor *(*build)(actc_graph *, actc_tensor *))
{
    const int64_t sample[] = {1, 4, 4};
    actc_graph *graph;
    CHECK(f->context, actc_graph_create(f->context, "bad", &graph));
    actc_conv_options conv = actc_conv_options_default(3, 1);
    assert_null(build(graph, actc_convolution(graph, "conv", actc_input(graph, "x", sample, 3), &conv)));
    if (!strstr(actc_error_message(f->context), words))
        fail_msg("'%s' is not in '%s'", words, actc_error_message(f->context));
    actc_graph_destroy(&graph);
}

static actc_tensor *masks(actc_graph *graph, int64_t classes)
{
    return actc_input_of(graph, "masks", ACTC_F32, (int64_t[]){classes, 4, 4}, 3);
}

static actc_tensor *dice(actc_graph *graph, actc_tensor *x, int64_t classes, void (*spoil)(actc_dice_options *))
{
    actc_dice_options o = actc_dice_options_default();
    spoil(&o);
    return actc_dice_loss(graph, "dice", x, masks(graph, classes), &o);
}

static void nothing(actc_dice_options *o) { (void)o; }
static void both(actc_dice_options *o) { o->sigmoid = o->softmax = true; }
static void no_smooth_dr(actc_dice_options *o) { o->smooth_dr = 0; }
static void bad_smooth_nr(actc_dice_options *o) { o->smooth_nr = -1; }
static void foreground(actc_dice_options *o) { o->include_background = false; }

static actc_tensor *other_shape(actc_graph *graph, actc_tensor *x) { return actc_l1_loss(graph, "l1", x, masks(graph, 2)); }
static actc_tensor *made_target(actc_graph *graph, actc_tensor *x) { return actc_mse_loss(graph, "mse", masks(graph, 3), x); }
static actc_tensor *label_target(actc_graph *graph, actc_tensor *x)
{
    return actc_l1_loss(graph, "l1", x, actc_label_input(graph, "y"));
}
static actc_tensor *other_masks(actc_graph *graph, actc_tensor *x) { return dice(graph, x, 4, nothing); }
static actc_tensor *two_activations(actc_graph *graph, actc_tensor *x) { return dice(graph, x, 3, both); }
static actc_tensor *without_smooth(actc_graph *graph, actc_tensor *x) { return dice(graph, x, 3, no_smooth_dr); }
static actc_tensor *negative_smooth(actc_graph *graph, actc_tensor *x) { return dice(graph, x, 3, bad_smooth_nr); }
static actc_tensor *few_labels(actc_graph *graph, actc_tensor *x)
{
    return actc_dice_loss(graph, "dice", x, actc_label_input(graph, "y"), NULL);
}
static actc_tensor *no_size(actc_graph *graph, actc_tensor *x) { return actc_resize_bilinear(graph, "resize", x, 4, 0, false); }
static actc_tensor *flat_map(actc_graph *graph, actc_tensor *x)
{
    return actc_resize_bilinear(graph, "resize", actc_flatten(graph, "flat", x), 4, 4, false);
}
static actc_tensor *no_foreground(actc_graph *graph, actc_tensor *x)
{
    actc_conv_options one = actc_conv_options_default(1, 1);
    return dice(graph, actc_convolution(graph, "one", x, &one), 1, foreground);
}

static void bad_losses(void **state)
{
    refused(*state, "the target must have the prediction's shape 1x3x4x4, got 1x2x4x4", other_shape);
    refused(*state, "as its target an f32 input of the graph", made_target);
    refused(*state, "as its target an f32 input of the graph", label_target);
    refused(*state, "the target must have the prediction's shape 1x3x4x4, got 1x4x4x4", other_masks);
    refused(*state, "sigmoid and softmax are both set", two_activations);
    refused(*state, "smooth_dr is 0, must be 1e-12 to 1e6", without_smooth);
    refused(*state, "smooth_nr is -1, must be 0 to 1e6", negative_smooth);
    refused(*state, "need a label for each of their positions", few_labels);
    refused(*state, "to 4x0; height and width must be 1 to 65536", no_size);
    refused(*state, "needs an input N,C,H,W, got 1x48", flat_map);
    refused(*state, "include_background = false needs more than one class, got 1", no_foreground);
}

static void bad_labels(void **state)
{
    const fixture *f = *state;
    static float images[N * 2 * 60];
    int32_t labels[N * 60] = {0};
    const struct loss_case *c = &cases[4]; /* dice-spleen: 60 positions, 2 classes */
    actc_network *network = network_of_case(f, c);
    const actc_binding bindings[] = {{"x", images}, {"target", labels}};
    labels[60 + 7] = -1;
    assert_int_equal(actc_network_train(network, bindings, 2, 0, NULL), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "label -1 of sample 1, position 7: must be 0 to 1"));
    labels[60 + 7] = 2;
    assert_int_equal(actc_network_train(network, bindings, 2, 0, NULL), ACTC_ERROR_INVALID_ARGUMENT);
    actc_network_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_float64), cmocka_unit_test(targets_stay),
                                       cmocka_unit_test(bad_losses), cmocka_unit_test(bad_labels)};
    return cmocka_run_group_tests_name("losses", tests, set_up, tear_down);
}
