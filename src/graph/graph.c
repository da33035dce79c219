/* graph.c: the builder: names, scopes, operators, parameters. */
#include "graph.h"

#include <string.h>

#include "../codec/codec_plan.h"
#include "../ops/op.h"

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
        actc_free(g->parameters[i]);
    }
    for (size_t i = 0; i < g->n_strings; i++)
        actc_free(g->strings[i]);
    actc_free(g->tensors);
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

static actc_tensor *append_input(actc_graph *graph, const char *name, const actc_shape *shape, actc_dtype dtype)
{
    if (!valid_name(graph, "input", name))
        return NULL;
    const char *kept = keep(graph, actc_strdup(name));
    return kept ? append_tensor(graph, kept, shape, dtype) : NULL;
}

actc_tensor *actc_input(actc_graph *graph, const char *name, const int64_t *dims, int ndim)
{
    if (graph->status != ACTC_OK)
        return NULL;
    if (graph->input)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input %s: the network has an input already (%s)",
                               name ? name : "(null)", graph->input->name);
    if (!dims || ndim < 1 || ndim >= ACTC_MAX_DIMS)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                               "input: %d dimensions a sample given, 1 to %d are accepted", ndim, ACTC_MAX_DIMS - 1);
    actc_shape shape = {.ndim = ndim + 1, .dims = {1}};
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 1 || dims[i] > INT32_MAX)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "input: dimension %d is %lld, must be 1 to %d", i,
                                   (long long)dims[i], INT32_MAX);
        shape.dims[i + 1] = dims[i];
    }
    return graph->input = append_input(graph, name, &shape, ACTC_F32);
}

actc_tensor *actc_label_input(actc_graph *graph, const char *name)
{
    if (graph->status != ACTC_OK)
        return NULL;
    if (graph->labels)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "labels %s: the network has labels already (%s)",
                               name ? name : "(null)", graph->labels->name);
    actc_shape shape = {.ndim = 1, .dims = {1}};
    return graph->labels = append_input(graph, name, &shape, ACTC_I32);
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

actc_tensor *actc_graph_append(actc_graph *graph, const char *name, const actc_op *prototype)
{
    if (graph->status != ACTC_OK)
        return NULL;
    char why[256] = "";
    actc_shape in[ACTC_OP_MAX_INPUTS], out = {0};
    for (uint32_t i = 0; i < prototype->n_inputs; i++)
        in[i] = prototype->inputs[i]->shape;
    if (!prototype->def->infer(prototype, in, &out, why, sizeof why))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): %s", name, prototype->def->kind, why);
    if (!actc_grow((void **)&graph->ops, &graph->ops_capacity, graph->n_ops + 1, sizeof *graph->ops))
        return no_memory(graph);
    actc_op *op = actc_malloc(sizeof *op);
    char *path = path_of(graph, name);
    if (!op || !path) {
        actc_free(op);
        actc_free(path);
        return no_memory(graph);
    }
    *op = *prototype;
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

static actc_parameter *append_parameter(actc_graph *graph, char *name, const int64_t *dims, int ndim,
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
    memcpy(parameter->shape.dims, dims, (size_t)ndim * sizeof *dims);
    parameter->layout = layout;
    parameter->init = init;
    parameter->fan_in = fan_in;
    parameter->frozen = frozen;
    graph->parameters[graph->n_parameters++] = parameter;
    return parameter;
}

actc_parameter *actc_graph_parameter(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims,
                                     int ndim, actc_parameter_layout layout, int64_t fan_in, bool frozen)
{
    if (graph->status != ACTC_OK)
        return NULL;
    char *path = path_of(graph, op_name);
    if (!path)
        return no_memory(graph);
    for (char *p = path; *p; p++)
        if (*p == '/')
            *p = '.';
    char *name = actc_format("%s.%s", path, suffix);
    actc_free(path);
    return append_parameter(graph, name, dims, ndim, layout, ACTC_INIT_DEFAULT, fan_in, frozen);
}

actc_parameter *actc_parameter_create(actc_graph *graph, const char *name, const int64_t *dims, int ndim, actc_init init,
                                      int64_t fan_in)
{
    if (graph->status != ACTC_OK)
        return NULL;
    if (!name || !*name || !dims || ndim < 1 || ndim > 4)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: needs a name and 1 to 4 dimensions",
                               name ? name : "(null)");
    if (init != ACTC_INIT_ZEROS && init != ACTC_INIT_ONES && fan_in < 1)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "parameter %s: fan_in is %lld, must be > 0", name,
                               (long long)fan_in);
    return append_parameter(graph, actc_strdup(name), dims, ndim, ndim == 4 ? ACTC_LAYOUT_OHWI : ACTC_LAYOUT_PLAIN, init,
                            fan_in, false);
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

void actc_graph_set_loss(actc_graph *graph, actc_tensor *loss)
{
    if (graph->status != ACTC_OK)
        return;
    if (!loss || loss->graph != graph || !loss->producer || !loss->producer->def->is_loss)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                        "actc_graph_set_loss: needs the output of a loss operator of this graph (nll_loss, cross_entropy)");
    else if (graph->loss)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "actc_graph_set_loss: the loss is %s already", graph->loss->name);
    else
        graph->loss = loss;
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
            actc_shape in[ACTC_OP_MAX_INPUTS];
            const actc_op *op = tensor->producer;
            for (uint32_t k = 0; k < op->n_inputs; k++)
                in[k] = shapes[op->inputs[k]->id];
            if (!op->def->infer(op, in, &shapes[i], why, sizeof why))
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
