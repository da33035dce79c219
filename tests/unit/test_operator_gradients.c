/* The gradients of every operator (tests/operators/list.c) against differences of the loss, both in float64: the programs that
 * networks are lowered to, run on the device of tests/parity/float64.h. A backward pass that computes something else than the
 * derivative of its forward pass shows here, however well the backends agree with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../operators/list.h"
#include "../parity/float64.h"
#include "../parity/values.h"
#include "graph/op.h"

#define STEP 1e-4      /* of a difference */
#define PLACES 4       /* elements looked at of each parameter */
#define TOLERANCE 1e-6 /* parts of the largest gradient */

static actc_context *context;

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

typedef struct subject {
    const operator_case *c;
    actc_device *device;
    actc_graph *graph;
    actc_network *network;
    operator_batch batch;
} subject;

/* The loss with `by` added to an element of a parameter. */
static double loss_at(subject *s, size_t parameter, uint64_t element, double by)
{
    float64_nudge(s->network, parameter, element, by);
    ok(actc_network_set_step(s->network, 0, 0, 0)); /* the random numbers of the first step */
    ok(actc_network_train(s->network, s->batch.bindings, s->batch.n, 0, NULL));
    float64_nudge(s->network, parameter, element, -by);
    return float64_result(s->network, ACTC_RESULT_LOSS, NULL);
}

static size_t find_state(const actc_network *network, const char *name)
{
    for (size_t i = 0; i < network->n_states; i++)
        if (!strcmp(network->states[i].name, name))
            return i;
    return SIZE_MAX;
}

/* Compares some elements of one parameter's gradient; those next to a kink of the loss, where differences of two widths disagree,
 * are left out. Returns how many were compared. */
static int compare(subject *s, size_t parameter, uint64_t elements, const double *gradient, double scale)
{
    int compared = 0;
    test_rng r = {7 + parameter};
    for (int k = 0; k < PLACES; k++) {
        const uint64_t e = elements <= PLACES ? (uint64_t)k : rng_next(&r) % elements;
        if (e >= elements)
            break;
        const double wide = (loss_at(s, parameter, e, STEP) - loss_at(s, parameter, e, -STEP)) / (2 * STEP);
        const double narrow = (loss_at(s, parameter, e, STEP / 2) - loss_at(s, parameter, e, -STEP / 2)) / STEP;
        const double disagreement = wide > narrow ? wide - narrow : narrow - wide;
        if (disagreement > 1e-4 * scale)
            continue;
        compared++;
        if (!(narrow - gradient[e] <= 2 * disagreement + TOLERANCE * scale) ||
            !(gradient[e] - narrow <= 2 * disagreement + TOLERANCE * scale))
            fail_msg("%s: element %llu of the gradient of %s is %.12g, differences of the loss give %.12g (largest gradient %.3g)",
                     s->c->name, (unsigned long long)e, s->network->states[parameter].name, gradient[e], narrow, scale);
    }
    return compared;
}

static void check(subject *s)
{
    double *gradients[32] = {0}, scale = 0;
    const size_t n = s->network->n_states;
    assert_true(n <= sizeof gradients / sizeof *gradients);
    ok(actc_network_train(s->network, s->batch.bindings, s->batch.n, 0, NULL));
    for (size_t i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "grad.%s", s->network->states[i].name);
        const size_t gradient = find_state(s->network, name);
        const uint64_t elements = s->network->build->places[s->network->states[i].parameter->id].elements;
        if (gradient == SIZE_MAX)
            continue;
        gradients[i] = malloc(elements * sizeof(double));
        assert_non_null(gradients[i]);
        for (uint64_t e = 0; e < elements; e++) {
            const double g = gradients[i][e] = float64_stored(s->network, gradient, e);
            scale = g > scale ? g : -g > scale ? -g : scale;
        }
    }
    assert_true(scale > 0);
    float64_set_limit(s->device, s->network->build->n_forward);
    for (size_t i = 0; i < n; i++) {
        const actc_state_entry *entry = &s->network->states[i];
        if (gradients[i] && !compare(s, i, s->network->build->places[entry->parameter->id].elements, gradients[i], scale))
            fail_msg("%s: %s: nothing could be compared", s->c->name, entry->name);
        free(gradients[i]);
    }
    float64_set_limit(s->device, 0);
}

static void gradients_are_those_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < operator_n_cases; i++) {
        subject s = {.c = &operator_cases[i]};
        ok(float64_open(context, &s.device));
        ok(actc_graph_create(context, "operator", &s.graph));
        operator_graph(s.c, s.graph);
        actc_network_options options = actc_network_options_default();
        options.train_batch = s.c->batch;
        options.seed = 3;
        options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
        ok(actc_network_create(s.device, s.graph, &options, &s.network));
        ok(actc_network_initialize(s.network));
        assert_true(operator_batch_make(s.c, s.graph, &s.batch));
        operator_batch_fill(s.c, s.graph, 11, &s.batch);
        check(&s);
        operator_batch_free(&s.batch);
        actc_network_destroy(&s.network);
        actc_graph_destroy(&s.graph);
        actc_device_destroy(&s.device);
    }
}

