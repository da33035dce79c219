/* Operators that move elements, on the CPU: what they give for inputs whose elements are numbered, by index formulas over logical
 * axes; which of them cost nothing; what they say to options that they do not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <actc/actc.h>

#include "graph/op.h"

enum { N = 2, MAX = 8192 };

static actc_context *context;
static actc_device *device;

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* What an operator is asked for. */
typedef struct request {
    actc_tensor *(*build)(actc_graph *graph, actc_tensor *x, const struct request *r);
    int64_t sample[4];
    int ndim;
    int order[5], axis;
    int64_t dims[4], before[4], after[4], factor;
} request;

static actc_tensor *permute(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_permute(graph, "op", x, r->order);
}

static actc_tensor *reshape(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_reshape(graph, "op", x, r->dims, r->axis);
}

static actc_tensor *slice(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_slice(graph, "op", x, r->axis, r->before[0], r->after[0]);
}

static actc_tensor *pad(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_pad(graph, "op", x, r->before, r->after, -3);
}

static actc_tensor *pixel_shuffle(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_pixel_shuffle(graph, "op", x, r->factor);
}

/* A map of the sizes of `before` whose patches are those of dims. */
static actc_tensor *unpatchify(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_unpatchify(graph, "op", x, r->before, r->dims, r->axis);
}

static actc_tensor *patchify(actc_graph *graph, actc_tensor *x, const request *r)
{
    return actc_patchify(graph, "op", x, r->dims);
}

/* The output of numbers from 0 up, its shape, and whether it is the input. */
static bool run(const request *r, float *y, actc_shape *shape)
{
    static float x[MAX];
    actc_graph *graph;
    actc_network *network;
    ok(actc_graph_create(context, "moves", &graph));
    actc_tensor *out = r->build(graph, actc_input(graph, "x", r->sample, r->ndim), r);
    actc_graph_add_output(graph, out);
    ok(actc_graph_status(graph));
    *shape = actc_tensor_shape(out);
    shape->dims[0] = N;
    actc_shape in = actc_tensor_shape(graph->ops[0]->inputs[0]);
    in.dims[0] = N;
    const bool alias = graph->ops[0]->def->alias(graph->ops[0], &in, false);
    assert_true(actc_shape_elements(shape) <= MAX && actc_shape_elements(&in) <= MAX);
    for (int64_t i = 0; i < actc_shape_elements(&in); i++)
        x[i] = (float)i;
    actc_network_options options = actc_network_options_default();
    options.infer_batch = N;
    ok(actc_network_create(device, graph, &options, &network));
    ok(actc_network_initialize(network));
    ok(actc_network_infer(network, &(actc_binding){"x", x}, 1, N));
    ok(actc_network_read_output(network, 0, y));
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    return alias;
}

/* The number of an element of a tensor in PyTorch's order. */
static int64_t number(const int64_t *dims, int ndim, const int64_t *at)
{
    int64_t n = 0;
    for (int i = 0; i < ndim; i++)
        n = n * dims[i] + at[i];
    return n;
}

/* The place of the element with this number. */
static void place(const actc_shape *shape, int64_t n, int64_t *at)
{
    for (int i = shape->ndim; i-- > 0; n /= shape->dims[i])
        at[i] = n % shape->dims[i];
}

/* Compares an output with the input's elements that `from` tells for places of the output; -1: none, but -3. */
static bool check(const request *r, int64_t (*from)(const request *r, const int64_t *dims, const int64_t *at))
{
    static float y[MAX];
    actc_shape shape;
    int64_t at[5], dims[5] = {N};
    memcpy(dims + 1, r->sample, sizeof r->sample);
    const bool alias = run(r, y, &shape);
    for (int64_t i = 0; i < actc_shape_elements(&shape); i++) {
        place(&shape, i, at);
        const int64_t wanted = from(r, dims, at);
        if (y[i] != (wanted < 0 ? -3.0f : (float)wanted))
            fail_msg("element %lld is %g, should be element %lld of the input", (long long)i, y[i], (long long)wanted);
    }
    return alias;
}

/* ---- what is where ---- */

static int64_t permuted(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[5];
    for (int i = 0; i <= r->ndim; i++)
        from[r->order[i]] = at[i];
    return number(dims, r->ndim + 1, from);
}

