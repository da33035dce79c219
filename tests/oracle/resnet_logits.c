/* resnet_logits.c: logits of resnet18 with the weights of a file, for weights_pytorch.py.
 *
 *   resnet_logits WEIGHTS.safetensors INPUTS OUTPUTS COUNT SIDE WIDTH CLASSES
 *
 * INPUTS: COUNT x 3 x SIDE x SIDE f32; OUTPUTS: COUNT x CLASSES f32, written.
 */
#include <stdio.h>
#include <stdlib.h>

#include <actc/actc.h>

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

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    const int64_t count = atoi(argv[4]), side = atoi(argv[5]), sample[] = {3, side, side};
    actc_resnet_options resnet = actc_resnet_options_default();
    resnet.width = atoi(argv[6]);
    resnet.classes = atoi(argv[7]);
    size_t inputs = (size_t)(count * 3 * side * side), outputs = (size_t)(count * resnet.classes);
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
    check(actc_graph_create(context, "resnet18", &graph));
    actc_graph_add_output(graph, actc_resnet(graph, actc_input(graph, "input", sample, 3), &resnet));
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
