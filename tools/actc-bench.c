/* actc-bench.c: how fast a codec packs and unpacks, against copying the same tensor on the same device and threads; training
 * steps are bench_step.c's.
 *
 * GB/s count the bytes of X once, in 10^9 bytes, for packing, unpacking and copying alike, so that the ratios say
 * how much longer a codec takes than moving the tensor once. Runs go over several copies of X, which together leave
 * the caches, as in a training step. Each figure is the median of several measurements.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Bytes that the copies of X take together, at least; several times the caches of a server's core complex. */
#define ROTATION_BYTES ((uint64_t)256 << 20)
#define MAX_BUFFERS 64
/* Of one measurement, at least; and how many there are. */
#define MEASURE_SECONDS 0.05
#define MEASUREMENTS 5

typedef struct bench {
    const tool *t;
    const char *spec, *shape_text, *device_name, *input, *format;
    int64_t threads;
    uint64_t seed;
    actc_context *context;
    actc_device *device;
    actc_codec *codec;
    actc_shape shape;
} bench;

static int parse_shape(bench *b)
{
    const char *p = b->shape_text;
    double elements = 1;
    b->shape.ndim = 0;
    for (;;) {
        char *end;
        long long dim = strtoll(p, &end, 10);
        bool digits = *p >= '0' && *p <= '9';
        if (!digits || dim < 1 || (*end && *end != ',') || b->shape.ndim == ACTC_MAX_DIMS || (elements *= (double)dim) > 2147483647.0)
            return tool_usage(b->t, "--shape %s: 1 to %d sizes with commas between them, N,C,H,W, of at most 2^31 - 1 elements in all",
                              b->shape_text, ACTC_MAX_DIMS);
        b->shape.dims[b->shape.ndim++] = dim;
        if (!*end)
            return 0;
        p = end + 1;
    }
}

/* Standard normal numbers, or their positive part. */
static void fill(const bench *b, float *x, size_t elements)
{
    uint64_t state = b->seed;
    bool relu = strcmp(b->input, "relu") == 0;
    for (size_t i = 0; i < elements; i++) {
        double z = bench_normal(&state);
        x[i] = (float)(relu && z < 0 ? 0 : z);
    }
}

/* The median seconds of one run of each kind of work. The kinds take turns, so that what else the machine does
 * meets all of them. */
static actc_status measure(const bench *b, uint64_t bytes, double *medians)
{
    uint64_t copies = ROTATION_BYTES / (bytes + 1) + 1;
    int buffers = copies < 2 ? 2 : copies > MAX_BUFFERS ? MAX_BUFFERS : (int)copies, repeat[3];
    double seconds[3][MEASUREMENTS];
    for (int w = 0; w < 3; w++) {
        /* tells how many runs make a measurement */
        double once;
        actc_status status = actc_codec_benchmark(b->codec, (actc_codec_work)w, 2, 2, &once);
        if (status != ACTC_OK)
            return status;
        repeat[w] = (int)fmin(1e6, fmax(buffers, ceil(MEASURE_SECONDS / fmax(once, 1e-7))));
    }
    for (int i = 0; i < MEASUREMENTS; i++)
        for (int w = 0; w < 3; w++) {
            actc_status status = actc_codec_benchmark(b->codec, (actc_codec_work)w, buffers, repeat[w], &seconds[w][i]);
            if (status != ACTC_OK)
                return status;
        }
    for (int w = 0; w < 3; w++)
        medians[w] = bench_median(seconds[w], MEASUREMENTS);
    return ACTC_OK;
}

static actc_status relative_error(const bench *b, const float *x, size_t elements, uint64_t payload_bytes, double *error)
{
    const actc_codec_key key = {b->seed, 0, 0};
    float *restored = malloc(elements * sizeof *restored);
    void *payload = malloc(payload_bytes + 1);
    actc_status status = restored && payload ? actc_codec_pack(b->codec, x, &key, payload) : ACTC_ERROR_OUT_OF_MEMORY;
    if (status == ACTC_OK)
        status = actc_codec_unpack(b->codec, payload, &key, restored);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < elements && status == ACTC_OK; i++) {
        double d = (double)restored[i] - (double)x[i];
        difference += d * d;
        norm += (double)x[i] * (double)x[i];
    }
    *error = norm > 0 ? sqrt(difference / norm) : 0;
    free(payload);
    free(restored);
    return status;
}

