/* What is live between the forward and the backward pass, against a count by hand, the timeline against the plan, and the arena
 * against what lives in it; on the null device, since a plan computes nothing. */
#include "network_test.h"

#include <time.h>

#include "runtime/network.h"

#define BATCH 32
#define PLACE(elements) (((elements) * 4 + 255) / 256 * 256) /* of a parameter in its region */

enum {
    PARAMETERS = PLACE(16 * 9) + PLACE(16) + PLACE(8 * 16 * 9) + PLACE(8) + PLACE(128 * 1152) + PLACE(128) + PLACE(10 * 128) + PLACE(10),
    INPUT = BATCH * 28 * 28 * 4,
    LABELS = BATCH * 4,
    RELU1 = BATCH * 16 * 26 * 26 * 4, /* which conv2 reads; its sign is relu1's mask */
    DROP1 = BATCH * 8 * 12 * 12 * 4,  /* which fc1 reads */
    DROP2 = BATCH * 128 * 4,          /* which fc2 reads */
    MASK1 = BATCH * 16 * 26 * 26 / 8, /* relu1's, where its values are compressed */
    MASK2 = BATCH * 128 / 8,          /* relu2's, whose values dropout does not need */
    PLACES = BATCH * 8 * 12 * 12,     /* maxpool's, a byte each */
    LOG_SOFTMAX = BATCH * 10 * 4
};

static actc_memory_report memory_of(const fixture *f, const actc_network *network)
{
    actc_memory_report report = {.size = sizeof report};
    CHECK(f->context, actc_network_memory(network, &report));
    return report;
}

static actc_network *training(const fixture *f, const char *rules, actc_optimizer_kind kind, bool capture)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.train_batch = BATCH;
    options.compress = rules;
    options.optimizer = actc_optimizer_options_default(kind);
    options.capture = capture;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    return network;
}

static void after_forward_by_hand(void **state)
{
    const fixture *f = *state;
    actc_network *network = training(f, NULL, ACTC_OPTIMIZER_ADAM, false);
    actc_memory_report r = memory_of(f, network);
    const uint64_t *bytes = r.after_forward_category_bytes;
    assert_int_equal(bytes[ACTC_MEMORY_PARAMETERS], PARAMETERS);
    assert_int_equal(bytes[ACTC_MEMORY_GRADIENTS], PARAMETERS);
    assert_int_equal(bytes[ACTC_MEMORY_OPTIMIZER], 2 * PARAMETERS);
    assert_int_equal(bytes[ACTC_MEMORY_KEPT_DENSE], INPUT + RELU1 + DROP1 + DROP2 + LOG_SOFTMAX);
    assert_int_equal(bytes[ACTC_MEMORY_PAYLOAD], 0);
    assert_int_equal(bytes[ACTC_MEMORY_MASKS], MASK2 + PLACES);
    assert_int_equal(bytes[ACTC_MEMORY_TRANSIENT], LABELS);
    assert_int_equal(r.after_forward_bytes, PARAMETERS + INPUT + RELU1 + DROP1 + DROP2 + LOG_SOFTMAX + MASK2 + PLACES + LABELS);
    actc_network_destroy(&network);
}

/* The optimiser's state and values that are captured for reports do not count. */
static void what_does_not_count(void **state)
{
    const fixture *f = *state;
    actc_network *network = training(f, "conv2=dct:lambda=10", ACTC_OPTIMIZER_ADAM, false);
    uint64_t counted = memory_of(f, network).after_forward_bytes;
    actc_network_destroy(&network);
    network = training(f, "conv2=dct:lambda=10", ACTC_OPTIMIZER_SGD, true);
    actc_memory_report r = memory_of(f, network);
    assert_int_equal(r.after_forward_bytes, counted);
    assert_int_equal(r.after_forward_category_bytes[ACTC_MEMORY_OPTIMIZER], 0);
    assert_true(r.after_forward_category_bytes[ACTC_MEMORY_TRANSIENT] >= RELU1 + DROP1);
    actc_network_destroy(&network);
}

