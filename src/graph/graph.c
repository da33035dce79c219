/* graph.c: the builder: names, scopes, operators, parameters. */
#include "graph.h"

#include <math.h>
#include <string.h>

#include "../codec/codec_plan.h"
#include "kernel_params.h"
#include "op.h"

/* The error whose message the context has now becomes the graph's. */
static void keep_error(actc_graph *graph, actc_status status)
{
    graph->status = status;
    graph->message = actc_strdup(actc_error_message(graph->context));
}

void *actc_graph_fail(actc_graph *graph, actc_status status, const char *format, ...)
{
    if (graph->status == ACTC_OK) {
        va_list args;
        va_start(args, format);
        keep_error(graph, actc_fail_v(graph->context, status, format, args));
        va_end(args);
    }
    return NULL;
}

actc_status actc_graph_check(const actc_graph *graph)
{
    if (graph->status == ACTC_OK)
        return ACTC_OK;
    return actc_fail(graph->context, graph->status, "%s", graph->message ? graph->message : actc_status_string(graph->status));
}

static void *no_memory(actc_graph *graph)
{
    return actc_graph_fail(graph, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory while building network %s", graph->name);
}

actc_status actc_graph_create(actc_context *context, const char *name, actc_graph **out)
{
    if (!out)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_graph_create: out is NULL");
    *out = NULL;
    if (!name || !*name)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "a network needs a name");
    actc_graph *graph = actc_calloc(1, sizeof *graph);
    if (!graph)
        return actc_out_of_memory(context, sizeof *graph, "a graph");
    graph->context = context;
    graph->references = 1;
    graph->name = actc_strdup(name);
    if (!graph->name) {
        actc_free(graph);
        return actc_out_of_memory(context, strlen(name), "a graph's name");
    }
    *out = graph;
    return ACTC_OK;
}

void actc_graph_destroy(actc_graph **graph)
{
    if (!graph || !*graph)
        return;
    actc_graph *g = *graph;
    *graph = NULL;
    if (--g->references)
        return;
    for (size_t i = 0; i < g->n_tensors; i++)
        actc_free(g->tensors[i]);
    for (size_t i = 0; i < g->n_ops; i++) {
        actc_free(g->ops[i]->path);
        actc_free(g->ops[i]);
    }
    for (size_t i = 0; i < g->n_parameters; i++) {
        actc_free(g->parameters[i]->name);
        actc_free(g->parameters[i]->values);
        actc_free(g->parameters[i]);
    }
    for (size_t i = 0; i < g->n_strings; i++)
        actc_free(g->strings[i]);
    actc_free(g->tensors);
    actc_free(g->inputs);
    actc_free(g->losses);
    actc_free(g->metrics);
    actc_free(g->outputs);
    actc_free(g->ops);
    actc_free(g->parameters);
    actc_free(g->strings);
    actc_free(g->name);
    actc_free(g->message);
    actc_free(g);
}

actc_graph *actc_graph_retain(const actc_graph *graph)
{
    /* Counting is no change that a reader of the graph could see. */
    actc_graph *counted = (actc_graph *)(uintptr_t)graph;
    counted->references++;
    return counted;
}

actc_status actc_graph_status(const actc_graph *graph)
{
    return graph->status;
}

actc_shape actc_tensor_shape(const actc_tensor *tensor)
{
    return tensor ? tensor->shape : (actc_shape){0};
}

/* A string that lives as long as the graph; takes `text` over. */
static const char *keep(actc_graph *graph, char *text)
{
    if (!text || !actc_grow((void **)&graph->strings, &graph->strings_capacity, graph->n_strings + 1, sizeof *graph->strings)) {
        actc_free(text);
        return no_memory(graph);
    }
    graph->strings[graph->n_strings++] = text;
    return text;
}