/* Digits of `code` as an order that begins with the batch; false where they are none. */
static bool take_order(request *r, int code)
{
    bool used[5] = {true};
    for (int i = 1; i <= r->ndim; i++, code /= r->ndim) {
        r->order[i] = 1 + code % r->ndim;
        if (used[r->order[i]])
            return false;
        used[r->order[i]] = true;
    }
    return true;
}

static void test_permute(void **state)
{
    (void)state;
    request shapes[] = {{permute, {5}, 1}, {permute, {3, 4}, 2}, {permute, {3, 4, 5}, 3}, {permute, {2, 3, 4, 5}, 4},
                        {permute, {1, 3, 1, 5}, 4}};
    const int codes[] = {1, 4, 27, 256, 256};
    const int orders[] = {1, 2, 6, 24, 24}, aliases[] = {1, 1, 1, 1, 12}; /* of the last, those that keep the two in order */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int tried = 0, alias = 0;
        for (int code = 0; code < codes[i]; code++) {
            if (!take_order(&shapes[i], code))
                continue;
            tried++;
            alias += check(&shapes[i], permuted);
        }
        assert_int_equal(tried, orders[i]);
        assert_int_equal(alias, aliases[i]);
    }
}

static int64_t itself(const request *r, const int64_t *dims, const int64_t *at)
{
    const int ndim = r->axis;
    int64_t to[5] = {dims[0]};
    memcpy(to + 1, r->dims, sizeof r->dims);
    return number(to, ndim + 1, at);
}

static void test_reshape(void **state)
{
    (void)state;
    static const struct { int64_t dims[4]; int ndim; } shapes[] = {
        {{24}, 1}, {{4, 6}, 2}, {{6, 4}, 2}, {{24, 1, 1}, 3}, {{1, 4, 6}, 3}, {{2, 3, 4}, 3}, {{2, 4, 3}, 3}, {{2, 1, 12}, 3}, {{4, 3, 2}, 3},
        {{6, 2, 2}, 3}, {{12, 2, 1}, 3}, {{3, 4, 2}, 3}, {{2, 3, 2, 2}, 4}, {{3, 2, 2, 2}, 4}, {{8, 1, 3, 1}, 4}, {{1, 2, 3, 4}, 4}};
    const size_t count = sizeof shapes / sizeof *shapes;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            request r = {.build = reshape, .ndim = shapes[i].ndim, .axis = shapes[k].ndim};
            memcpy(r.sample, shapes[i].dims, sizeof r.sample);
            memcpy(r.dims, shapes[k].dims, sizeof r.dims);
            /* channels of maps that are neither alone nor of one position lie innermost */
            const int64_t from = shapes[i].ndim < 3 || shapes[i].dims[0] == 24 ? 1 : shapes[i].dims[0];
            const int64_t to = shapes[k].ndim < 3 || shapes[k].dims[0] == 24 ? 1 : shapes[k].dims[0];
            assert_int_equal(check(&r, itself), from == to);
        }
    }
    request one = {.build = reshape, .sample = {1, 1, 1}, .ndim = 3, .axis = 0};
    assert_true(check(&one, itself));
}

static int64_t sliced(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[5];
    for (int i = 0; i <= r->ndim; i++)
        from[i] = at[i] + (i == r->axis ? r->before[0] : 0);
    return number(dims, r->ndim + 1, from);
}

static void test_slice(void **state)
{
    (void)state;
    for (int axis = 1; axis <= 4; axis++) {
        request r = {.build = slice, .sample = {5, 3, 4, 6}, .ndim = 4, .axis = axis, .before = {1}, .after = {3}};
        assert_false(check(&r, sliced));
        r.before[0] = 0;
        r.after[0] = r.sample[axis - 1];
        assert_true(check(&r, sliced));
    }
    request sequence = {.build = slice, .sample = {7, 9}, .ndim = 2, .axis = 1, .before = {6}, .after = {7}};
    assert_false(check(&sequence, sliced));
}

static int64_t padded(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[5] = {at[0]};
    for (int i = 1; i <= r->ndim; i++) {
        from[i] = at[i] - r->before[i - 1];
        if (from[i] < 0 || from[i] >= dims[i])
            return -1;
    }
    return number(dims, r->ndim + 1, from);
}

static void test_pad(void **state)
{
    (void)state;
    request volume = {.build = pad, .sample = {3, 2, 4, 5}, .ndim = 4, .before = {1, 0, 2, 3}, .after = {0, 1, 2, 1}};
    request rows = {.build = pad, .sample = {9}, .ndim = 1, .before = {0}, .after = {4}};
    request nothing = {.build = pad, .sample = {3, 4, 5}, .ndim = 3};
    assert_false(check(&volume, padded));
    assert_false(check(&rows, padded));
    assert_true(check(&nothing, padded));
}