/* conv2's input is kept as a payload and relu1's sign as a mask. */
static void after_forward_compressed(void **state)
{
    const fixture *f = *state;
    actc_network *network = training(f, "conv2=dct:lambda=10", ACTC_OPTIMIZER_SGD, false);
    actc_memory_report r = memory_of(f, network);
    const uint64_t *bytes = r.after_forward_category_bytes;
    assert_true(r.saved_payload_bytes > 0);
    assert_int_equal(bytes[ACTC_MEMORY_PAYLOAD], r.saved_payload_bytes);
    assert_int_equal(bytes[ACTC_MEMORY_KEPT_DENSE], INPUT + DROP1 + DROP2 + LOG_SOFTMAX);
    assert_int_equal(bytes[ACTC_MEMORY_MASKS], MASK1 + MASK2 + PLACES);
    assert_int_equal(bytes[ACTC_MEMORY_TRANSIENT], LABELS);
    assert_int_equal(r.after_forward_bytes, PARAMETERS + INPUT + LABELS + r.saved_payload_bytes + DROP1 + DROP2 + LOG_SOFTMAX + MASK1 +
                                                MASK2 + PLACES);
    actc_network_destroy(&network);
}

/* An input that nothing saves is the caller's and counts all the same; the running statistics count once, not their staging. */
static void unsaved_input(void **state)
{
    const fixture *f = *state;
    const int64_t sample[] = {3, 8, 8};
    actc_linear_options fc = actc_linear_options_default(5);
    actc_batch_norm_options bn = actc_batch_norm_options_default();
    fixture own = *f;
    CHECK(f->context, actc_graph_create(f->context, "unsaved", &own.graph));
    actc_tensor *x = actc_input(own.graph, "input", sample, 3), *labels = actc_label_input(own.graph, "label");
    x = actc_relu(own.graph, "relu", x);
    x = actc_batch_norm(own.graph, "bn", x, &bn);
    x = actc_linear(own.graph, "fc", actc_flatten(own.graph, "flatten", x), &fc);
    actc_graph_set_loss(own.graph, actc_nll_loss(own.graph, "loss", actc_log_softmax(own.graph, "log_softmax", x), labels));
    CHECK(f->context, actc_graph_status(own.graph));
    actc_network *network = training(&own, NULL, ACTC_OPTIMIZER_SGD, false);
    actc_memory_report r = memory_of(f, network);
    enum { IMAGE = BATCH * 3 * 8 * 8 * 4, STATES = 2 * PLACE(3), OWN = 2 * PLACE(3) + STATES + PLACE(5 * 192) + PLACE(5),
           STATISTICS = 2 * 3 * 4, SAVED = 2 * IMAGE + STATISTICS + BATCH * 5 * 4 };
    assert_int_equal(r.after_forward_category_bytes[ACTC_MEMORY_PARAMETERS], OWN + STATES);
    assert_int_equal(r.after_forward_category_bytes[ACTC_MEMORY_KEPT_DENSE], SAVED);
    assert_int_equal(r.after_forward_category_bytes[ACTC_MEMORY_TRANSIENT], LABELS);
    assert_int_equal(r.after_forward_bytes, OWN + SAVED + LABELS + IMAGE);
    actc_network_destroy(&network);
    actc_graph_destroy(&own.graph);
}

static void without_training(void **state)
{
    const fixture *f = *state;
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.eval_batch = BATCH;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    actc_memory_report r = memory_of(f, network);
    assert_int_equal(r.after_forward_bytes, 0);
    assert_int_equal(r.after_forward_category_bytes[ACTC_MEMORY_PARAMETERS], 0);
    for (size_t i = 0; i < actc_network_timeline_count(network); i++) {
        actc_timeline_entry entry = {.size = sizeof entry};
        CHECK(f->context, actc_network_timeline(network, i, &entry));
        assert_string_equal(entry.program, "eval");
        assert_false(entry.backward);
    }
    actc_network_destroy(&network);
}

