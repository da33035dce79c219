/* resnet_logits.c: logits of resnet18, or of another network of the list here, with the weights of a file, for weights_pytorch.py.
 *
 *   resnet_logits NET WEIGHTS.safetensors INPUTS OUTPUTS COUNT SIDE WIDTH CLASSES
 *
 * INPUTS: COUNT x 3 x SIDE x SIDE f32; OUTPUTS: COUNT x CLASSES f32, written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <actc/actc.h>

#include "efficientnet.h"
#include "resnet.h"

static actc_context *context;

static void check(actc_status status)
{
    if (status == ACTC_OK)
        return;
    fprintf(stderr, "resnet_logits: %s\n", actc_error_message(context));
    exit(1);
}

static void *allocate(size_t count)
{
    float *values = calloc(count, sizeof *values);
    if (!values)
        exit(1);
    return values;
}

static void transfer(const char *path, const char *mode, float *values, size_t count)
{
    FILE *file = fopen(path, mode);
    size_t done = !file ? 0 : *mode == 'r' ? fread(values, sizeof *values, count, file) : fwrite(values, sizeof *values, count, file);
    if (!file || done != count || fclose(file)) {
        fprintf(stderr, "resnet_logits: cannot transfer %zu values of %s\n", count, path);
        exit(1);
    }
}

static actc_tensor *resnet18(actc_graph *graph, actc_tensor *x, int64_t width, int64_t classes)
{
    actc_resnet_options options = actc_resnet_options_default();
    options.width = width;
    options.classes = classes;
    return actc_resnet(graph, x, &options);
}

/* Of a quarter of B0's depth; the width in percent. */
static actc_tensor *efficientnet_b0(actc_graph *graph, actc_tensor *x, int64_t width, int64_t classes)
{
    const actc_efficientnet_options options = {.width = (double)width / 100, .depth = 0.25, .classes = classes};
    return actc_efficientnet(graph, x, &options);
}

static const struct net {
    const char *name;
    actc_tensor *(*build)(actc_graph *graph, actc_tensor *x, int64_t width, int64_t classes);
} nets[] = {{"resnet18", resnet18}, {"efficientnet_b0", efficientnet_b0}};

int main(int argc, char **argv)
{
    const struct net *net = NULL;
    for (size_t i = 0; i < sizeof nets / sizeof *nets && argc == 9; i++)
        net = strcmp(argv[1], nets[i].name) ? net : &nets[i];
    if (!net)
        return 2;
    argv++;
    const int64_t count = atoi(argv[4]), side = atoi(argv[5]), classes = atoi(argv[7]), sample[] = {3, side, side};
    size_t inputs = (size_t)(count * 3 * side * side), outputs = (size_t)(count * classes);
    float *images = allocate(inputs), *logits = allocate(outputs);
    transfer(argv[2], "rb", images, inputs);

    actc_device *device;
    actc_graph *graph;
    actc_network *network;
    if (actc_context_create(NULL, &context) != ACTC_OK)
        return 1;
    actc_device_options on = actc_device_options_default();
    on.device = "cpu";
    check(actc_device_open(context, &on, &device));
    check(actc_graph_create(context, net->name, &graph));
    actc_graph_add_output(graph, net->build(graph, actc_input(graph, "input", sample, 3), atoi(argv[6]), classes));
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = 0;
    options.infer_batch = count;
    check(actc_network_create(device, graph, &options, &network));
    check(actc_network_initialize(network));
    check(actc_network_load_weights(network, argv[1], false, NULL, NULL, NULL));
    const actc_binding binding = {"input", images};
    check(actc_network_infer(network, &binding, 1, count));
    check(actc_network_read_output(network, 0, logits));
    transfer(argv[3], "wb", logits, outputs);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    free(images);
    free(logits);
    return 0;
}