static bool valid_name(actc_graph *graph, const char *what, const char *name)
{
    static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (name && *name && strlen(name) < 64 && strspn(name, accepted) == strlen(name))
        return true;
    actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s name '%s': a name is 1 to 63 letters, digits, '_' or '-'", what,
                    name ? name : "(null)");
    return false;
}

/* "scope/scope/name" */
static char *path_of(const actc_graph *graph, const char *name)
{
    return actc_format("%s%s", graph->n_scopes ? graph->scopes[graph->n_scopes - 1] : "", name);
}

static actc_tensor *append_tensor(actc_graph *graph, const char *name, const actc_shape *shape, actc_dtype dtype)
{
    if (!actc_grow((void **)&graph->tensors, &graph->tensors_capacity, graph->n_tensors + 1, sizeof *graph->tensors))
        return no_memory(graph);
    actc_tensor *tensor = actc_calloc(1, sizeof *tensor);
    if (!tensor)
        return no_memory(graph);
    tensor->graph = graph;
    tensor->id = (uint32_t)graph->n_tensors;
    tensor->name = name;
    tensor->shape = *shape;
    tensor->dtype = dtype;
    graph->tensors[graph->n_tensors++] = tensor;
    return tensor;
}

actc_tensor *actc_input_of(actc_graph *graph, const char *name, actc_dtype dtype, const int64_t *dims, int ndim)
{
    if (graph->status != ACTC_OK || !valid_name(graph, "input", name))
        return NULL;
    if (dtype != ACTC_F32 && dtype != ACTC_I32)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input %s: dtype %d; ACTC_F32 and ACTC_I32 are accepted", name,
                               (int)dtype);
    if (ndim < 0 || ndim >= ACTC_MAX_DIMS || (ndim && !dims))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input %s: %d dimensions a sample given, 0 to %d are accepted",
                               name, ndim, ACTC_MAX_DIMS - 1);
    actc_shape shape = {.ndim = ndim + 1, .dims = {1}};
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 1 || dims[i] > INT32_MAX)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input %s: dimension %d is %lld, must be 1 to %d", name, i,
                                   (long long)dims[i], INT32_MAX);
        shape.dims[i + 1] = dims[i];
    }
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (!strcmp(graph->inputs[i]->name, name))
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input %s: there is one of this name already", name);
    if (!actc_grow((void **)&graph->inputs, &graph->inputs_capacity, graph->n_inputs + 1, sizeof *graph->inputs))
        return no_memory(graph);
    const char *kept = keep(graph, actc_strdup(name));
    actc_tensor *tensor = kept ? append_tensor(graph, kept, &shape, dtype) : NULL;
    if (tensor)
        graph->inputs[graph->n_inputs++] = tensor;
    return tensor;
}

actc_tensor *actc_input(actc_graph *graph, const char *name, const int64_t *dims, int ndim)
{
    return actc_input_of(graph, name, ACTC_F32, dims, ndim);
}

actc_tensor *actc_label_input(actc_graph *graph, const char *name)
{
    return actc_input_of(graph, name, ACTC_I32, NULL, 0);
}

actc_tensor *actc_graph_input_of(const actc_graph *graph, actc_dtype dtype)
{
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i]->dtype == dtype)
            return graph->inputs[i];
    return NULL;
}

void actc_push_scope(actc_graph *graph, const char *name)
{
    if (graph->status != ACTC_OK || !valid_name(graph, "scope", name))
        return;
    if (graph->n_scopes == sizeof graph->scopes / sizeof *graph->scopes) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "scope %s: more than 32 scopes deep", name);
        return;
    }
    const char *prefix = keep(graph, actc_format("%s%s/", graph->n_scopes ? graph->scopes[graph->n_scopes - 1] : "", name));
    if (prefix)
        graph->scopes[graph->n_scopes++] = prefix;
}

void actc_pop_scope(actc_graph *graph)
{
    if (graph->status != ACTC_OK)
        return;
    if (!graph->n_scopes)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "actc_pop_scope without a scope");
    else
        graph->n_scopes--;
}