static void timeline_is_the_plan(void **state)
{
    const fixture *f = *state;
    static const char *const rules[] = {NULL, "*=dct:lambda=100"}, *const order[] = {"train", "update", "eval"};
    for (int i = 0; i < 2; i++) {
        actc_network *network = network_of(f, BATCH, rules[i]);
        const actc_build *build = network->build;
        size_t count = actc_network_timeline_count(network), commands = 0, backward = 0, program = 0;
        uint64_t most = 0;
        const char *at = NULL;
        for (int p = 0; p < ACTC_PROGRAM_COUNT; p++)
            commands += build->programs[p].n_commands;
        assert_int_equal(count, commands);
        for (size_t c = 0; c < count; c++) {
            actc_timeline_entry entry = {.size = sizeof entry};
            CHECK(f->context, actc_network_timeline(network, c, &entry));
            while (strcmp(entry.program, order[program])) {
                assert_true(program < 2);
                program++;
            }
            assert_int_equal(entry.backward, program == 0 && c >= build->n_forward);
            backward += entry.backward;
            if (entry.live_bytes > most) {
                most = entry.live_bytes;
                at = entry.label;
            }
        }
        assert_int_equal(program, 2);
        assert_true(backward > 0 && backward < build->programs[ACTC_PROGRAM_TRAIN].n_commands);
        assert_int_equal(most, build->plan.peak_bytes);
        assert_string_equal(at, memory_of(f, network).peak_at);
        actc_timeline_entry entry = {.size = sizeof entry};
        char text[64];
        snprintf(text, sizeof text, "command %zu of the timeline: there are %zu", count, count);
        assert_int_equal(actc_network_timeline(network, count, &entry), ACTC_ERROR_INVALID_ARGUMENT);
        assert_string_equal(actc_error_message(f->context), text);
        assert_int_equal(actc_network_timeline(network, 0, NULL), ACTC_ERROR_INVALID_ARGUMENT);
        actc_network_destroy(&network);
    }
}

/* What follows a batch norm in place is part of its command: a ResNet has no pass of its own for a ReLU or an addition. */
static void norms_take_what_follows(void **state)
{
    const fixture *f = *state;
    for (int inplace = 0; inplace < 2; inplace++) {
        actc_graph *graph;
        actc_network *network = NULL;
        actc_network_options options = actc_network_options_default();
        options.train_batch = 2;
        options.no_inplace = !inplace;
        CHECK(f->context, actc_graph_create(f->context, "resnet18", &graph));
        actc_model_build(actc_model_find("resnet18"), graph);
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        int norms = 0, others = 0;
        for (size_t i = 0; i < actc_network_timeline_count(network); i++) {
            actc_timeline_entry entry = {.size = sizeof entry};
            CHECK(f->context, actc_network_timeline(network, i, &entry));
            if (entry.backward || strcmp(entry.program, "train"))
                continue;
            norms += strstr(entry.label, "bn_apply") != NULL;
            others += !strncmp(entry.label, "relu", 4) || strstr(entry.label, "/relu") || strstr(entry.label, "/add:");
        }
        assert_int_equal(norms, 20);
        assert_int_equal(others, inplace ? 0 : 17 + 8);
        actc_network_destroy(&network);
        actc_graph_destroy(&graph);
    }
}

/* Places are found by a rule of thumb, which may leave a twentieth of the arena unused where most of it is used. */
static void arena_holds_little_else(void **state)
{
    const fixture *f = *state;
    static const struct { const char *name; int64_t batch; } networks[] = {
        {"resnet18", 128}, {"resnet152", 128}, {"wideresnet101", 128}, {"unet3d", 1}, {"unet3d", 2}};
    static const char *const rules[] = {NULL, "*=dct:lambda=100"};
    for (size_t i = 0; i < 2 * sizeof networks / sizeof *networks; i++) {
        actc_graph *graph;
        actc_network *network = NULL;
        actc_network_options options = actc_network_options_default();
        options.train_batch = networks[i / 2].batch;
        options.compress = rules[i % 2];
        CHECK(f->context, actc_graph_create(f->context, networks[i / 2].name, &graph));
        actc_model_build(actc_model_find(networks[i / 2].name), graph);
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        const actc_plan *plan = &network->build->plan;
        uint64_t arena = 0;
        for (size_t a = 0; a < plan->n_arenas; a++)
            arena += plan->arena_bytes[a];
        assert_true(arena >= plan->peak_bytes);
        if (arena > plan->peak_bytes / 20 * 21)
            fail_msg("%s, batch %d, '%s': an arena of %llu bytes for %llu that live at once", networks[i / 2].name,
                     (int)networks[i / 2].batch, options.compress ? options.compress : "", (unsigned long long)arena,
                     (unsigned long long)plan->peak_bytes);
        actc_network_destroy(&network);
        actc_graph_destroy(&graph);
    }
}

