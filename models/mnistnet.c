/* mnistnet.c: MnistNet of Vu et al. (TMLR 2024), 150,194 parameters.
 *
 * conv1 1->16 k3 - relu1 - conv2 16->8 k3 - max-pool 2 - dropout2d 0.25 - flatten 1152 - fc1 128 - relu2 - dropout 0.5 -
 * fc2 10 - log-softmax - NLL. Names and layouts are PyTorch's, so weights move both ways.
 */
#include "models.h"

static void build(actc_graph *graph, const actc_model_config *config)
{
    actc_conv2d_options conv1 = actc_conv2d_options_default(16, 3), conv2 = actc_conv2d_options_default(8, 3);
    actc_max_pool2d_options pool = actc_max_pool2d_options_default(2);
    actc_linear_options fc1 = actc_linear_options_default(128), fc2 = actc_linear_options_default(config->classes);

    double share = (double)config->options[0] / 100;
    actc_tensor *x = actc_input(graph, "input", config->sample.dims, config->sample.ndim);
    actc_tensor *labels = actc_label_input(graph, "label");
    x = actc_conv2d(graph, "conv1", x, &conv1);
    x = actc_relu(graph, "relu1", x);
    x = actc_conv2d(graph, "conv2", x, &conv2);
    x = actc_max_pool2d(graph, "maxpool", x, &pool);
    x = actc_dropout2d(graph, "drop1", x, 0.25 * share);
    x = actc_flatten(graph, "flatten", x);
    x = actc_linear(graph, "fc1", x, &fc1);
    x = actc_relu(graph, "relu2", x);
    x = actc_dropout(graph, "drop2", x, 0.5 * share);
    x = actc_linear(graph, "fc2", x, &fc2);
    x = actc_log_softmax(graph, "log_softmax", x);
    actc_graph_set_loss(graph, actc_nll_loss(graph, "loss", x, labels));
}

const actc_model actc_model_mnistnet = {
    .name = "mnistnet",
    .summary = "the small network of the reference, for 28x28 grey images",
    .usual = {.sample = {.ndim = 3, .dims = {1, 28, 28}}, .classes = 10},
    .fixed = true,
    .options = {{"dropout", "percent of the rates 0.25 and 0.5; 0: no dropout", 100, 0, 100}},
    .dataset = "fashion-mnist",
    .mean = 0.1307,
    .std = 0.3081,
    .build = build,
};