void actc_push_codec(actc_graph *graph, const char *spec)
{
    if (graph->status != ACTC_OK)
        return;
    actc_codec_spec parsed;
    actc_status status = actc_codec_spec_parse(graph->context, spec ? spec : "", &parsed);
    if (status != ACTC_OK) {
        keep_error(graph, status);
        return;
    }
    if (graph->n_codecs == sizeof graph->codecs / sizeof *graph->codecs) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "codec %s: more than 32 codecs deep", spec);
        return;
    }
    const char *kept = keep(graph, actc_strdup(spec));
    if (kept)
        graph->codecs[graph->n_codecs++] = kept;
}

void actc_pop_codec(actc_graph *graph)
{
    if (graph->status != ACTC_OK)
        return;
    if (!graph->n_codecs)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "actc_pop_codec without a codec");
    else
        graph->n_codecs--;
}

bool actc_graph_accepts(actc_graph *graph, actc_tensor *const *inputs, uint32_t n_inputs, const char *name)
{
    if (graph->status != ACTC_OK || !valid_name(graph, "operator", name))
        return false;
    for (uint32_t i = 0; i < n_inputs; i++) {
        if (!inputs[i] || inputs[i]->graph != graph) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s: input %u is %s", name, i,
                            inputs[i] ? "of another graph" : "NULL");
            return false;
        }
    }
    return true;
}

bool actc_graph_take_options(actc_graph *graph, const char *op_name, const char *what, const void *given, size_t full,
                             const void *defaults, void *out)
{
    actc_status status = actc_take_options(graph->context, what, given, full, defaults, out);
    if (status != ACTC_OK) {
        char *why = actc_strdup(actc_error_message(graph->context));
        actc_graph_fail(graph, status, "%s: %s", op_name, why ? why : what);
        actc_free(why);
    }
    return status == ACTC_OK;
}

/* The output's shape from the inputs' shapes[tensor id], or from those for batch 1 where that is NULL. */
static bool infer(const actc_op *op, const actc_shape *shapes, actc_shape *out, char *why, size_t why_size)
{
    actc_shape few[8] = {0}, *in = op->n_inputs <= 8 ? few : actc_calloc(op->n_inputs, sizeof *in);
    if (!in) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < op->n_inputs; i++)
        in[i] = shapes ? shapes[op->inputs[i]->id] : op->inputs[i]->shape;
    *out = (actc_shape){0};
    bool good = op->def->infer(op, in, out, why, why_size);
    if (in != few)
        actc_free(in);
    return good;
}

/* A copy with arrays and attributes of its own, all in one block. */
static actc_op *copy_op(const actc_op *prototype)
{
    size_t inputs = prototype->n_inputs * sizeof *prototype->inputs, parameters = prototype->n_parameters * sizeof *prototype->parameters;
    size_t attributes = prototype->attributes ? prototype->def->attributes_bytes : 0;
    size_t arrays_at = actc_align(sizeof *prototype, 16), attributes_at = actc_align(arrays_at + inputs + parameters, 16);
    char *block = actc_calloc(1, attributes_at + attributes);
    if (!block)
        return NULL;
    actc_op *op = (actc_op *)block;
    *op = *prototype;
    op->inputs = (actc_tensor **)(void *)(block + arrays_at);
    op->parameters = (actc_parameter **)(void *)(block + arrays_at + inputs);
    op->attributes = attributes ? block + attributes_at : NULL;
    if (inputs)
        memcpy(op->inputs, prototype->inputs, inputs);
    if (parameters)
        memcpy(op->parameters, prototype->parameters, parameters);
    if (attributes)
        memcpy(block + attributes_at, prototype->attributes, attributes);
    return op;
}

/* What layers compute with is f32; losses and metrics have targets of other types behind their first input. */
static bool takes_types(const actc_op *op, char *why, size_t why_size)
{
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i]->dtype == ACTC_F32 || (i > 0 && op->def->role != ACTC_OP_LAYER))
            continue;
        snprintf(why, why_size, "input %u, %s, is i32, must be f32", i, op->inputs[i]->name);
        return false;
    }
    return true;
}