/* Buffers of lives and sizes drawn by chance: none lies where another does that lives at the same time, also where an arena may
 * not be large; where it may, it holds little else than what lives at the peak. */
static void places_of_chance(void **state)
{
    const fixture *f = *state;
    enum { BUFFERS = 80, COMMANDS = 120, PROBLEMS = 40 };
    static actc_command commands[COMMANDS];
    uint32_t random = 1;
    double excess = 0;
    for (int problem = 0; problem < 2 * PROBLEMS; problem++) {
        static actc_vbuf vbufs[BUFFERS];
        actc_program program = {.name = "chance", .commands = commands, .n_commands = COMMANDS};
        const actc_plan_limits limits = {.buffer_bytes = problem < PROBLEMS ? 0 : 64 * ACTC_VIEW_ALIGNMENT, .device = "null"};
        actc_plan plan;
        memset(commands, 0, sizeof commands);
        for (int i = 0; i < BUFFERS; i++) {
            uint32_t draw[3];
            for (int k = 0; k < 3; k++)
                draw[k] = (random = random * 1664525u + 1013904223u) >> 16;
            uint32_t first = draw[0] % COMMANDS, last = first + draw[1] % (draw[1] % 4 ? 8 : COMMANDS);
            vbufs[i] = (actc_vbuf){.name = "buffer", .bytes = (1 + draw[2] % 48) * ACTC_VIEW_ALIGNMENT};
            for (int end = 0; end < 2; end++) {
                actc_command *command = &commands[end ? (last < COMMANDS ? last : COMMANDS - 1) : first];
                if (command->n_views < ACTC_MAX_VIEWS)
                    command->views[command->n_views++] = (actc_view){.buffer = (uint32_t)i, .bytes = vbufs[i].bytes};
            }
        }
        CHECK(f->context, actc_plan_create(f->context, &program, 1, vbufs, BUFFERS, &limits, &plan));
        uint64_t arenas = 0;
        for (size_t a = 0; a < plan.n_arenas; a++) {
            arenas += plan.arena_bytes[a];
            assert_true(!limits.buffer_bytes || plan.arena_bytes[a] <= limits.buffer_bytes);
        }
        assert_true(arenas >= plan.peak_bytes && (limits.buffer_bytes ? plan.n_arenas > 1 : plan.n_arenas == 1));
        excess += limits.buffer_bytes ? 0 : (double)arenas / (double)plan.peak_bytes - 1;
        for (const actc_vbuf *a = vbufs; a < vbufs + BUFFERS; a++) {
            assert_true(!a->touched || a->offset + a->bytes <= plan.arena_bytes[a->arena]);
            for (const actc_vbuf *b = vbufs; b < a; b++)
                if (a->touched && b->touched && a->arena == b->arena && a->first <= b->last && b->first <= a->last)
                    assert_true(a->offset >= b->offset + b->bytes || b->offset >= a->offset + a->bytes);
        }
        actc_plan_destroy(&plan);
    }
    if (!(excess / PROBLEMS < 0.01))
        fail_msg("arenas are %g of the peak larger than it, of %d", excess / PROBLEMS, PROBLEMS);
}

/* A network of 128 images, everything compressed. */
static actc_network *compressed(const fixture *f, const char *name)
{
    actc_graph *graph;
    actc_network *network = NULL;
    actc_network_options options = actc_network_options_default();
    options.train_batch = 128;
    options.compress = "*=dct:lambda=100";
    CHECK(f->context, actc_graph_create(f->context, name, &graph));
    actc_model_build(actc_model_find(name), graph);
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    return network;
}

