/* fuzz_checkpoint.c: a checkpoint loaded into a small network, as actc-train --resume does, and its parameters alone. */
#include "fuzz.h"

static actc_network *small_network(void)
{
    static actc_network *network;
    if (network)
        return network;
    const int64_t sample[] = {1, 4, 4};
    actc_conv2d_options conv = actc_conv2d_options_default(2, 3);
    actc_linear_options linear = actc_linear_options_default(3);
    actc_graph *graph;
    FUZZ_CHECK(actc_graph_create(fuzz_context(), "small", &graph) == ACTC_OK);
    actc_tensor *x = actc_input(graph, "input", sample, 3), *labels = actc_label_input(graph, "label");
    x = actc_conv2d(graph, "conv", x, &conv);
    x = actc_flatten(graph, "flatten", x);
    x = actc_linear(graph, "fc", x, &linear);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, labels));
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    options.accumulate = 3; /* so that gradients may be part of the file */
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_ADAM);
    FUZZ_CHECK(actc_network_create(fuzz_device("null"), graph, &options, &network) == ACTC_OK);
    actc_graph_destroy(&graph);
    return network;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    actc_network *network = small_network();
    FUZZ_CHECK(actc_network_initialize(network) == ACTC_OK);
    const char *path = fuzz_file(data, size);
    actc_checkpoint_position p = actc_checkpoint_position_default();
    actc_status status = actc_network_load_checkpoint(network, path, &p);
    fuzz_answered(status);
    if (status != ACTC_OK) {
        FUZZ_CHECK(actc_network_step(network) == 0 && actc_network_updates(network) == 0 && p.epoch == 0 && p.index == 0);
    } else {
        char saved[192];
        FUZZ_CHECK(actc_network_pending(network) >= 0 && actc_network_pending(network) < 3);
        FUZZ_CHECK(p.index >= 0 && p.schedule_bad_epochs >= 0 && p.schedule_reductions >= 0 && p.epoch <= INT64_MAX);
        /* what it says can be saved and is accepted again */
        snprintf(saved, sizeof saved, "%s/saved", fuzz_folder());
        FUZZ_CHECK(actc_network_save_checkpoint(network, saved, &p) == ACTC_OK);
        FUZZ_CHECK(actc_network_load_checkpoint(network, saved, &p) == ACTC_OK);
    }
    fuzz_answered(actc_network_load_parameters(network, path));
    return 0;
}