actc_tensor *actc_graph_append(actc_graph *graph, const char *name, const actc_op *prototype)
{
    if (graph->status != ACTC_OK)
        return NULL;
    char why[256] = "";
    actc_shape out;
    if (!takes_types(prototype, why, sizeof why) || !infer(prototype, NULL, &out, why, sizeof why))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s%s (%s): %s", graph->n_scopes ? graph->scopes[graph->n_scopes - 1] : "",
                               name, prototype->def->kind, why);
    if (!actc_grow((void **)&graph->ops, &graph->ops_capacity, graph->n_ops + 1, sizeof *graph->ops))
        return no_memory(graph);
    actc_op *op = copy_op(prototype);
    char *path = path_of(graph, name);
    if (!op || !path) {
        actc_free(op);
        actc_free(path);
        return no_memory(graph);
    }
    op->path = path;
    op->hash = actc_hash(path);
    op->id = (uint32_t)graph->n_ops;
    op->codec = graph->n_codecs ? graph->codecs[graph->n_codecs - 1] : NULL;
    actc_tensor *output = NULL;
    for (size_t i = 0; i < graph->n_ops; i++) /* equal hashes would share random numbers */
        if (graph->ops[i]->hash == op->hash)
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "operator %s: %s %s exists already", path,
                            strcmp(graph->ops[i]->path, path) ? "an operator with the same hash," : "the path",
                            graph->ops[i]->path);
    if (graph->status == ACTC_OK)
        output = append_tensor(graph, path, &out, ACTC_F32);
    if (!output) {
        actc_free(path);
        actc_free(op);
        return NULL;
    }
    output->producer = op;
    op->output = output;
    for (uint32_t i = 0; i < op->n_inputs; i++)
        op->inputs[i]->consumers++;
    graph->ops[graph->n_ops++] = op;
    return output;
}

static actc_parameter *append_parameter(actc_graph *graph, char *name, const int64_t *dims, int ndim, actc_parameter_role role,
                                        actc_parameter_layout layout, actc_init init, int64_t fan_in, bool frozen)
{
    if (!name || !actc_grow((void **)&graph->parameters, &graph->parameters_capacity, graph->n_parameters + 1,
                            sizeof *graph->parameters)) {
        actc_free(name);
        return no_memory(graph);
    }
    uint64_t elements = 1;
    for (int i = 0; i < ndim; i++)
        if (dims[i] < 1 || !actc_mul_u64(elements, (uint64_t)dims[i], &elements) || elements > INT32_MAX)
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                            "parameter %s: dimension %d is %lld; dimensions are at least 1 and at most 2^31 - 1 elements in all",
                            name, i, (long long)dims[i]);
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (!strcmp(graph->parameters[i]->name, name))
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s exists already", name);
    actc_parameter *parameter = graph->status == ACTC_OK ? actc_calloc(1, sizeof *parameter) : NULL;
    if (!parameter) {
        actc_free(name);
        return no_memory(graph);
    }
    parameter->graph = graph;
    parameter->id = (uint32_t)graph->n_parameters;
    parameter->name = name;
    parameter->shape.ndim = ndim;
    if (ndim)
        memcpy(parameter->shape.dims, dims, (size_t)ndim * sizeof *dims);
    parameter->role = role;
    parameter->layout = layout;
    parameter->init = init;
    parameter->fan_in = fan_in;
    parameter->frozen = frozen;
    graph->parameters[graph->n_parameters++] = parameter;
    return parameter;
}

/* "scope.scope.name.suffix"; NULL when out of memory. */
static char *parameter_name(const actc_graph *graph, const char *op_name, const char *suffix)
{
    char *path = path_of(graph, op_name);
    for (char *p = path; p && *p; p++)
        if (*p == '/')
            *p = '.';
    char *name = path ? actc_format("%s.%s", path, suffix) : NULL;
    actc_free(path);
    return name;
}