static int print_result(const bench *b, const actc_codec_info *info, const double *seconds, double error)
{
    const actc_device_info *device = actc_device_get_info(b->device);
    double giga = (double)info->dense_bytes / 1e9, pack = giga / seconds[ACTC_CODEC_PACK], unpack = giga / seconds[ACTC_CODEC_UNPACK],
           copy = giga / seconds[ACTC_CODEC_COPY];
    if (strcmp(b->format, "text") == 0) {
        printf("%s on %s: %s\n", info->spec, b->shape_text, device->name);
        if (info->note[0])
            printf("note: %s\n", info->note);
        printf("bytes   %s -> %s", BYTES_TEXT(info->dense_bytes), BYTES_TEXT(info->payload_bytes));
        if (info->payload_bytes)
            printf(" (%.2f times smaller)", (double)info->dense_bytes / (double)info->payload_bytes);
        printf(", relative error %.4g\n", error);
        printf("pack    %9.3f ms  %7.2f GB/s  %.3f of copying\n", 1e3 * seconds[ACTC_CODEC_PACK], pack, pack / copy);
        printf("unpack  %9.3f ms  %7.2f GB/s  %.3f of copying\n", 1e3 * seconds[ACTC_CODEC_UNPACK], unpack, unpack / copy);
        printf("copy    %9.3f ms  %7.2f GB/s\n", 1e3 * seconds[ACTC_CODEC_COPY], copy);
        return 0;
    }
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "device", device->spec);
    json_text(json, "device_name", device->name);
    json_text(json, "driver", device->driver);
    json_u64(json, "threads", device->threads);
    json_text(json, "codec", info->spec);
    json_text(json, "note", info->note);
    json_text(json, "shape", b->shape_text);
    json_text(json, "input", b->input);
    json_f64(json, "pack_s", seconds[ACTC_CODEC_PACK]);
    json_f64(json, "unpack_s", seconds[ACTC_CODEC_UNPACK]);
    json_f64(json, "copy_s", seconds[ACTC_CODEC_COPY]);
    json_f64(json, "pack_gb_s", pack);
    json_f64(json, "unpack_gb_s", unpack);
    json_f64(json, "copy_gb_s", copy);
    json_u64(json, "payload_bytes", info->payload_bytes);
    json_u64(json, "dense_bytes", info->dense_bytes);
    json_u64(json, "kept", info->kept);
    json_text(json, "index_form", info->index_form);
    json_f64(json, "relative_error", error);
    return json_print(tool_output(), json, false) ? 0 : tool_output_failed(b->t);
}

static int run(bench *b)
{
    actc_device_options options = actc_device_options_default();
    options.device = b->device_name;
    options.threads = (int)b->threads;
    actc_status status = actc_device_open(b->context, &options, &b->device);
    if (status != ACTC_OK)
        return tool_failed_option(b->t, b->context, status, "device");
    if (actc_device_get_info(b->device)->type == ACTC_DEVICE_NULL)
        return tool_usage(b->t, "--device %s: it computes nothing that could be timed; accepted are auto, cpu, vulkan[:N] and cuda[:N]",
                          b->device_name);
    status = actc_codec_create(b->device, b->spec, &b->shape, &b->codec);
    if (status != ACTC_OK)
        return tool_failed_option(b->t, b->context, status, "codec");
    actc_codec_info info = {.size = sizeof info};
    if (actc_codec_info_get(b->codec, &info) != ACTC_OK)
        return tool_failed(b->t, b->context);
    float *x = malloc(info.dense_bytes);
    if (!x)
        return tool_fail(b->t, "out of memory: %s", BYTES_TEXT(info.dense_bytes));
    fill(b, x, info.elements);
    double seconds[3], error = 0;
    status = relative_error(b, x, info.elements, info.payload_bytes, &error);
    if (status == ACTC_OK)
        status = measure(b, info.dense_bytes, seconds);
    free(x);
    return status == ACTC_OK ? print_result(b, &info, seconds, error) : tool_failed(b->t, b->context);
}

static int run_tool(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "step") == 0)
        return bench_step(argc - 1, argv + 1);
    bench b = {.spec = "dct:lambda=100", .shape_text = "32,64,32,32", .device_name = "auto", .input = "normal", .format = "text", .seed = 1};
    tool_option options[] = {
        {"codec", TOOL_STRING, &b.spec, "SPEC", "codec to measure, see actc/codec.h (dct:lambda=100)"},
        {"shape", TOOL_STRING, &b.shape_text, "N,C,H,W", "of the tensor, 1 to 5 sizes (32,64,32,32)"},
        {"device", TOOL_STRING, &b.device_name, "DEVICE", "auto, cpu, vulkan[:N], cuda[:N] (auto)"},
        {"threads", TOOL_INT, &b.threads, "N", "CPU threads (all)", NULL, 0, 1024},
        {"input", TOOL_CHOICE, &b.input, "normal|relu", "what the tensor holds: normal numbers, or their positive part", "normal|relu"},
        {"seed", TOOL_SEED, &b.seed, "N", "of the tensor (1)"},
        {"format", TOOL_CHOICE, &b.format, "text|json", "json: one object on the standard output", "text|json"},
    };
    const tool t = {
        .name = "actc-bench",
        .summary = "Measures how fast a codec packs and unpacks a tensor, or a network's training steps.",
        .synopsis = "codec [OPTION...]\n       actc-bench step NETWORK [OPTION...] (see actc-bench step --help)",
        .text = "GB/s are 10^9 bytes of the dense tensor a second, for copying too.\n\n"
                "Examples:\n"
                "  actc-bench codec\n"
                "  actc-bench codec --codec wavelet:lambda=100 --shape 32,64,32,32 --device cpu --format json\n"
                "  actc-bench step resnet18 --batch 32 --compress '*=dct:lambda=100'\n",
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *what = NULL;
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, &what, 1, &count, &code))
        return code;
    if (what && strcmp(what, "step") == 0)
        return tool_usage(&t, "step comes before its options: actc-bench step NETWORK [OPTION...]");
    if (!what || strcmp(what, "codec") != 0)
        return tool_usage(&t, "%s%s%s; accepted are: codec, step", what ? "'" : "nothing to measure is named", what ? what : "",
                          what ? "' cannot be measured" : "");
    b.t = &t;
    code = parse_shape(&b);
    if (!code && !(b.context = tool_context(&t)))
        code = TOOL_FAILURE;
    if (!code)
        code = run(&b);
    actc_codec_destroy(&b.codec);
    actc_device_destroy(&b.device);
    actc_context_destroy(&b.context);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-bench", run_tool, argc, argv);
}
