/* fuzz_rules.c: --compress rules, parsed, matched and applied to MnistNet; a network is planned from what is accepted. */
#include "fuzz.h"

#include "models.h"
#include "policy/policy.h"

static actc_graph *mnistnet(void)
{
    static actc_graph *graph;
    if (!graph) {
        FUZZ_CHECK(actc_graph_create(fuzz_context(), "mnistnet", &graph) == ACTC_OK);
        actc_model_build(&actc_model_mnistnet, graph);
        FUZZ_CHECK(actc_graph_status(graph) == ACTC_OK);
    }
    return graph;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    actc_rules rules;
    actc_status status = actc_rules_parse(fuzz_context(), text, &rules);
    fuzz_answered(status);
    FUZZ_CHECK(status == ACTC_OK || (!rules.rules && !rules.n_rules));
    static const char *const paths[] = {"", "conv1", "block1/conv[2]", "a/b/c/d/e/f"};
    for (size_t i = 0; i < rules.n_rules; i++)
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++)
            actc_rule_matches(&rules.rules[i], paths[k], "conv");
    actc_rules_destroy(&rules);

    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = 2;
    options.compress = text;
    actc_network *network;
    actc_status created = actc_network_create(fuzz_device("null"), mnistnet(), &options, &network);
    fuzz_answered(created);
    FUZZ_CHECK(created != ACTC_OK || status == ACTC_OK);
    if (created == ACTC_OK) {
        actc_memory_report report = {.size = sizeof report};
        FUZZ_CHECK(actc_network_memory(network, &report) == ACTC_OK);
        FUZZ_CHECK(report.planned_bytes == report.allocated_bytes);
        /* saved bytes never grow */
        FUZZ_CHECK(report.saved_payload_bytes <= report.saved_uncompressed_bytes);
    }
    actc_network_destroy(&network);
    free(text);
    return 0;
}