/* PyTorch's definition: x viewed as C,f,f,(f,)spatial. */
static int64_t shuffled(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[5] = {at[0], at[1]};
    for (int i = 2; i <= r->ndim; i++) {
        from[1] = from[1] * r->factor + at[i] % r->factor;
        from[i] = at[i] / r->factor;
    }
    return number(dims, r->ndim + 1, from);
}

static void test_pixel_shuffle(void **state)
{
    (void)state;
    request image = {.build = pixel_shuffle, .sample = {18, 4, 5}, .ndim = 3, .factor = 3};
    request volume = {.build = pixel_shuffle, .sample = {16, 2, 3, 4}, .ndim = 4, .factor = 2};
    request nothing = {.build = pixel_shuffle, .sample = {3, 4, 5}, .ndim = 3, .factor = 1};
    assert_false(check(&image, shuffled));
    assert_false(check(&volume, shuffled));
    assert_true(check(&nothing, shuffled));
}

/* "b c (h p1) (w p2) -> b (h w) (p1 p2 c)" */
static int64_t in_patches(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[5] = {at[0], at[2] % dims[1]}, token = at[1], rest = at[2] / dims[1];
    for (int i = r->ndim; i >= 2; i--) {
        const int64_t patch = r->dims[i - 2], grid = dims[i] / patch;
        from[i] = token % grid * patch + rest % patch;
        token /= grid;
        rest /= patch;
    }
    return number(dims, r->ndim + 1, from);
}

static void test_patchify(void **state)
{
    (void)state;
    request image = {.build = patchify, .sample = {3, 6, 8}, .ndim = 3, .dims = {2, 4}};
    request volume = {.build = patchify, .sample = {2, 4, 6, 8}, .ndim = 4, .dims = {2, 3, 4}};
    request pixels = {.build = patchify, .sample = {5, 3, 4}, .ndim = 3, .dims = {1, 1}};
    request whole = {.build = patchify, .sample = {5, 3, 4}, .ndim = 3, .dims = {3, 4}};
    assert_false(check(&image, in_patches));
    assert_false(check(&volume, in_patches));
    assert_true(check(&pixels, in_patches));
    assert_true(check(&whole, in_patches));
}

/* And back. */
static int64_t from_patches(const request *r, const int64_t *dims, const int64_t *at)
{
    int64_t from[3] = {at[0]}, channels = dims[2];
    for (int i = 0; i < r->axis; i++) {
        from[1] = from[1] * (r->before[i] / r->dims[i]) + at[i + 2] / r->dims[i];
        from[2] = from[2] * r->dims[i] + at[i + 2] % r->dims[i];
        channels /= r->dims[i];
    }
    from[2] = from[2] * channels + at[1];
    return number(dims, 3, from);
}

