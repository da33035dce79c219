/* actc-parity.c: the same cases on several backends, compared with each other and with float64. The cases are in
 * tests/parity. */
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parity.h"

/* ---- which cases ---- */

static int choose_cases(parity_session *s)
{
    char message[400];
    if (!parity_list_all(&s->all, message, sizeof message))
        return tool_fail(s->t, "%s", message);
    s->cases = malloc((s->all.count + 1) * sizeof *s->cases);
    if (!s->cases)
        return tool_fail(s->t, "out of memory");
    bool full = strcmp(s->suite, "full") == 0;
    size_t others = 0;
    for (size_t i = 0; i < s->all.count; i++) {
        const parity_case *c = s->all.cases[i];
        if (s->filter && fnmatch(s->filter, c->name, 0) != 0)
            continue;
        if (c->full && !full)
            others++;
        else
            s->cases[s->n_cases++] = c;
    }
    if (s->n_cases == 0)
        return tool_usage(s->t, "--filter %s: no case of --suite %s has such a name%s; --list prints them", s->filter,
                          s->suite, others ? ", though --suite full has" : "");
    return 0;
}

static int print_list(const parity_session *s)
{
    if (!parity_is_json(s)) {
        for (size_t i = 0; i < s->n_cases; i++)
            printf("%s\n", s->cases[i]->name);
        return 0;
    }
    cJSON *json = cJSON_CreateObject(), *cases = cJSON_AddArrayToObject(json, "cases");
    for (size_t i = 0; i < s->n_cases; i++) {
        const parity_case *c = s->cases[i];
        cJSON *item = cJSON_CreateObject();
        json_text(item, "name", c->name);
        json_text(item, "level", parity_level_name(c->level));
        json_text(item, "class", c->parity == ACTC_PARITY_EXACT ? "EXACT" : "TOLERANT");
        json_text(item, "suite", c->full ? "full" : "smoke");
        cJSON_AddItemToObject(item, "kernel",
                              c->kernel >= 0 ? json_text_item(actc_kernel_infos[c->kernel].name) : cJSON_CreateNull());
        cJSON_AddItemToArray(cases, item);
    }
    return json_print(tool_output(), json, false) ? 0 : tool_output_failed(s->t);
}

/* ---- crashes ---- */

/* What runs, for whoever has to find out why it crashed. */
static struct {
    const char *volatile tool, *volatile name, *volatile backend;
} running;

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_crash(int number)
{
    const char *const parts[] = {"\n", running.tool, ": crashed in ", running.name, " on ", running.backend, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        say(parts[i]);
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers have handlers of their own, which say more. */
static void watch_crashes(const parity_session *s)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    running.tool = s->t->name;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            signal(signals[i], on_crash);
    }
}

/* ---- running ---- */

static void run_on(parity_session *s, const parity_case *c, size_t backend, parity_run *run)
{
    parity_result *r = run->result;
    const char *why = NULL, *reference_why = NULL;
    bool deterministic = c->deterministic || s->deterministic;
    run->device = parity_device(s, &s->backends[backend], deterministic, &why);
    run->reference = parity_device(s, &s->backends[0], deterministic, &reference_why);
    if (!run->device) {
        parity_skip(run, "%s", why);
        return;
    }
    const actc_device_info *info = actc_device_get_info(run->device);
    if (c->parity == ACTC_PARITY_EXACT && !info->exact) {
        parity_skip(run, "the device does not claim the EXACT class: %s", info->exact_evidence);
        return;
    }
    double start = tool_now();
    running.name = c->name;
    running.backend = s->backends[backend].name;
    bool ran = c->run(c, run);
    parity_result_finish(r, ran);
    r->seconds = tool_now() - start;
}

/* The case in the file of --against; a case that is not there cannot be compared with it. */
static const cJSON *recorded_case(const parity_session *s, const parity_case *c)
{
    return s->against_cases && !c->local ? cJSON_GetObjectItemCaseSensitive(s->against_cases, c->name) : NULL;
}

