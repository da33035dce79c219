/* operator_cases.c: every operator in a network of its own (tests/operators/list.c), forward and backward, and the optimisers.
 *
 * On deterministic devices loss, gradients, saved tensors, parameters, the optimiser's state, buffers and outputs are EXACT. In the
 * fast mode they are TOLERANT: within the bounds of float64 (float64.h).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../operators/list.h"
#include "float64.h"
#include "parity.h"

#define LEARNING_RATE 0.01

typedef struct operator_run {
    operator_case operator;
    actc_optimizer_kind optimizer;
    double momentum, weight_decay;
    int steps;
} operator_run;

/* A network on a device, and what its steps are given. */
typedef struct prepared {
    actc_graph *graph;
    actc_network *network;
    operator_batch batch;
} prepared;

static void drop(prepared *p)
{
    actc_network_destroy(&p->network);
    actc_graph_destroy(&p->graph);
    operator_batch_free(&p->batch);
}

static bool failed(parity_run *run)
{
    return parity_fail(run, "%s", actc_error_message(run->context));
}

static bool make(const operator_run *o, parity_run *run, actc_device *device, prepared *p)
{
    *p = (prepared){0};
    if (actc_graph_create(run->context, "operator", &p->graph) != ACTC_OK)
        return failed(run);
    operator_graph(&o->operator, p->graph);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = o->operator.batch;
    options.optimizer = actc_optimizer_options_default(o->optimizer);
    options.optimizer.momentum = o->momentum;
    options.optimizer.weight_decay = o->weight_decay;
    options.seed = run->seed;
    options.capture = true;
    actc_status status = actc_network_create(device, p->graph, &options, &p->network);
    if (status == ACTC_ERROR_UNSUPPORTED && device == run->device)
        return parity_skip(run, "%s", actc_error_message(run->context));
    if (status != ACTC_OK || actc_network_initialize(p->network) != ACTC_OK)
        return failed(run);
    return operator_batch_make(&o->operator, p->graph, &p->batch) || parity_fail(run, "out of memory");
}

static bool train(const operator_run *o, parity_run *run, prepared *p, int step, float *loss)
{
    actc_step_result result = {.size = sizeof result};
    operator_batch_fill(&o->operator, p->graph, run->seed + (uint64_t)step, &p->batch);
    if (actc_network_train(p->network, p->batch.bindings, p->batch.n, LEARNING_RATE, &result) != ACTC_OK)
        return failed(run);
    *loss = result.loss;
    return true;
}

/* Evaluations of the batch that it was trained on last: of all its samples, and of half of them. */
static const char *const evaluations[] = {"evaluation", "half"};

static int n_evaluations(const operator_run *o)
{
    return o->operator.mixes_samples ? 1 : 2;
}

static int64_t evaluated_samples(const operator_run *o, int index)
{
    return index == 0 ? o->operator.batch : (o->operator.batch + 1) / 2;
}

/* The word of the result block with the first metric. */
static size_t metric_word(const prepared *p)
{
    return ACTC_RESULT_VALUES + p->graph->n_losses;
}

static bool evaluate(const operator_run *o, parity_run *run, prepared *p, int index, float *loss, int64_t *correct)
{
    if (actc_network_evaluate_batch(p->network, p->batch.bindings, p->batch.n, evaluated_samples(o, index)) != ACTC_OK)
        return failed(run);
    memcpy(loss, &p->network->result[ACTC_RESULT_LOSS], sizeof *loss);
    *correct = p->graph->n_metrics ? p->network->result[metric_word(p)] : 0;
    return true;
}

/* The elements of the operator's output in an evaluation. */
static size_t output_elements(const operator_run *o, const prepared *p, int index)
{
    return (size_t)(evaluated_samples(o, index) * actc_shape_elements(&p->graph->outputs[0]->shape));
}

/* ---- EXACT ---- */

/* All that a step leaves behind. */
static bool hand_over(parity_run *run, actc_network *network, int step, float loss)
{
    char label[64];
    snprintf(label, sizeof label, "%d loss", step);
    parity_exact(run, label, &loss, sizeof loss);
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return failed(run);
        size_t bytes = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
        float *values = malloc(bytes);
        bool good = values && actc_network_read_state(network, i, values) == ACTC_OK;
        snprintf(label, sizeof label, "%d %s", step, info.name);
        if (good)
            parity_exact(run, label, values, bytes);
        free(values);
        if (!good)
            return parity_fail(run, "%s: %s", info.name, values ? actc_error_message(run->context) : "out of memory");
    }
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(network, i, &info) != ACTC_OK)
            return failed(run);
        if (strcmp(info.codec, "mask") == 0 || strcmp(info.codec, "index") == 0 || strcmp(info.codec, "own") == 0)
            continue; /* not readable; gradients show them */
        float *values = malloc((size_t)info.dense_bytes);
        bool good = values && actc_network_read_saved(network, i, values) == ACTC_OK;
        snprintf(label, sizeof label, "%d saved %.30s", step, info.name);
        if (good)
            parity_exact(run, label, values, (size_t)info.dense_bytes);
        free(values);
        if (!good)
            return parity_fail(run, "saved %s: %s", info.name, values ? actc_error_message(run->context) : "out of memory");
    }
    return true;
}