static void test_unpatchify(void **state)
{
    (void)state;
    request image = {.build = unpatchify, .sample = {6, 24}, .ndim = 2, .axis = 2, .before = {6, 8}, .dims = {2, 4}};
    request volume = {.build = unpatchify, .sample = {8, 48}, .ndim = 2, .axis = 3, .before = {4, 6, 8}, .dims = {2, 3, 4}};
    request pixels = {.build = unpatchify, .sample = {12, 5}, .ndim = 2, .axis = 2, .before = {3, 4}, .dims = {1, 1}};
    request voxels = {.build = unpatchify, .sample = {24, 5}, .ndim = 2, .axis = 3, .before = {2, 3, 4}, .dims = {1, 1, 1}};
    assert_false(check(&image, from_patches));
    assert_false(check(&volume, from_patches));
    assert_true(check(&pixels, from_patches));
    assert_true(check(&voxels, from_patches));
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    (void)state;
    static const struct { request r; const char *words; } bad[] = {
        {{slice, {4, 3}, 2, .axis = 0, .after = {1}}, "op (slice): axis 0; 1 to 2 are accepted"},
        {{slice, {4, 3}, 2, .axis = 3, .after = {1}}, "op (slice): axis 3; 1 to 2 are accepted"},
        {{slice, {4, 3}, 2, .axis = 2, .before = {1}, .after = {4}}, "op (slice): 1 to 4 of axis 2; 0 <= begin < end <= 3 is accepted"},
        {{slice, {4, 3}, 2, .axis = 2, .before = {-1}, .after = {2}}, "-1 to 2 of axis 2"},
        {{slice, {4, 3}, 2, .axis = 1, .before = {2}, .after = {2}}, "2 to 2 of axis 1; 0 <= begin < end <= 4"},
        {{pad, {4, 3}, 2, .before = {0, -1}}, "op (pad): -1 before axis 2, must be 0 to 2147483647"},
        {{pad, {4, 3}, 2, .after = {INT64_MAX}}, "op (pad): 9223372036854775807 after axis 1"},
        {{pad, {4, 3}, 2, .after = {INT32_MAX}}, "op (pad): 1x2147483651x3 has more than 2^31 - 1 elements"},
        {{permute, {4, 3}, 2, .order = {1, 0, 2}}, "op (permute): order[0] is 1; 0 comes first, then 1 to 2, each once"},
        {{permute, {4, 3}, 2, .order = {0, 2, 2}}, "op (permute): order[2] is 2"},
        {{permute, {4, 3}, 2, .order = {0, 0, 1}}, "op (permute): order[1] is 0"},
        {{permute, {4, 3}, 2, .order = {0, 1, 3}}, "op (permute): order[2] is 3"},
        {{permute, {4, 3}, 2, .order = {0, -1, 1}}, "op (permute): order[1] is -1"},
        {{reshape, {4, 3}, 2, .axis = 5}, "op (reshape): 5 dimensions a sample given, 0 to 4 are accepted"},
        {{reshape, {4, 3}, 2, .axis = -1}, "op (reshape): -1 dimensions a sample given"},
        {{reshape, {4, 3}, 2, .axis = 2, .dims = {-1, -1}}, "op (reshape): dimension 1 is -1, must be 1 to 2147483647, or one of them -1"},
        {{reshape, {4, 3}, 2, .axis = 1, .dims = {0}}, "op (reshape): dimension 0 is 0"},
        {{reshape, {4, 3}, 2, .axis = 2, .dims = {5, -1}}, "op (reshape): 1x4x3 cannot become 1x5x-1: 12 elements a sample"},
        {{reshape, {4, 3}, 2, .axis = 2, .dims = {4, 4}}, "op (reshape): 1x4x3 cannot become 1x4x4: 12 elements a sample"},
        {{reshape, {4, 3}, 2, .axis = 4, .dims = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}}, "12 elements a sample"},
        {{reshape, {4, 3}, 2, .axis = 0}, "op (reshape): 1x4x3 cannot become 1: 12 elements a sample"},
        {{pixel_shuffle, {4, 3}, 2, .factor = 2}, "op (pixel_shuffle): needs an input N,C,H,W or N,C,D,H,W, got 1x4x3"},
        {{pixel_shuffle, {6, 3, 3}, 3, .factor = 2}, "op (pixel_shuffle): factor 2 of 6 channels; factor^2 must divide the channels"},
        {{pixel_shuffle, {4, 3, 3, 3}, 4, .factor = 2}, "factor^3 must divide the channels"},
        {{pixel_shuffle, {4, 3, 3}, 3, .factor = 0}, "op (pixel_shuffle): factor 0"},
        {{pixel_shuffle, {4, 3, 3}, 3, .factor = INT64_MAX}, "op (pixel_shuffle): factor 9223372036854775807"},
        {{patchify, {4, 3}, 2, .dims = {1, 1}}, "op (patchify): needs an input N,C,H,W or N,C,D,H,W, got 1x4x3"},
        {{patchify, {4, 6, 8}, 3, .dims = {2, 3}}, "op (patchify): patch[1] is 3, must divide the axis of 8"},
        {{patchify, {4, 6, 8}, 3, .dims = {0, 2}}, "op (patchify): patch[0] is 0, must divide the axis of 6"},
        {{unpatchify, {4, 6, 8}, 3, .axis = 2, .before = {2, 2}, .dims = {1, 1}}, "op (unpatchify): needs an input B,T,D, got 1x4x6x8"},
        {{unpatchify, {4, 6}, 2, .axis = 1, .before = {4}, .dims = {1}}, "op (unpatchify): the axes must be 2 or 3"},
        {{unpatchify, {4, 6}, 2, .axis = 2, .before = {4, 0}, .dims = {1, 1}}, "op (unpatchify): size[1] is 0 and patch[1] 1"},
        {{unpatchify, {4, 6}, 2, .axis = 2, .before = {2, 2}, .dims = {3, 1}}, "op (unpatchify): size[0] is 2 and patch[0] 3"},
        {{unpatchify, {4, 6}, 2, .axis = 2, .before = {4, 4}, .dims = {2, 2}}, "patches of 4 positions must divide the 6 elements of a token"},
        {{unpatchify, {4, 8}, 2, .axis = 2, .before = {5, 4}, .dims = {2, 2}}, "op (unpatchify): patch[0] is 2, must divide the axis of 5"},
        {{unpatchify, {4, 8}, 2, .axis = 2, .before = {6, 4}, .dims = {2, 2}}, "op (unpatchify): 6 patches for 4 tokens"},
        {{unpatchify, {4, 8}, 2, .axis = 3, .before = {INT32_MAX, INT32_MAX, INT32_MAX}, .dims = {INT32_MAX, INT32_MAX, INT32_MAX}},
         "must divide the 8 elements of a token"},
        {{unpatchify, {4, 1}, 2, .axis = 3, .before = {INT32_MAX, INT32_MAX, INT32_MAX}, .dims = {1, 1, 1}}, "patches for 4 tokens"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        actc_graph *graph;
        ok(actc_graph_create(context, "moves", &graph));
        assert_null(bad[i].r.build(graph, actc_input(graph, "x", bad[i].r.sample, bad[i].r.ndim), &bad[i].r));
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), bad[i].words))
            fail_msg("'%s' does not say '%s'", actc_error_message(context), bad[i].words);
        actc_graph_destroy(&graph);
    }
}