/* Commands of a training step that restore this tensor (NULL: any), and the bytes that they restore. */
static int restorations(const actc_build *build, const char *tensor, uint64_t *bytes)
{
    const actc_program *program = &build->programs[ACTC_PROGRAM_TRAIN];
    int count = 0;
    *bytes = 0;
    for (size_t i = 0; i < program->n_commands; i++) {
        const actc_command *command = &program->commands[i];
        const char *what = command->type == ACTC_COMMAND_UNPACK ? strstr(command->label, ": unpack ") : NULL;
        if (!what || (tensor && strcmp(what + strlen(": unpack "), tensor)))
            continue;
        count++;
        *bytes += command->views[1].bytes;
    }
    return count;
}

/* Tensors of one size: in parts where their restoration would be the peak, whole where there is room. */
static void restored_by_room(void **state)
{
    const fixture *f = *state;
    actc_network *network = compressed(f, "resnet18");
    actc_build *halves;
    uint64_t once, twice, bytes;
    CHECK(f->context, actc_build_create(f->device, network->graph, &network->options, true, NULL, &halves));
    assert_int_equal(restorations(halves, "layer1/0/conv2", &bytes), 4); /* bn2: twice two halves */
    assert_int_equal(bytes, 2 * 128 * 64 * 32 * 32 * 4);
    assert_int_equal(restorations(network->build, "layer1/1/conv2", &bytes), 4);
    assert_int_equal(restorations(network->build, "layer1/0/conv2", &bytes), 1);
    assert_int_equal(bytes, 128 * 64 * 32 * 32 * 4);
    assert_int_equal(restorations(network->build, "layer4/1/conv2", &bytes), 1);
    restorations(halves, NULL, &twice);
    restorations(network->build, NULL, &once);
    assert_true(once < twice / 4 * 3);
    assert_int_equal(network->build->plan.peak_bytes, halves->plan.peak_bytes);
    actc_build_destroy(&halves);
    actc_network_destroy(&network);
}

/* What a U-Net's up-convolution makes is written where it will be joined with the skip, and its gradient is read where the joined
 * one's is: the peak of a compressed step is lower by most of a map. */
static void joined_in_place(void **state)
{
    const fixture *f = *state;
    const uint64_t map = 32ull * 96 * 96 * 96 * 4;
    uint64_t peaks[2];
    for (int inplace = 0; inplace < 2; inplace++) {
        actc_graph *graph;
        actc_network *network = NULL;
        actc_network_options options = actc_network_options_default();
        options.train_batch = 1;
        options.compress = "*=dct:lambda=100";
        options.no_inplace = !inplace;
        CHECK(f->context, actc_graph_create(f->context, "unet3d", &graph));
        actc_model_build(actc_model_find("unet3d"), graph);
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        peaks[inplace] = network->build->plan.peak_bytes;
        actc_network_destroy(&network);
    }
    assert_true(peaks[1] + map / 2 < peaks[0]);
}

/* Deep networks are planned in no time that a user would notice. */
static void quickly_planned(void **state)
{
    const fixture *f = *state;
    clock_t start = clock();
    actc_network *network = compressed(f, "resnet152");
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    actc_network_destroy(&network);
#ifndef __SANITIZE_ADDRESS__
    if (!(seconds < 1))
        fail_msg("planning resnet152 took %g processor seconds", seconds);
#endif
    (void)seconds;
}

static void nothing_to_time(void **state)
{
    const fixture *f = *state;
    actc_network *network = training(f, NULL, ACTC_OPTIMIZER_SGD, false);
    assert_int_equal(actc_network_set_profiling(network, true), ACTC_ERROR_UNSUPPORTED);
    assert_string_equal(actc_error_message(f->context), "null runs nothing that could be timed");
    CHECK(f->context, actc_network_set_profiling(network, false));
    actc_network_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(after_forward_by_hand), cmocka_unit_test(what_does_not_count),
                                       cmocka_unit_test(after_forward_compressed), cmocka_unit_test(unsaved_input),
                                       cmocka_unit_test(without_training), cmocka_unit_test(timeline_is_the_plan),
                                       cmocka_unit_test(norms_take_what_follows), cmocka_unit_test(arena_holds_little_else),
                                       cmocka_unit_test(places_of_chance),
                                       cmocka_unit_test(restored_by_room), cmocka_unit_test(joined_in_place),
                                       cmocka_unit_test(quickly_planned),
                                       cmocka_unit_test(nothing_to_time)};
    setenv("ACTC_TEST_DEVICE", "null", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
