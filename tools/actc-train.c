/* actc-train.c: trains a network on a data set: options, and the order in which a run is put together.
 *
 * What can be wrong is checked cheapest first: options, data, device, network; a folder is made only when all of it
 * is right. See train.h for the other parts.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

#define STEPS_A_SAVE_DEFAULT (-1) /* --save-every: an epoch */

static void on_end(int number)
{
    if (!train_interrupted)
        train_interrupted = number;
}

static void on_save(int number)
{
    (void)number;
    train_save_asked = 1;
}

static void catch(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* What was ignored when the program started (SIGHUP under nohup) stays so. */
static void catch_unless_ignored(int number, void (*handler)(int))
{
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        catch(number, handler, 0);
}

/* A second SIGINT or SIGTERM ends the process at once: the first puts the default back. Not so the others: a terminal that
 * goes away may send SIGHUP twice, and SIGXCPU comes every second. SIGXFSZ must not kill: a write beyond the limit is an
 * error as any other. */
static void catch_signals(void)
{
    catch(SIGINT, on_end, (int)SA_RESETHAND);
    catch(SIGTERM, on_end, (int)SA_RESETHAND);
    catch_unless_ignored(SIGHUP, on_end);
    catch_unless_ignored(SIGXCPU, on_end);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- --optim ---- */

/* given: a bit a key that was there already. */
static int set_optimizer_key(const tool *t, actc_optimizer_options *o, const char *spec, const char *key, const char *text,
                             unsigned *given)
{
    const bool sgd = o->kind == ACTC_OPTIMIZER_SGD;
    const struct {
        const char *name;
        double *target;
        bool known;
        double most; /* least is 0 */
    } keys[] = {{"momentum", &o->momentum, sgd, 1},
                {"beta1", &o->beta1, !sgd, 1},
                {"beta2", &o->beta2, !sgd, 1},
                {"eps", &o->epsilon, !sgd, 1},
                {"weight-decay", &o->weight_decay, true, 1e6}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!keys[i].known || strcmp(key, keys[i].name) != 0)
            continue;
        double value;
        if (*given & 1u << i)
            return tool_usage(t, "--optim %s: %s is given twice", spec, key);
        *given |= 1u << i;
        if (!tool_parse_real(text, &value) || !(value >= 0 && value <= keys[i].most))
            return tool_usage(t, "--optim %s: %s=%s: a number from 0 to %g is accepted", spec, key, text, keys[i].most);
        *keys[i].target = value;
        return 0;
    }
    return tool_usage(t, "--optim %s: unknown key '%s'; there are %s", spec, key,
                      sgd ? "momentum, weight-decay" : "beta1, beta2, eps, weight-decay");
}

static int parse_optimizer(const tool *t, const char *spec, actc_optimizer_options *out)
{
    static const char *const names[] = {"sgd", "adam", "adamw"};
    size_t length = strcspn(spec, ":");
    int kind = -1;
    for (int i = 0; i < 3; i++)
        if (strlen(names[i]) == length && strncmp(spec, names[i], length) == 0)
            kind = i;
    if (kind < 0)
        return tool_usage(t, "--optim %s: unknown optimiser '%.*s'; there are adam, adamw, sgd", spec, (int)length, spec);
    *out = actc_optimizer_options_default((actc_optimizer_kind)kind);
    if (!spec[length])
        return 0;
    unsigned given = 0;
    char *keys = strdup(spec + length + 1), *rest = keys;
    int code = keys ? 0 : tool_fail(t, "out of memory");
    while (!code && rest) {
        char *key = strsep(&rest, ","), *value = strchr(key, '=');
        if (!value) {
            code = tool_usage(t, "--optim %s: '%s' is not key=value", spec, key);
        } else {
            *value = '\0';
            code = set_optimizer_key(t, out, spec, key, value + 1, &given);
        }
    }
    free(keys);
    return code;
}

/* ---- putting a run together ---- */

/* Steps of the whole run, and the epochs that the schedule's default length is. */
static void count_steps(train_run *run)
{
    const train_settings *s = run->s;
    int64_t an_epoch = actc_loader_batches(run->loader);
    run->epochs = s->epochs ? s->epochs : s->steps ? (s->steps + an_epoch - 1) / an_epoch : 5;
    run->total_steps = (uint64_t)(run->epochs * an_epoch);
    if (s->steps && (uint64_t)s->steps < run->total_steps)
        run->total_steps = (uint64_t)s->steps;
    run->save_every = s->save_every == STEPS_A_SAVE_DEFAULT ? an_epoch : s->save_every;
}

static int open_device(train_run *run)
{
    actc_device_options options = actc_device_options_default();
    options.device = run->s->device;
    options.threads = (int)run->s->threads;
    options.deterministic = run->s->deterministic;
    options.validate = run->s->validate;
    if (strcmp(run->s->device, "null") == 0)
        return tool_usage(run->t, "--device null: it computes nothing that could be trained with; accepted are auto, cpu, vulkan[:N] "
                          "and cuda[:N]");
    actc_status status = actc_device_open(run->context, &options, &run->device);
    return status == ACTC_OK ? 0 : tool_failed_option(run->t, run->context, status, "device");
}

static int make_graph(train_run *run)
{
    if (actc_graph_create(run->context, run->model->name, &run->graph) != ACTC_OK)
        return tool_failed(run->t, run->context);
    run->model->build(run->graph, &run->config_of_model);
    actc_status status = actc_graph_status(run->graph);
    return status == ACTC_OK ? 0 : tool_failed_option(run->t, run->context, status, "size");
}

static int make_network(train_run *run)
{
    run->options.train_batch = run->options.eval_batch = run->s->batch;
    run->options.accumulate = (int)run->s->accumulate;
    run->options.compress = run->s->compress;
    run->options.seed = run->s->seed;
    actc_status status = actc_network_create(run->device, run->graph, &run->options, &run->network);
    if (status == ACTC_ERROR_INVALID_ARGUMENT)
        return tool_refuse_network(run->t, run->context, &run->config_of_model, run->device, run->graph, &run->options);
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

static void introduce(const train_run *run)
{
    const actc_device_info *device = actc_device_get_info(run->device);
    int64_t parameters = 0;
    for (size_t i = 0; i < actc_network_state_count(run->network); i++) {
        actc_state_info info = {.size = sizeof info};
        if (actc_network_state_info(run->network, i, &info) == ACTC_OK && info.kind == ACTC_STATE_PARAMETER)
            parameters += actc_shape_elements(&info.shape);
    }
    fprintf(run->text, "%s (%lld parameters) on %s, %lld training and %lld test images, batch %lld\n", run->model->name,
            (long long)parameters, run->s->data, (long long)actc_dataset_size(run->train_set),
            (long long)actc_dataset_size(run->test_set), (long long)run->s->batch);
    tool_line(run->text, "device %s: %s, %s", device->spec, device->name, device->driver);
    if (run->s->deterministic)
        fprintf(run->text, "deterministic: the same bits on every device%s\n",
                run->total_steps - run->first_step < TRAIN_COST_STEPS ? "" : "; what it costs is measured at the end");
    if (run->folder)
        tool_line(run->text, "run folder %s", run->folder);
    for (size_t i = 0; actc_network_note(run->network, i); i++)
        tool_line(run->text, "note: %s", actc_network_note(run->network, i));
    char text[320];
    if (report_accumulation(run, text, sizeof text))
        fprintf(run->text, "note: %s\n", text);
    if (run->first_step)
        fprintf(run->text, "goes on after step %llu of %llu\n", (unsigned long long)run->first_step,
                (unsigned long long)run->total_steps);
    fflush(run->text);
}

/* First values, or those of the newest checkpoint. */
static int set_state(train_run *run)
{
    run->position = actc_checkpoint_position_default();
    run->position.run = run->identity;
    if (actc_network_initialize(run->network) != ACTC_OK)
        return tool_failed(run->t, run->context);
    int code = 0;
    if (run->s->resume) {
        code = folder_load_newest(run);
        if (code)
            return code;
        run->schedule.best = run->position.schedule_best;
        run->schedule.bad_epochs = run->position.schedule_bad_epochs;
        run->schedule.reductions = run->position.schedule_reductions;
        if (actc_loader_seek(run->loader, run->position.epoch, run->position.index) != ACTC_OK)
            return tool_failed(run->t, run->context);
    }
    run->first_step = actc_network_step(run->network);
    if (run->s->weights && !run->first_step) /* a run that was killed before its first checkpoint begins anew, too */
        code = weights_load(run);
    return code;
}

static int prepare(train_run *run)
{
    int code = parse_optimizer(run->t, run->s->optim, &run->options.optimizer);
    if (!code)
        code = make_graph(run);
    if (!code)
        code = data_open(run);
    if (!code)
        code = folder_identify(run);
    if (!code)
        code = data_open_loaders(run);
    if (code)
        return code;
    count_steps(run);
    run->schedule.size = sizeof run->schedule;
    actc_status status = actc_schedule_parse(run->context, run->s->schedule, run->s->lr, run->epochs, &run->schedule);
    if (status != ACTC_OK)
        return tool_failed_option(run->t, run->context, status, "schedule");
    code = open_device(run);
    if (!code)
        code = make_network(run);
    if (!code)
        code = set_state(run);
    if (!code)
        code = run->s->resume ? folder_write_config(run) : folder_make(run);
    if (!code)
        code = folder_open_metrics(run);
    return code;
}

/* After the loop, however it ended well: nothing of it may be lost. Where the run ends within an epoch the batches that wait
 * for an update are applied for the model, but stay pending in the checkpoint: who goes on goes on as if it had never ended. */
static int keep(train_run *run)
{
    int code = folder_save(run);
    double rate = actc_schedule_rate(&run->schedule, run->position.epoch);
    if (!code && !train_interrupted && actc_network_apply_pending(run->network, rate) != ACTC_OK)
        code = tool_failed(run->t, run->context);
    return code ? code : folder_save_model(run);
}

static int train(train_run *run)
{
    int code = prepare(run);
    if (code)
        return code;
    introduce(run);
    if (run->first_step >= run->total_steps)
        tool_note(run->t, "note: the run is complete at step %llu; a larger --epochs%s goes on",
                  (unsigned long long)run->first_step, run->s->steps ? " and --steps" : "");
    catch_signals();
    run->started = tool_now();
    code = train_loop(run);
    if (!code)
        code = keep(run);
    if (!code && !train_interrupted && run->tested_step != actc_network_step(run->network))
        code = train_evaluate(run, false);
    if (!code && !train_interrupted)
        code = report(run);
    if (!code && train_interrupted) {
        unsigned long long step = actc_network_step(run->network);
        if (run->folder)
            tool_note(run->t, "interrupted after step %llu; saved, '%s --resume %s' goes on", step, run->t->name, run->folder);
        else
            tool_note(run->t, "interrupted after step %llu", step);
        code = 128 + train_interrupted;
    }
    return code;
}

static void clean_up(train_run *run)
{
    if (run->metrics)
        fclose(run->metrics);
    actc_network_destroy(&run->network);
    actc_graph_destroy(&run->graph);
    actc_device_destroy(&run->device);
    actc_loader_destroy(&run->loader);
    actc_loader_destroy(&run->test_loader);
    actc_dataset_destroy(&run->train_set);
    actc_dataset_destroy(&run->test_set);
    actc_context_destroy(&run->context);
    folder_unlock(run);
    cJSON_Delete(run->config);
    free(run->folder);
    free(run->identity);
    free(run->losses);
    free(run->rates);
}

/* The settings that decide what the run is, before anything is opened. */
static int choose(train_run *run, const char *name)
{
    if (name && !(run->model = actc_model_find(name)))
        return tool_choose_network(run->t, name, &run->s->net, &run->model, &run->config_of_model); /* for its message */
    if (run->s->resume) {
        if (run->s->out)
            return tool_usage(run->t, "--resume writes to its own folder: --out %s must be left out", run->s->out);
        if (run->s->weights)
            return tool_usage(run->t, "--resume goes on with the run's own weights: --weights %s must be left out",
                              run->s->weights);
        int code = folder_read_config(run);
        if (code)
            return code;
    }
    int code = tool_choose_network(run->t, run->model ? run->model->name : NULL, &run->s->net, &run->model,
                                   &run->config_of_model);
    if (code)
        return code;
    if (run->s->weights_partial && !run->s->weights)
        return tool_usage(run->t, "--weights-partial: of which file? --weights FILE is missing");
    if (!run->s->data)
        run->s->data = run->model->dataset;
    if (!run->s->data)
        return tool_usage(run->t, "%s has no usual data set: --data fashion-mnist and mnist fit networks of 1x28x28 in 10 classes "
                          "(--size, --classes, --net-option), --data " TRAIN_SYNTHETIC " fits any", run->model->name);
    run->synthetic = strcmp(run->s->data, TRAIN_SYNTHETIC) == 0;
    if (run->synthetic && run->s->data_dir)
        return tool_usage(run->t, "--data-dir %s: --data " TRAIN_SYNTHETIC " is generated, and in no folder", run->s->data_dir);
    return 0;
}

static const char help[] =
    "Codecs: none, random, threshold, dct, wavelet with lambda=L or ratio=R, quant with bits=B, and other keys, see actc/codec.h;\n"
    "recompute[:segments=N]: computed again in the backward pass;\n"
    "of gelu, silu, sigmoid and tanh also derivative:bits=2|4|8.\n\n"
    "Examples:\n"
    "  actc-train mnistnet --data fashion-mnist\n"
    "  actc-train mnistnet --data fashion-mnist --compress 'conv1,relu1,conv2=dct:lambda=10' --epochs 5 --seed 1\n"
    "  actc-train mnistnet --data fashion-mnist --device vulkan --steps 20 --log-every 1 --format json\n"
    "  actc-train mnistnet --data fashion-mnist --optim sgd:momentum=0.9 --lr 0.05 --schedule cosine --epochs 20\n"
    "  actc-train resnet18 --data synthetic --classes 10 --net-option width=16 --batch 32\n"
    "  actc-train --resume runs/mnistnet-20261123-120000\n\n"
    "Signals: HUP, INT, TERM and XCPU save and end the run, a second INT or TERM ends it at once; "
    "USR1 saves and goes on.\n"
    "Exit status: 0 done, 1 failure, 2 usage; saved and ended by a signal: 129 HUP, 130 INT, "
    "143 TERM, 152 XCPU.\n";

static int run_tool(int argc, char **argv)
{
    train_settings s = {.device = "auto", .optim = "adam", .schedule = "constant", .format = "text", .batch = 128, .accumulate = 1,
                        .save_every = STEPS_A_SAVE_DEFAULT, .log_every = 100, .lr = 1e-3};
    tool_option options[] = {
        {"data", TOOL_STRING, &s.data, "NAME", "fashion-mnist, mnist, or synthetic: generated (the network's usual one)"},
        {"data-dir", TOOL_STRING, &s.data_dir, "DIR", "where its files are (default: where Debian's package puts them)"},
        TOOL_NETWORK_OPTIONS(&s.net),
        {"weights", TOOL_STRING, &s.weights, "FILE", "start from this safetensors file, of PyTorch's names"},
        {"weights-partial", TOOL_FLAG, &s.weights_partial, NULL, "take what fits of it, and say what does not"},
        {"device", TOOL_STRING, &s.device, "DEVICE", "auto, cpu, vulkan[:N], cuda[:N]; N: an index or part of a name (auto)"},
        {"threads", TOOL_INT, &s.threads, "N", "CPU threads (all)", NULL, 0, 1024},
        {"compress", TOOL_STRING, &s.compress, "RULES", "how saved activations are kept: GLOB[,GLOB][@KIND]=CODEC[;...]"},
        {"epochs", TOOL_INT, &s.epochs, "N", "passes over the training data (5)", NULL, 1, 1e6},
        {"steps", TOOL_INT, &s.steps, "N", "end after N training batches in all (0: no such end)", NULL, 0, 1e15},
        {"batch", TOOL_INT, &s.batch, "N", "images a step (128)", NULL, 1, 1 << 20},
        {"accumulate", TOOL_INT, &s.accumulate, "N", "batches whose gradients are averaged before an update (1)", NULL, 1, 1 << 20},
        {"optim", TOOL_STRING, &s.optim, "SPEC", "adam, adamw, sgd; keys after a colon: sgd:momentum=0.9 (adam)"},
        {"lr", TOOL_REAL, &s.lr, "RATE", "learning rate (0.001)", NULL, 0, 1e6},
        {"schedule", TOOL_STRING, &s.schedule, "SPEC", "constant, step, cosine, plateau (constant)"},
        {"seed", TOOL_SEED, &s.seed, "N", "of every random number of the run (0)"},
        {"out", TOOL_STRING, &s.out, "DIR", "run folder (runs/MODEL-DATE-TIME); 'none' keeps nothing"},
        {"save-every", TOOL_INT, &s.save_every, "STEPS", "steps between checkpoints (an epoch; 0: only at the end)", NULL, 0, 1e15},
        {"resume", TOOL_STRING, &s.resume, "DIR", "go on from the newest complete checkpoint of this run folder"},
        {"log-every", TOOL_INT, &s.log_every, "N", "steps between losses logged (100; 0: none)", NULL, 0, 1e15},
        {"limit", TOOL_INT, &s.limit, "N", "use the first N training and test images only (0: all; synthetic: 1024)", NULL, 0, 1e15},
        {"format", TOOL_CHOICE, &s.format, "text|json", "json: one object on the standard output at the end", "text|json"},
        {"deterministic", TOOL_FLAG, &s.deterministic, NULL, "the same bits on every device; slower, and says how much"},
        {"validate", TOOL_FLAG, &s.validate, NULL, "Vulkan: with the validation layer"},
    };
    char networks[TOOL_NETWORKS_BYTES], text[TOOL_NETWORKS_BYTES + 4096];
    snprintf(text, sizeof text, "Networks:\n%s\n%s", tool_networks_text(networks, sizeof networks), help);
    const tool t = {
        .name = "actc-train",
        .summary = "Trains a network whose saved activations may be compressed.",
        .synopsis = "NETWORK [--data NAME] [OPTION...]\n       actc-train [NETWORK] --resume DIR [OPTION...]",
        .text = text,
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *name = NULL;
    size_t count;
    int code;
    catch_unless_ignored(SIGUSR1, on_save); /* from the start on: a queue's warning must not end what is being prepared */
    if (!tool_parse(&t, argc, argv, &name, 1, &count, &code))
        return code;
    train_run run = {.t = &t, .s = &s, .options = actc_network_options_default()};
    run.text = strcmp(s.format, "json") == 0 ? stderr : stdout;
    code = choose(&run, name);
    if (!code && !(run.context = tool_context(&t)))
        code = TOOL_FAILURE;
    if (!code)
        code = train(&run);
    clean_up(&run);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-train", run_tool, argc, argv);
}