/* Labels are no operator's input but as targets. */
static void test_numbers_refused(void **state)
{
    (void)state;
    static const struct { double a, b; bool leaky; const char *words; } bad[] = {
        {INFINITY, 0, false, "y (scale): the numbers are inf and 0, must be finite"},
        {1, 1e39, false, "y (scale): the numbers are 1 and inf, must be finite"},
        {NAN, 0, true, "y (leaky_relu): slope is "},
        {-0.25, 0, true, "y (leaky_relu): slope is -0.25, must be 1e-6 to 1e6"},
        {0, 0, true, "y (leaky_relu): slope is 0, must be 1e-6 to 1e6"},
        {1e7, 0, true, "y (leaky_relu): slope is 1e+07, must be 1e-6 to 1e6"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        actc_graph *graph;
        ok(actc_graph_create(context, "refused", &graph));
        actc_tensor *x = actc_input(graph, "x", (int64_t[]){3}, 1);
        assert_null(bad[i].leaky ? actc_leaky_relu(graph, "y", x, bad[i].a) : actc_scale(graph, "y", x, bad[i].a, bad[i].b));
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), bad[i].words))
            fail_msg("'%s' does not say '%s'", actc_error_message(context), bad[i].words);
        actc_graph_destroy(&graph);
    }
}

static void test_labels_refused(void **state)
{
    (void)state;
    const int64_t dims[] = {4};
    for (int i = 0; i < 4; i++) {
        actc_graph *graph;
        ok(actc_graph_create(context, "moves", &graph));
        actc_tensor *labels = actc_input_of(graph, "y", ACTC_I32, dims, 1), *x = actc_input(graph, "x", dims, 1);
        actc_tensor *both[] = {x, labels};
        switch (i) {
        case 0: actc_slice(graph, "op", labels, 1, 0, 1); break;
        case 1: actc_relu(graph, "op", labels); break;
        case 2: actc_concat(graph, "op", both, 2, 1); break;
        default: actc_cross_entropy(graph, "op", labels, actc_label_input(graph, "label")); break;
        }
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), i == 2 ? "input 1, y, is i32, must be f32" : "input 0, y, is i32, must be f32"))
            fail_msg("%d: %s", i, actc_error_message(context));
        actc_graph_destroy(&graph);
    }
}

static int setup(void **state)
{
    (void)state;
    actc_device_options options = actc_device_options_default();
    options.device = "cpu";
    return actc_context_create(NULL, &context) == ACTC_OK && actc_device_open(context, &options, &device) == ACTC_OK ? 0 : -1;
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permute),       cmocka_unit_test(test_reshape),  cmocka_unit_test(test_slice),   cmocka_unit_test(test_pad),
        cmocka_unit_test(test_pixel_shuffle), cmocka_unit_test(test_patchify), cmocka_unit_test(test_unpatchify), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_labels_refused), cmocka_unit_test(test_numbers_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