static void run_case(parity_session *s, size_t index)
{
    const parity_case *c = s->cases[index];
    parity_result results[PARITY_MAX_BACKENDS] = {0};
    parity_run run = {.context = s->context, .seed = parity_seed(s->seed, c->name)};
    const cJSON *recorded = recorded_case(s, c);
    cJSON *json = parity_json_case(s, c);
    for (size_t b = 0; b < s->n_backends; b++) {
        parity_result *r = run.result = &results[b];
        r->recorded = recorded;
        r->reference = b ? &results[0] : NULL;
        if (s->against_json && !recorded && !c->local)
            parity_skip(&run, "%s has no such case", s->against);
        else if (c->local && s->n_backends < 2)
            parity_skip(&run, "compared with a reference backend beside it only, not with a file");
        else if (b && c->parity == ACTC_PARITY_EXACT && results[0].status != PARITY_PASSED)
            parity_skip(&run, "nothing to compare with: the case %s on %s", parity_status_name(results[0].status),
                        s->backends[0].name);
        else
            run_on(s, c, b, &run);
        parity_report_result(s, c, b, r, json);
        if (b > 0 && b + 1 < s->n_backends) /* needed no more: the first is the reference, the last may be recorded */
            parity_result_free(r);
    }
    if (s->record_file && !c->local)
        parity_record_add(s, c, &results[s->n_backends - 1]);
    if (run.shared && run.free_shared)
        run.free_shared(run.shared);
    for (size_t b = 0; b < s->n_backends; b++)
        parity_result_free(&results[b]);
}

/* Whether a case ran where it could be compared: beside the reference, or with a file. */
static bool compared_any(const parity_session *s)
{
    size_t passed = 0;
    for (size_t b = s->n_backends > 1; b < s->n_backends; b++)
        for (int level = 0; level < PARITY_LEVELS; level++)
            passed += s->tallies[level][b].passed;
    return passed > 0;
}

static int run_all(parity_session *s)
{
    int code = s->against ? parity_against_open(s) : 0;
    if (!code)
        code = choose_cases(s);
    if (!code && s->list)
        return print_list(s);
    if (!code && !(s->context = tool_context(s->t)))
        code = TOOL_FAILURE;
    if (parity_is_json(s))
        s->json_cases = cJSON_CreateArray();
    if (!code)
        code = parity_find_backends(s);
    if (!code && s->n_backends < 2 && !s->against && !s->record && !s->bench) {
        char text[200];
        snprintf(text, sizeof text, "nothing to compare: %s is the only backend here, and no --against FILE is given",
                 s->backends[0].name);
        tool_note(s->t, "%s", text);
        parity_add_line(&s->skipped, NULL, s->backends[0].name, text);
        code = PARITY_EXIT_SKIPPED;
    }
    if (!code && s->record)
        code = parity_record_open(s);
    if (code) {
        if (code == PARITY_EXIT_SKIPPED && parity_is_json(s) && !parity_print_json(s))
            code = TOOL_FAILURE;
        return code;
    }
    double start = tool_now();
    running.name = running.backend = "nothing yet";
    watch_crashes(s);
    for (size_t i = 0; i < s->n_cases; i++) {
        double seconds = tool_now() - start, per_s = seconds > 0 ? (double)i / seconds : 0;
        tool_progress_draw(&s->progress, "parity", i, s->n_cases, per_s, "cases/s",
                           per_s > 0 ? (double)(s->n_cases - i) / per_s : 0);
        run_case(s, i);
    }
    tool_progress_clear(&s->progress);
    if (s->record)
        code = parity_record_close(s);
    if (!parity_is_json(s))
        parity_report_end(s, tool_now() - start);
    if (s->bench && !code)
        code = s->failed.count ? tool_fail(s->t, "nothing is timed after a failure") : parity_bench_all(s);
    if (parity_is_json(s) && !parity_print_json(s))
        code = tool_output_failed(s->t);
    if (!code && s->failed.count)
        code = TOOL_FAILURE;
    if (!code && !compared_any(s)) {
        tool_note(s->t, "nothing was compared: every case was skipped");
        code = PARITY_EXIT_SKIPPED;
    }
    return code;
}

static void free_lines(parity_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->lines[i].text);
    free(lines->lines);
}

/* What only one of the two kinds of run takes. */
static int check_oracle_options(parity_session *s)
{
    static const char *const of_oracle[] = {"device", "net", "net-option"};
    static const char *const of_cases[] = {"suite", "filter", "seed", "list", "bench", "record", "against"};
    for (size_t i = 0; i < sizeof of_oracle / sizeof *of_oracle && !s->oracle; i++)
        if (tool_find_option(s->t, of_oracle[i])->given)
            return tool_usage(s->t, "--%s is taken with --oracle only", of_oracle[i]);
    for (size_t i = 0; i < sizeof of_cases / sizeof *of_cases && s->oracle; i++)
        if (tool_find_option(s->t, of_cases[i])->given)
            return tool_usage(s->t, "--%s is about cases, and --oracle runs none", of_cases[i]);
    if (s->oracle_device && s->backend_names)
        return tool_usage(s->t, "--device and --backends are the same with --oracle: one of them is accepted");
    if (s->oracle && !s->backend_names)
        s->backend_names = s->oracle_device ? s->oracle_device : "cpu";
    return 0;
}