static bool hand_over_evaluation(const operator_run *o, parity_run *run, prepared *p, int index)
{
    float loss = 0;
    int64_t correct = 0;
    char label[48];
    if (!evaluate(o, run, p, index, &loss, &correct))
        return false;
    const double sum = loss;
    const size_t n = output_elements(o, p, index);
    float *output = malloc(n * sizeof *output);
    bool good = output && actc_network_read_output(p->network, 0, output) == ACTC_OK;
    snprintf(label, sizeof label, "%s: loss", evaluations[index]);
    parity_exact(run, label, &sum, sizeof sum);
    snprintf(label, sizeof label, "%s: correct", evaluations[index]);
    parity_exact(run, label, &correct, sizeof correct);
    snprintf(label, sizeof label, "%s: output", evaluations[index]);
    if (good)
        parity_exact(run, label, output, n * sizeof *output);
    free(output);
    return good || parity_fail(run, "the output: %s", output ? actc_error_message(run->context) : "out of memory");
}

static bool run_exact(const parity_case *c, parity_run *run)
{
    const operator_run *o = c->data;
    prepared p;
    bool good = make(o, run, run->device, &p);
    for (int step = 0; good && step < o->steps; step++) {
        float loss = 0;
        good = train(o, run, &p, step, &loss) && hand_over(run, p.network, step, loss);
    }
    for (int i = 0; good && i < n_evaluations(o); i++)
        good = hand_over_evaluation(o, run, &p, i);
    drop(&p);
    return good;
}

/* ---- TOLERANT ---- */

/* What a network gives: from a device, or from float64. */
typedef struct number {
    char label[48];
    size_t n;
    float *got;
    double *value, *error;
} number;

typedef struct numbers {
    number *list;
    size_t n, capacity;
} numbers;

static void free_numbers(void *data)
{
    numbers *all = data;
    for (size_t i = 0; i < all->n; i++) {
        free(all->list[i].got);
        free(all->list[i].value);
        free(all->list[i].error);
    }
    free(all->list);
    free(all);
}

/* NULL where memory has run out, or the list is full. */
static number *add_number(numbers *all, const char *label, size_t n)
{
    if (all->n == all->capacity)
        return NULL;
    number *x = &all->list[all->n++];
    snprintf(x->label, sizeof x->label, "%s", label);
    x->n = n;
    x->got = calloc(n, sizeof *x->got);
    x->value = calloc(n, sizeof *x->value);
    x->error = calloc(n, sizeof *x->error);
    return x->got && x->value && x->error ? x : NULL;
}

/* The loss of a step, `loss`, or of an evaluation. */
static bool add_loss(numbers *all, const char *label, const actc_network *network, bool float64, float loss)
{
    number *x = add_number(all, label, 1);
    if (!x)
        return false;
    x->got[0] = loss;
    if (float64)
        x->value[0] = float64_result(network, ACTC_RESULT_LOSS, x->error);
    return true;
}

static bool add_states(numbers *all, actc_network *network, bool float64)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return false;
        number *x = add_number(all, info.name, (size_t)actc_shape_elements(&info.shape));
        if (!x || (float64 ? !float64_read_state(network, i, x->value, x->error)
                           : actc_network_read_state(network, i, x->got) != ACTC_OK))
            return false;
    }
    return true;
}

static bool add_evaluation(const operator_run *o, parity_run *run, numbers *all, prepared *p, int index, bool float64)
{
    char label[48];
    float loss = 0;
    int64_t correct = 0;
    snprintf(label, sizeof label, "%s: loss", evaluations[index]);
    if (!evaluate(o, run, p, index, &loss, &correct) || !add_loss(all, label, p->network, float64, loss))
        return false;
    snprintf(label, sizeof label, "%s: correct", evaluations[index]);
    number *count = add_number(all, label, 1);
    snprintf(label, sizeof label, "%s: output", evaluations[index]);
    number *output = add_number(all, label, output_elements(o, p, index));
    if (!count || !output)
        return false;
    count->got[0] = (float)correct;
    count->value[0] = (double)correct;
    if (float64) { /* what ties within the errors may go either way */
        float64_result(p->network, (uint32_t)metric_word(p), count->error);
        count->error[0] = count->error[0] < INFINITY ? 0 : (double)p->network->counted[p->graph->n_losses];
    }
    return float64 ? float64_read_output(p->network, 0, output->value, output->error)
                   : actc_network_read_output(p->network, 0, output->got) == ACTC_OK;
}