/* No operator is without a line. */
static void every_operator_is_listed(void **state)
{
    (void)state;
    bool listed[64] = {false};
    assert_true(actc_n_op_defs <= 64);
    for (size_t i = 0; i < operator_n_cases; i++) {
        actc_graph *graph;
        ok(actc_graph_create(context, "operator", &graph));
        operator_graph(&operator_cases[i], graph);
        ok(actc_graph_status(graph));
        bool kind = false;
        for (size_t k = 0; k < graph->n_ops; k++)
            for (size_t d = 0; d < actc_n_op_defs; d++)
                if (graph->ops[k]->def == actc_op_defs[d]) {
                    listed[d] = true;
                    kind |= !strcmp(actc_op_defs[d]->kind, operator_cases[i].kind);
                }
        if (!kind)
            fail_msg("%s: has no operator of kind %s", operator_cases[i].name, operator_cases[i].kind);
        actc_graph_destroy(&graph);
    }
    for (size_t d = 0; d < actc_n_op_defs; d++)
        if (!listed[d])
            fail_msg("operator definition %zu, of kind %s, is in no line of tests/operators/list.c", d, actc_op_defs[d]->kind);
}

/* What cannot be computed in float64 is refused when it is prepared. */
static void codecs_are_refused(void **state)
{
    (void)state;
    actc_device *device;
    actc_graph *graph;
    actc_network *network = NULL;
    ok(float64_open(context, &device));
    ok(actc_graph_create(context, "operator", &graph));
    operator_graph(&operator_optimised, graph);
    actc_network_options options = actc_network_options_default();
    options.train_batch = 64;
    options.compress = "*=threshold:lambda=4";
    assert_int_equal(actc_network_create(device, graph, &options, &network), ACTC_ERROR_UNSUPPORTED);
    if (!strstr(actc_error_message(context), "codecs are not computed in float64"))
        fail_msg("%s", actc_error_message(context));
    actc_graph_destroy(&graph);
    actc_device_destroy(&device);
}

/* Bounds that have grown beyond all measure leave the values alone. */
static void deep_networks_keep_their_values(void **state)
{
    (void)state;
    enum { BLOCKS = 8, N = 2, C = 4, SIDE = 4 };
    const int64_t dims[] = {C, SIDE, SIDE};
    actc_device *devices[2];
    float x[N * C * SIDE * SIDE], loss[2];
    const int32_t labels[N] = {1, 5};
    double wanted = 0, error = 0;
    actc_device_options cpu = actc_device_options_default();
    cpu.device = "cpu";
    ok(actc_device_open(context, &cpu, &devices[0]));
    ok(float64_open(context, &devices[1]));
    test_rng r = {3};
    for (int i = 0; i < N * C * SIDE * SIDE; i++)
        x[i] = rng_normal(&r);
    for (int d = 0; d < 2; d++) {
        actc_graph *graph;
        actc_network *network;
        ok(actc_graph_create(context, "deep", &graph));
        actc_tensor *y = actc_input(graph, "input", dims, 3), *label = actc_label_input(graph, "label");
        for (int b = 0; b < BLOCKS; b++) {
            char name[16];
            actc_conv2d_options conv = actc_conv2d_options_default(C, 1);
            snprintf(name, sizeof name, "block%d", b);
            actc_push_scope(graph, name);
            y = actc_relu(graph, "relu", actc_batch_norm(graph, "norm", actc_conv2d(graph, "conv", y, &conv), NULL));
            actc_pop_scope(graph);
        }
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_flatten(graph, "flat", y), label));
        actc_network_options options = actc_network_options_default();
        options.train_batch = N;
        ok(actc_network_create(devices[d], graph, &options, &network));
        ok(actc_network_initialize(network));
        actc_step_result result = {.size = sizeof result};
        ok(actc_network_train_step(network, x, labels, 0, &result));
        loss[d] = result.loss;
        if (d == 1)
            wanted = float64_result(network, ACTC_RESULT_LOSS, &error);
        actc_network_destroy(&network);
        actc_graph_destroy(&graph);
        actc_device_destroy(&devices[d]);
    }
    assert_true(error > 1e300);
    assert_true(loss[1] == (float)wanted);
    assert_true(loss[0] - wanted <= 1e-4 * wanted && wanted - loss[0] <= 1e-4 * wanted);
}

static int setup(void **state)
{
    (void)state;
    return actc_context_create(NULL, &context) == ACTC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    actc_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_listed),
        cmocka_unit_test(gradients_are_those_of_the_loss),
        cmocka_unit_test(codecs_are_refused),
        cmocka_unit_test(deep_networks_keep_their_values),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