actc_parameter *actc_graph_parameter(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims,
                                     int ndim, actc_parameter_layout layout, actc_init init, int64_t fan_in, bool frozen)
{
    if (graph->status != ACTC_OK)
        return NULL;
    return append_parameter(graph, parameter_name(graph, op_name, suffix), dims, ndim, ACTC_ROLE_WEIGHT, layout, init, fan_in,
                            frozen);
}

actc_parameter *actc_graph_state(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims, int ndim,
                                 actc_init init)
{
    if (graph->status != ACTC_OK)
        return NULL;
    return append_parameter(graph, parameter_name(graph, op_name, suffix), dims, ndim, ACTC_ROLE_STATE, ACTC_LAYOUT_PLAIN, init, 1,
                            true);
}

void actc_graph_counter(actc_graph *graph, const char *op_name, const char *suffix)
{
    if (graph->status == ACTC_OK)
        append_parameter(graph, parameter_name(graph, op_name, suffix), NULL, 0, ACTC_ROLE_COUNTER, ACTC_LAYOUT_PLAIN,
                         ACTC_INIT_ZEROS, 1, true);
}

actc_parameter *actc_parameter_create(actc_graph *graph, const char *name, const int64_t *dims, int ndim, actc_init init,
                                      int64_t fan_in)
{
    if (graph->status != ACTC_OK)
        return NULL;
    if (!name || !*name || !dims || ndim < 1 || ndim > ACTC_MAX_DIMS)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: needs a name and 1 to %d dimensions",
                               name ? name : "(null)", ACTC_MAX_DIMS);
    if ((int)init < ACTC_INIT_DEFAULT || init > ACTC_INIT_KAIMING_NORMAL)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: init is %d, must be one of ACTC_INIT_*", name,
                               (int)init);
    if (init != ACTC_INIT_ZEROS && init != ACTC_INIT_ONES && fan_in < 1)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: fan_in is %lld, must be > 0", name,
                               (long long)fan_in);
    return append_parameter(graph, actc_strdup(name), dims, ndim, ACTC_ROLE_WEIGHT,
                            ndim >= 4 ? ACTC_LAYOUT_CHANNELS_LAST : ACTC_LAYOUT_PLAIN, init, fan_in, false);
}

void actc_parameter_set_values(actc_parameter *parameter, const float *values)
{
    if (!parameter || parameter->graph->status != ACTC_OK)
        return;
    const size_t n = (size_t)actc_shape_elements(&parameter->shape);
    bool finite = values != NULL;
    for (size_t i = 0; i < n && finite; i++)
        finite = isfinite(values[i]);
    if (!finite) {
        actc_graph_fail(parameter->graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: needs %zu finite values", parameter->name, n);
        return;
    }
    if (!parameter->values && !(parameter->values = actc_malloc(n * sizeof *values)))
        no_memory(parameter->graph);
    else
        memcpy(parameter->values, values, n * sizeof *values);
}

void actc_parameter_freeze(actc_parameter *parameter)
{
    if (parameter)
        parameter->frozen = true;
}

bool actc_graph_check_parameter(actc_graph *graph, const char *op_name, const actc_parameter *parameter,
                                const int64_t *dims, int ndim)
{
    actc_shape wanted = {.ndim = ndim};
    memcpy(wanted.dims, dims, (size_t)ndim * sizeof *dims);
    char a[96], b[96];
    if (parameter->graph != graph)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s: parameter %s is of another graph", op_name, parameter->name);
    else if (parameter->shape.ndim != ndim || memcmp(parameter->shape.dims, dims, (size_t)ndim * sizeof *dims) != 0)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s: parameter %s is %s, must be %s", op_name, parameter->name,
                        actc_shape_text(&parameter->shape, a), actc_shape_text(&wanted, b));
    else
        return true;
    return false;
}

