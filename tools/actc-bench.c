/* actc-bench.c: what is measured, and how it is asked for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* SplitMix64 (Steele et al. 2014). */
uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double bench_normal(uint64_t *state)
{
    double u = ((double)(bench_random(state) >> 11) + 1) / 9007199254740993.0, v = (double)(bench_random(state) >> 11) / 9007199254740992.0;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Options that only one of the two knows. */
static const char *const codec_options[] = {"codec", "shape", "input"};
static const char *const step_options[] = {"batch", "steps", "size", "classes", "net-option", "compress", "optim", "deterministic"};

static const char *given_of(const tool *t, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tool_find_option(t, names[i])->given)
            return names[i];
    return NULL;
}

static int run_tool(int argc, char **argv)
{
    bench_settings s = {.codec = "dct:lambda=100", .shape = "32,64,32,32", .device = "auto", .input = "normal", .format = "text",
                        .optim = "adam", .seed = 1, .batch = 32, .steps = 5};
    tool_option options[] = {
        {"device", TOOL_STRING, &s.device, "DEVICE", "auto, cpu, vulkan[:N], cuda[:N] (auto)"},
        {"threads", TOOL_INT, &s.threads, "N", "CPU threads (all)", NULL, 0, 1024},
        {"seed", TOOL_SEED, &s.seed, "N", "of the data (1)"},
        {"format", TOOL_CHOICE, &s.format, "text|json", "json: one object on the standard output", "text|json"},
        {"codec", TOOL_STRING, &s.codec, "SPEC", "codec: which, see actc/codec.h (dct:lambda=100)"},
        {"shape", TOOL_STRING, &s.shape, "N,C,H,W", "codec: of the tensor, 1 to 5 sizes (32,64,32,32)"},
        {"input", TOOL_CHOICE, &s.input, "normal|relu", "codec: what the tensor holds, normal numbers or their positive part", "normal|relu"},
        {"batch", TOOL_INT, &s.batch, "N", "step: samples a training step (32)", NULL, 1, 1 << 20},
        {"steps", TOOL_INT, &s.steps, "N", "step: how many are timed, after one that warms up (5)", NULL, 1, 1000},
        {"compress", TOOL_STRING, &s.compress, "RULES", "step: how saved activations are kept; measured in turns with none"},
        {"optim", TOOL_CHOICE, &s.optim, "adam|adamw|sgd", "step: optimiser; sgd is without momentum (adam)", "adam|adamw|sgd"},
        {"deterministic", TOOL_FLAG, &s.deterministic, NULL, "step: the same bits on every device"},
        TOOL_NETWORK_OPTIONS(&s.net),
    };
    char networks[2048], text[4096];
    snprintf(text, sizeof text,
             "codec: packing and unpacking a tensor. GB/s are 10^9 bytes of the dense tensor\na second, for copying too.\n"
             "step: training steps of a network on generated data: samples a second, where the\ntime goes by kind of command, and memory. "
             "Where commands are timed each is\nsubmitted by itself; samples a second are measured without that.\n\n"
             "Networks:\n%s\n"
             "Examples:\n"
             "  actc-bench codec\n"
             "  actc-bench codec --codec wavelet:lambda=100 --shape 32,64,32,32 --device cpu --format json\n"
             "  actc-bench step resnet18 --batch 128 --compress '*=dct:lambda=100'\n"
             "  actc-bench step unet3d --size 64,64,64 --batch 1 --device cpu --format json\n",
             tool_networks_text(networks, sizeof networks));
    const tool t = {
        .name = "actc-bench",
        .summary = "Measures how fast a codec packs and unpacks a tensor, or how fast a network trains.",
        .synopsis = "codec [OPTION...]\n       actc-bench step NETWORK [OPTION...]",
        .text = text,
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *what[2] = {NULL, NULL};
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, what, 2, &count, &code))
        return code;
    bool codec = what[0] && strcmp(what[0], "codec") == 0, step = what[0] && strcmp(what[0], "step") == 0;
    if (!codec && !step)
        return tool_usage(&t, "%s%s%s; accepted are: codec, step NETWORK", what[0] ? "'" : "nothing to measure is named",
                          what[0] ? what[0] : "", what[0] ? "' cannot be measured" : "");
    if (codec && what[1])
        return tool_usage(&t, "unexpected argument '%s' after codec", what[1]);
    const char *other = codec ? given_of(&t, step_options, sizeof step_options / sizeof *step_options)
                              : given_of(&t, codec_options, sizeof codec_options / sizeof *codec_options);
    if (other)
        return tool_usage(&t, "--%s goes with %s", other, codec ? "step" : "codec");
    s.network = what[1];
    return codec ? bench_codec(&t, &s) : bench_step(&t, &s);
}

int main(int argc, char **argv)
{
    return tool_main("actc-bench", run_tool, argc, argv);
}
