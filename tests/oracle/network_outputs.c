/* network_outputs.c: what a network makes of images with the weights of a file, for weights_pytorch.py.
 *
 *   network_outputs WEIGHTS.safetensors INPUTS OUTPUTS COUNT SIDE NETWORK NUMBER...
 *
 * INPUTS: COUNT x 3 x SIDE x SIDE f32; OUTPUTS: f32, written. NETWORK and its numbers: resnet18 WIDTH CLASSES, edsr FEATURES BLOCKS
 * SCALE, deeplabv3plus WIDTH-IN-PERCENT FEATURES CLASSES,
 * efficientnet_b0 WIDTH-IN-PERCENT CLASSES, vit PATCH DIM CLASSES, cvt WIDTH CLASSES.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <actc/actc.h>

#include "cvt.h"
#include "deeplab.h"
#include "edsr.h"
#include "efficientnet.h"
#include "resnet.h"
#include "vit.h"

static actc_context *context;

static void check(actc_status status)
{
    if (status == ACTC_OK)
        return;
    fprintf(stderr, "network_outputs: %s\n", actc_error_message(context));
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
        fprintf(stderr, "network_outputs: cannot transfer %zu values of %s\n", count, path);
        exit(1);
    }
}

/* numbers: three, 0 where fewer are given. */
static actc_tensor *build(actc_graph *graph, const char *network, const int numbers[3], actc_tensor *x)
{
    if (!strcmp(network, "edsr"))
        return actc_edsr(graph, x, &(actc_edsr_options){.features = numbers[0], .blocks = numbers[1], .scale = numbers[2]});
    if (!strcmp(network, "deeplabv3plus"))
        return actc_deeplabv3plus(graph, x, &(actc_deeplab_options){.width = numbers[0] / 100.0, .features = numbers[1],
                                                                    .classes = numbers[2]});
    if (!strcmp(network, "efficientnet_b0")) /* of a quarter of B0's depth */
        return actc_efficientnet(graph, x, &(actc_efficientnet_options){.width = numbers[0] / 100.0, .depth = 0.25, .classes = numbers[1]});
    if (!strcmp(network, "vit"))
        return actc_vit(graph, x, &(actc_vit_options){.patch = {numbers[0], numbers[0]}, .dim = numbers[1], .depth = 2, .heads = 2,
                                                      .head_dim = 5, .hidden = 20, .classes = numbers[2]});
    if (!strcmp(network, "cvt"))
        return actc_cvt(graph, x, &(actc_cvt_options){.dim = {numbers[0], 3 * numbers[0], 6 * numbers[0]}, .depth = {1, 1, 2},
                                                      .heads = {1, 3, 6}, .head_dim = 4, .classes = numbers[1]});
    actc_resnet_options resnet = actc_resnet_options_default();
    resnet.width = numbers[0];
    resnet.classes = numbers[1];
    return actc_resnet(graph, x, &resnet);
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    const int64_t count = atoi(argv[4]), side = atoi(argv[5]), sample[] = {3, side, side};
    const int numbers[3] = {atoi(argv[7]), argc > 8 ? atoi(argv[8]) : 0, argc > 9 ? atoi(argv[9]) : 0};
    size_t inputs = (size_t)(count * 3 * side * side);
    float *images = allocate(inputs);
    transfer(argv[2], "rb", images, inputs);

    actc_device *device;
    actc_graph *graph;
    actc_network *network;
    if (actc_context_create(NULL, &context) != ACTC_OK)
        return 1;
    actc_device_options on = actc_device_options_default();
    on.device = "cpu";
    check(actc_device_open(context, &on, &device));
    check(actc_graph_create(context, argv[6], &graph));
    actc_tensor *y = build(graph, argv[6], numbers, actc_input(graph, "input", sample, 3));
    actc_shape shape = actc_tensor_shape(y);
    actc_graph_add_output(graph, y);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = 0;
    options.infer_batch = count;
    check(actc_network_create(device, graph, &options, &network));
    check(actc_network_initialize(network));
    check(actc_network_load_weights(network, argv[1], false, NULL, NULL, NULL));
    const actc_binding binding = {"input", images};
    size_t outputs = (size_t)(count * actc_shape_elements(&shape));
    float *logits = allocate(outputs);
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