/* Whether `tensor` is of this graph and made by an operator of this role. */
static bool made_by(actc_graph *graph, const actc_tensor *tensor, actc_op_role role, const char *call, const char *what)
{
    if (tensor && tensor->graph == graph && tensor->producer && tensor->producer->def->role == role)
        return true;
    actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s: needs the output of %s of this graph", call, what);
    return false;
}

void actc_graph_add_loss(actc_graph *graph, actc_tensor *loss, double weight)
{
    if (graph->status != ACTC_OK ||
        !made_by(graph, loss, ACTC_OP_LOSS, "actc_graph_add_loss", "a loss operator (nll_loss, cross_entropy)"))
        return;
    if (!(weight > 0 && weight <= 1e30)) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "loss %s: weight %g, must be > 0 and <= 1e30", loss->name, weight);
        return;
    }
    for (size_t i = 0; i < graph->n_losses; i++)
        if (graph->losses[i].tensor == loss)
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "loss %s is added already", loss->name);
    if (graph->status != ACTC_OK)
        return;
    if (graph->n_losses + graph->n_metrics == ACTC_STEP_VALUES)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "loss %s: a network has at most %u losses and metrics", loss->name,
                        ACTC_STEP_VALUES);
    else if (!actc_grow((void **)&graph->losses, &graph->losses_capacity, graph->n_losses + 1, sizeof *graph->losses))
        no_memory(graph);
    else
        graph->losses[graph->n_losses++] = (actc_graph_loss){loss, weight};
}

/* Appends to a list of tensors. */
static void add_tensor(actc_graph *graph, const actc_tensor ***list, size_t *count, size_t *capacity, const actc_tensor *tensor)
{
    for (size_t i = 0; i < *count; i++)
        if ((*list)[i] == tensor)
            return;
    if (!actc_grow((void **)list, capacity, *count + 1, sizeof **list))
        no_memory(graph);
    else
        (*list)[(*count)++] = tensor;
}

void actc_graph_add_metric(actc_graph *graph, actc_tensor *metric)
{
    if (graph->status != ACTC_OK ||
        !made_by(graph, metric, ACTC_OP_METRIC, "actc_graph_add_metric", "a metric operator (count_correct)"))
        return;
    if (graph->n_losses + graph->n_metrics == ACTC_STEP_VALUES)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "metric %s: a network has at most %u losses and metrics", metric->name,
                        ACTC_STEP_VALUES);
    else
        add_tensor(graph, &graph->metrics, &graph->n_metrics, &graph->metrics_capacity, metric);
}

void actc_graph_add_output(actc_graph *graph, actc_tensor *tensor)
{
    if (graph->status != ACTC_OK || !made_by(graph, tensor, ACTC_OP_LAYER, "actc_graph_add_output", "an operator that is no loss"))
        return;
    add_tensor(graph, &graph->outputs, &graph->n_outputs, &graph->outputs_capacity, tensor);
}

actc_status actc_graph_shapes(const actc_graph *graph, int64_t batch, actc_shape *shapes)
{
    char why[256];
    for (size_t i = 0; i < graph->n_tensors; i++) {
        const actc_tensor *tensor = graph->tensors[i];
        if (!tensor->producer) {
            shapes[i] = tensor->shape;
            shapes[i].dims[0] = batch;
        } else {
            const actc_op *op = tensor->producer;
            if (!infer(op, shapes, &shapes[i], why, sizeof why))
                return actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s) at batch %lld: %s", op->path,
                                 op->def->kind, (long long)batch, why);
        }
        uint64_t elements = 1;
        for (int d = 0; d < shapes[i].ndim; d++)
            if (!actc_mul_u64(elements, (uint64_t)shapes[i].dims[d], &elements) || elements > INT32_MAX)
                return actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT,
                                 "%s: more than 2^31 - 1 elements at batch %lld; use a smaller batch", tensor->name,
                                 (long long)batch);
    }
    return ACTC_OK;
}
