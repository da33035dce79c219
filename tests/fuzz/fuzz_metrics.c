/* fuzz_metrics.c: metrics.jsonl of a run that is resumed: lines past the step go, the others stay byte for byte. */
#include "../../tools/train.h"
#include "fuzz.h"

static actc_network *network_at_step(uint64_t step)
{
    static actc_network *network;
    if (!network) {
        const int64_t sample[] = {2};
        actc_linear_options linear = actc_linear_options_default(2);
        actc_graph *graph;
        FUZZ_CHECK(actc_graph_create(fuzz_context(), "small", &graph) == ACTC_OK);
        actc_tensor *x = actc_input(graph, "input", sample, 1), *labels = actc_label_input(graph, "label");
        x = actc_linear(graph, "fc", x, &linear);
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, labels));
        actc_network_options options = actc_network_options_default();
        options.train_batch = 1;
        FUZZ_CHECK(actc_network_create(fuzz_device("null"), graph, &options, &network) == ACTC_OK);
        actc_graph_destroy(&graph);
    }
    FUZZ_CHECK(actc_network_set_step(network, step, step, 0) == ACTC_OK);
    return network;
}

/* The file's length, and whether its content is a part of the input's. */
static size_t read_back(const char *path, char *text, size_t most)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    ssize_t n = read(fd, text, most);
    close(fd);
    FUZZ_CHECK(n >= 0);
    return (size_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tool t = {.name = "actc-train"};
    char folder[192], path[256];
    snprintf(folder, sizeof folder, "%s", fuzz_folder());
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    char *once = malloc(size + 2), *twice = malloc(size + 2);
    FUZZ_CHECK(once && twice);
    fuzz_write("metrics.jsonl", data, size);
    train_run run = {.t = &t, .folder = folder, .network = network_at_step(100), .context = fuzz_context()};
    for (int pass = 0; pass < 2; pass++) {
        FUZZ_CHECK(folder_open_metrics(&run) == 0 && run.metrics);
        fclose(run.metrics);
        run.metrics = NULL;
        size_t n = read_back(path, pass ? twice : once, size + 2);
        FUZZ_CHECK(n <= size); /* nothing is added */
        (pass ? twice : once)[n] = '\0';
    }
    FUZZ_CHECK(strcmp(once, twice) == 0); /* a second time, nothing is left to cut */
    FUZZ_CHECK(!once[0] || once[strlen(once) - 1] == '\n');
    free(once);
    free(twice);
    return 0;
}