/* Runs all steps, and hands over what there is after the last. NULL after parity_fail. */
static numbers *collect(const operator_run *o, parity_run *run, actc_device *device)
{
    const bool float64 = device != run->device;
    prepared p;
    numbers *all = calloc(1, sizeof *all);
    bool good = make(o, run, device, &p);
    if (all && good) {
        all->capacity = actc_network_state_count(p.network) + 7;
        all->list = calloc(all->capacity, sizeof *all->list);
    }
    if (good && (!all || !all->list))
        good = parity_fail(run, "out of memory");
    float loss = 0;
    for (int step = 0; good && step < o->steps; step++)
        good = train(o, run, &p, step, &loss);
    if (good)
        good = (add_loss(all, "loss", p.network, float64, loss) && add_states(all, p.network, float64)) ||
               parity_fail(run, "reading results: %s", actc_error_message(run->context));
    for (int i = 0; good && i < n_evaluations(o); i++)
        good = add_evaluation(o, run, all, &p, i, float64) ||
               parity_fail(run, "reading results: %s", actc_error_message(run->context));
    drop(&p);
    if (!good && all)
        free_numbers(all);
    return good ? all : NULL;
}

/* How large the NMSE of values within their bounds can be, where decisions are open; else what rounding makes. */
static double allowed_nmse(const number *wanted)
{
    double bound = 0, energy = 0;
    for (size_t i = 0; i < wanted->n; i++) {
        bound += wanted->error[i] * wanted->error[i];
        energy += wanted->value[i] * wanted->value[i];
    }
    return energy > 0 && bound / energy > 1e-11 ? bound / energy : 1e-11;
}

/* The same parameters on all: they come from the seed, on the host. */
static const numbers *wanted_of(const operator_run *o, parity_run *run)
{
    actc_device *device = NULL;
    if (run->shared)
        return run->shared;
    if (float64_open(run->context, &device) != ACTC_OK) {
        failed(run);
        return NULL;
    }
    run->shared = collect(o, run, device);
    run->free_shared = free_numbers;
    actc_device_destroy(&device);
    return run->shared;
}

static bool run_tolerant(const parity_case *c, parity_run *run)
{
    const operator_run *o = c->data;
    const numbers *wanted = wanted_of(o, run);
    numbers *got = wanted ? collect(o, run, run->device) : NULL;
    bool good = got && (got->n == wanted->n || parity_fail(run, "%zu results, float64 has %zu", got->n, wanted->n));
    for (size_t i = 0; good && i < got->n; i++) {
        const number *x = &got->list[i], *w = &wanted->list[i];
        if (strcmp(x->label, w->label) != 0 || x->n != w->n)
            good = parity_fail(run, "%s(%zu), in float64 %s(%zu)", x->label, x->n, w->label, w->n);
        else
            parity_bounded(run, x->label, x->got, w->value, w->error, x->n, allowed_nmse(w));
    }
    if (got)
        free_numbers(got);
    return good;
}

/* ---- the cases ---- */

static const struct {
    const char *name;
    actc_optimizer_kind kind;
    double momentum, weight_decay;
} optimisers[] = {
    {"sgd(steps=3)", ACTC_OPTIMIZER_SGD, 0, 0},
    {"sgd(momentum=0.9,weight_decay=0.001,steps=3)", ACTC_OPTIMIZER_SGD, 0.9, 1e-3},
    {"adam(steps=3)", ACTC_OPTIMIZER_ADAM, 0, 0},
    {"adam(weight_decay=0.01,steps=3)", ACTC_OPTIMIZER_ADAM, 0, 1e-2},
    {"adamw(weight_decay=0.01,steps=3)", ACTC_OPTIMIZER_ADAMW, 0, 1e-2},
};

static void add_cases(parity_list *list, const operator_run *o)
{
    parity_add(list, PARITY_OPERATOR, ACTC_PARITY_TOLERANT, run_tolerant, o, sizeof *o, "operator.%s", o->operator.name);
    parity_add(list, PARITY_OPERATOR, ACTC_PARITY_EXACT, run_exact, o, sizeof *o, "operator_exact.%s", o->operator.name)
        ->deterministic = true;
}

void parity_operator_cases(parity_list *list)
{
    for (size_t i = 0; i < operator_n_cases; i++) {
        const operator_run o = {.operator = operator_cases[i], .optimizer = ACTC_OPTIMIZER_SGD, .steps = 1};
        add_cases(list, &o);
    }
    for (size_t i = 0; i < sizeof optimisers / sizeof *optimisers; i++) {
        operator_run o = {.operator = operator_optimised, .optimizer = optimisers[i].kind, .momentum = optimisers[i].momentum,
                          .weight_decay = optimisers[i].weight_decay, .steps = 3};
        o.operator.name = optimisers[i].name;
        add_cases(list, &o);
    }
}