static int run_tool(int argc, char **argv)
{
    parity_session s = {.program = argv[0], .suite = "smoke", .format = "text", .seed = 1};
    tool_option options[] = {
        {"oracle", TOOL_STRING, &s.oracle, "FILE", "one training step of a network against float64 values of PyTorch, see below"},
        {"device", TOOL_STRING, &s.oracle_device, "LIST", "with --oracle: devices, as for --backends (cpu)"},
        {"net", TOOL_STRING, &s.oracle_net, "NAME", "with --oracle: the network (what the file's metadata say)"},
        {"net-option", TOOL_STRING, &s.oracle_settings, "K=N[,K=N...]", "with --oracle: its options, as actc-info lists them"},
        {"backends", TOOL_STRING, &s.backend_names, "LIST",
         "devices, the first is the reference (all there are, cpu first)"},
        {"suite", TOOL_CHOICE, &s.suite, "smoke|full", "full: more shapes and options, tensors over 128 MiB (smoke)",
         "smoke|full"},
        {"filter", TOOL_STRING, &s.filter, "GLOB", "only cases whose name matches", .letter = 'k'},
        {"seed", TOOL_SEED, &s.seed, "N", "of all data (1)"},
        {"list", TOOL_FLAG, &s.list, NULL, "print the names of the cases and run none"},
        {"bench", TOOL_FLAG, &s.bench, NULL, "then time the same cases, unless one failed"},
        {"record", TOOL_STRING, &s.record, "FILE", "write what the last backend gave to FILE"},
        {"against", TOOL_STRING, &s.against, "FILE", "compare every backend with what FILE holds, with its seed and suite"},
        {"deterministic", TOOL_FLAG, &s.deterministic, NULL, "run every case on deterministic devices"},
        {"validate", TOOL_FLAG, &s.validate, NULL, "Vulkan devices under the Khronos validation layer"},
        {"threads", TOOL_INT, &s.threads, "N", "CPU threads (all)", NULL, 0, 1024},
        {"format", TOOL_CHOICE, &s.format, "text|json", "json: one object on the standard output", "text|json"},
    };
    const tool t = {
        .name = "actc-parity",
        .summary =
            "Runs the same cases on several backends and compares the results: EXACT ones byte for byte, TOLERANT ones "
            "number by number with float64.",
        .synopsis = "[OPTION...]",
        .text = "A case's data come from the seed and its name: whatever else is run, they are the same.\n"
                "Exit status: 0, 1 when a case failed, 2 for a wrong option, 77 when a device that is named is not there or "
                "there is nothing to compare.\n\n"
                "--oracle FILE: a safetensors file with F64 (or F32) tensors param.NAME, grad.NAME, buffer.NAME, buffer_after.NAME,\n"
                "input, label, output and loss, and in its metadata 'net' and, for the bound, 'pytorch_f32_gradient_relative_l2':\n"
                "the gradients may be twice as far from float64 as PyTorch's own in float32 (without that figure: 1e-5). Dropout is\n"
                "off. A file that lacks a tensor or has one of another shape is exit status 2.\n\n"
                "Examples:\n"
                "  actc-parity\n"
                "  actc-parity --backends cpu,vulkan:llvmpipe -k 'conv2d*' --format json\n"
                "On a machine with a GPU, and then on one without:\n"
                "  actc-parity --suite full --backends cuda --record h100.json\n"
                "  actc-parity --backends cpu --against h100.json\n",
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *none = NULL;
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, &none, 0, &count, &code))
        return code;
    s.t = &t;
    if (s.against && (tool_find_option(&t, "seed")->given || tool_find_option(&t, "suite")->given))
        return tool_usage(&t,
                          "--against takes the seed and the suite of its file: --seed and --suite cannot be given with it");
    if (!(code = check_oracle_options(&s)))
        code = s.oracle ? parity_oracle(&s) : run_all(&s);
    parity_close_backends(&s);
    actc_context_destroy(&s.context);
    parity_list_free(&s.all);
    free(s.cases);
    free_lines(&s.failed);
    free_lines(&s.skipped);
    cJSON_Delete(s.json_cases);
    cJSON_Delete(s.against_json);
    cJSON_Delete(s.against_cases);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-parity", run_tool, argc, argv);
}
