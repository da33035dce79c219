/* embed.c: a complete program around libactc. Build it with: cc embed.c $(pkg-config --cflags --libs actc) */
#include <actc/actc.h>
#include <stdio.h>
#define BATCH 64

/* Two classes of 16x16 images: stripes across, and stripes down, under noise. */
static void draw(float *images, int32_t *labels, uint32_t *random)
{
    for (int n = 0; n < BATCH; n++) {
        labels[n] = n % 2;
        for (int i = 0; i < 256; i++) {
            *random = *random * 1664525u + 1013904223u;
            float noise = (float)(*random >> 8) / 16777216.0f - 0.5f;
            images[n * 256 + i] = ((labels[n] ? i : i / 16) % 4 < 2 ? 1.0f : -1.0f) + 2.0f * noise;
        }
    }
}

static int train(actc_context *context, actc_device *device)
{
    actc_graph *graph;
    if (actc_graph_create(context, "stripes", &graph) != ACTC_OK)
        return 1;
    actc_tensor *x = actc_input(graph, "image", (const int64_t[]){1, 16, 16}, 3), *y = actc_label_input(graph, "label");
    actc_conv2d_options conv = actc_conv2d_options_default(8, 3);
    actc_max_pool2d_options pool = actc_max_pool2d_options_default(2);
    actc_linear_options fc = actc_linear_options_default(2);
    actc_push_codec(graph, "dct:lambda=20"); /* what these operators save for the backward pass is kept by DCT */
    x = actc_relu(graph, "relu1", actc_conv2d(graph, "conv1", x, &conv));
    x = actc_relu(graph, "relu2", actc_conv2d(graph, "conv2", x, &conv));
    actc_pop_codec(graph);
    x = actc_flatten(graph, "flatten", actc_max_pool2d(graph, "pool", x, &pool));
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_linear(graph, "fc", x, &fc), y));

    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = BATCH;
    actc_network *network = NULL; /* errors in the builder stick, so this one check is enough */
    actc_status status = actc_network_create(device, graph, &options, &network);
    actc_graph_destroy(&graph);
    if (status == ACTC_OK)
        status = actc_network_initialize(network);
    float images[BATCH * 256];
    int32_t labels[BATCH];
    uint32_t random = 1;
    for (int step = 0; status == ACTC_OK && step < 60; step++) {
        actc_step_result result = {.size = sizeof result};
        draw(images, labels, &random);
        status = actc_network_train_step(network, images, labels, 0.005, &result);
        if (step % 20 == 19)
            printf("step %d: loss %.4f\n", step + 1, result.loss);
    }
    double loss = 0;
    int64_t correct = 0;
    actc_memory_report memory = {.size = sizeof memory};
    draw(images, labels, &random);
    if (status == ACTC_OK)
        status = actc_network_evaluate(network, images, labels, BATCH, &loss, &correct);
    if (status == ACTC_OK)
        status = actc_network_memory(network, &memory);
    if (status == ACTC_OK)
        printf("accuracy %.2f; %.0f bytes planned, %.0f allocated, %.0f without compression\n", (double)correct / BATCH,
               (double)memory.planned_bytes, (double)memory.allocated_bytes, (double)memory.planned_bytes_uncompressed);
    else
        fprintf(stderr, "%s\n", actc_error_message(context));
    actc_network_destroy(&network);
    return status != ACTC_OK || correct < BATCH * 9 / 10 || memory.planned_bytes != memory.allocated_bytes;
}

int main(void)
{
    actc_context *context;
    actc_device *device = NULL;
    if (actc_context_create(NULL, &context) != ACTC_OK)
        return 1;
    int failed = actc_device_open(context, NULL, &device) != ACTC_OK || train(context, device);
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return failed;
}
