/* Small networks of models/ against PyTorch in float64 (tests/oracle/resnet_gradients.py and so on): loss, the gradient of
 * every parameter, the running statistics after a step, the logits of an evaluation that uses them; and what compression must not
 * change. On the device that ACTC_TEST_DEVICE names.
 */
#include <math.h>
#include <unistd.h>

#include "cvt.h"
#include "deeplab.h"
#include "edsr.h"
#include "efficientnet.h"
#include "network_test.h"
#include "resnet.h"
#include "unet3d.h"
#include "vit.h"

static actc_tensor *build_basic(actc_graph *graph, actc_tensor *x)
{
    const actc_resnet_options options = {.depths = {1, 1, 1, 1}, .width = 4, .group_width = 64, .classes = 7};
    return actc_resnet(graph, x, &options);
}

static actc_tensor *build_bottleneck(actc_graph *graph, actc_tensor *x)
{
    const actc_resnet_options options = {.depths = {2, 1, 1, 1}, .bottleneck = true, .width = 4, .group_width = 128, .classes = 7};
    return actc_resnet(graph, x, &options);
}

static actc_tensor *build_unet(actc_graph *graph, actc_tensor *x)
{
    const actc_unet3d_options options = {.features = 3, .depth = 2, .classes = 3};
    return actc_unet3d(graph, x, &options);
}

static actc_tensor *build_deep_unet(actc_graph *graph, actc_tensor *x)
{
    const actc_unet3d_options options = {.features = 4, .depth = 4, .classes = 3};
    return actc_unet3d(graph, x, &options);
}

static actc_tensor *build_efficientnet(actc_graph *graph, actc_tensor *x)
{
    const actc_efficientnet_options options = {.width = 0.05, .depth = 0.5, .classes = 7};
    return actc_efficientnet(graph, x, &options);
}

static actc_tensor *build_efficientnet_relu(actc_graph *graph, actc_tensor *x)
{
    const actc_efficientnet_options options = {.width = 0.05, .depth = 0.25, .relu = true, .classes = 7};
    return actc_efficientnet(graph, x, &options);
}

static actc_tensor *build_efficientnet_tf(actc_graph *graph, actc_tensor *x)
{
    const actc_efficientnet_options options = {.width = 0.05, .depth = 0.25, .tensorflow = true, .classes = 7};
    return actc_efficientnet(graph, x, &options);
}

static actc_tensor *build_edsr(actc_graph *graph, actc_tensor *x)
{
    const actc_edsr_options options = {.features = 4, .blocks = 2, .scale = 4};
    return actc_edsr(graph, x, &options);
}

static actc_tensor *build_edsr_x3(actc_graph *graph, actc_tensor *x)
{
    const actc_edsr_options options = {.features = 4, .blocks = 1, .scale = 3};
    return actc_edsr(graph, x, &options);
}

static actc_tensor *build_deeplab(actc_graph *graph, actc_tensor *x)
{
    const actc_deeplab_options options = {.width = 0.1, .features = 4, .classes = 5};
    return actc_deeplabv3plus(graph, x, &options);
}

static actc_tensor *build_vit(actc_graph *graph, actc_tensor *x)
{
    const actc_vit_options options = {.patch = {8, 8}, .dim = 12, .depth = 2, .heads = 2, .head_dim = 5, .hidden = 20, .classes = 7};
    return actc_vit(graph, x, &options);
}

static actc_tensor *build_vit_mean(actc_graph *graph, actc_tensor *x)
{
    const actc_vit_options options = {.patch = {8, 12}, .dim = 8, .depth = 1, .heads = 3, .head_dim = 4, .hidden = 10, .classes = 7,
                                      .mean_pool = true};
    return actc_vit(graph, x, &options);
}

static actc_tensor *build_vit3d(actc_graph *graph, actc_tensor *x)
{
    const actc_vit_options options = {.patch = {2, 4, 4}, .dim = 12, .depth = 1, .heads = 2, .head_dim = 6, .hidden = 16, .classes = 7,
                                      .mean_pool = true, .norm_pooled = true};
    return actc_vit(graph, x, &options);
}

/* With dropout, which PyTorch would draw otherwise. */
static actc_tensor *build_vit_dropout(actc_graph *graph, actc_tensor *x)
{
    const actc_vit_options options = {.patch = {8, 8}, .dim = 16, .depth = 2, .heads = 2, .head_dim = 8, .hidden = 24, .classes = 7,
                                      .dropout = 0.1};
    return actc_vit(graph, x, &options);
}

static actc_tensor *build_cvt(actc_graph *graph, actc_tensor *x)
{
    const actc_cvt_options options = {.dim = {4, 6, 8}, .depth = {1, 1, 2}, .heads = {1, 2, 3}, .head_dim = 4, .classes = 7};
    return actc_cvt(graph, x, &options);
}

enum { MOST = 16384 }; /* elements of a batch's inputs, labels or logits */

static const struct variant {
    const char *name;
    actc_tensor *(*build)(actc_graph *graph, actc_tensor *x);
    const char *fixture; /* NULL: there is none, and inputs are made here */
    int64_t batch, sample[4];
    int ndim;
    int64_t classes;
    bool maps;           /* a label a position */
    int scale;           /* not 0: its target is an image this many times as large */
} variants[] = {
    {"basic", build_basic, "resnet_gradients", 4, {3, 16, 16}, 3, 7, false},
    {"bottleneck", build_bottleneck, "resnet_gradients", 4, {3, 16, 16}, 3, 7, false},
    {"unet", build_unet, "unet3d_gradients", 2, {2, 8, 12, 8}, 4, 3, true},
    {"deep unet", build_deep_unet, NULL, 2, {1, 16, 16, 16}, 4, 3, true},
    {"efficientnet", build_efficientnet, "efficientnet_gradients", 4, {1, 48, 48}, 3, 7, false},
    {"efficientnet relu", build_efficientnet_relu, "efficientnet_gradients", 4, {1, 48, 48}, 3, 7, false},
    {"efficientnet tf", build_efficientnet_tf, "efficientnet_gradients", 4, {1, 48, 48}, 3, 7, false},
    {"edsr", build_edsr, "edsr_gradients", 2, {3, 6, 5}, 3, 3, true, 4},
    {"edsr x3", build_edsr_x3, "edsr_gradients", 2, {3, 6, 5}, 3, 3, true, 3},
    {"deeplab", build_deeplab, "deeplab_gradients", 4, {3, 33, 40}, 3, 5, true},
    {"vit", build_vit, "transformer_gradients", 4, {3, 24, 24}, 3, 7},
    {"vit mean", build_vit_mean, "transformer_gradients", 4, {3, 24, 24}, 3, 7},
    {"vit3d", build_vit3d, "transformer_gradients", 4, {3, 4, 12, 12}, 4, 7},
    {"vit dropout", build_vit_dropout, NULL, 4, {3, 24, 24}, 3, 7},
    {"cvt", build_cvt, "transformer_gradients", 4, {3, 24, 24}, 3, 7},
};
enum { BASIC, BOTTLENECK, UNET, DEEP_UNET, EFFICIENTNET, EFFICIENTNET_RELU, EFFICIENTNET_TF, EDSR, EDSR_X3, DEEPLAB, VIT,
       VIT_MEAN, VIT3D, VIT_DROPOUT, CVT, VARIANTS };

static actc_safetensors *files[VARIANTS];

static const float *find(const fixture *f, const struct variant *v, bool of_network, const char *name)
{
    char text[128];
    size_t index;
    const float *values;
    actc_safetensors *file = files[v - variants];
    snprintf(text, sizeof text, "%s%s%s", of_network ? v->name : "", of_network ? "|" : "", name);
    if (!file || actc_safetensors_find(file, text, &index) != ACTC_OK)
        return NULL;
    CHECK(f->context, actc_safetensors_get(file, index, NULL, NULL, &values));
    return values;
}

static const float *tensor(const fixture *f, const struct variant *v, bool of_network, const char *name)
{
    const float *values = find(f, v, of_network, name);
    if (!values)
        fail_msg("the fixture has no tensor %s of %s", name, v->name);
    return values;
}

/* The first values that the fixture has; all others are the network's own. */
static void give_parameters(const fixture *f, const struct variant *v, actc_network *network)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        char name[96];
        CHECK(f->context, actc_network_state_info(network, i, &info));
        snprintf(name, sizeof name, "param.%s", info.name);
        const float *values = info.kind == ACTC_STATE_PARAMETER ? find(f, v, true, name) : NULL;
        if (values)
            CHECK(f->context, actc_network_write_state(network, i, values));
    }
}

static actc_network *prepare_with(const fixture *f, const struct variant *v, const char *rules, bool no_inplace)
{
    actc_graph *graph;
    actc_network *network;
    CHECK(f->context, actc_graph_create(f->context, v->name, &graph));
    actc_tensor *x = actc_input(graph, "image", v->sample, v->ndim);
    const int64_t image[] = {v->classes, v->sample[1] * v->scale, v->sample[2] * v->scale};
    actc_tensor *label = v->scale ? actc_input(graph, "label", image, 3)
                                  : actc_input_of(graph, "label", ACTC_I32, v->maps ? v->sample + 1 : NULL, v->maps ? v->ndim - 1 : 0);
    actc_tensor *logits = v->build(graph, x);
    actc_graph_set_loss(graph, v->scale ? actc_l1_loss(graph, "loss", logits, label) : actc_cross_entropy(graph, "loss", logits, label));
    actc_graph_add_output(graph, logits);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = options.infer_batch = v->batch;
    options.compress = rules;
    options.no_inplace = no_inplace;
    options.seed = 11;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    CHECK(f->context, actc_network_initialize(network));
    give_parameters(f, v, network);
    actc_memory_report memory = {.size = sizeof memory};
    CHECK(f->context, actc_network_memory(network, &memory));
    assert_int_equal(memory.planned_bytes, memory.allocated_bytes);
    return network;
}

static actc_network *prepare(const fixture *f, const struct variant *v, const char *rules)
{
    return prepare_with(f, v, rules, false);
}

/* ---- batches ---- */

typedef struct samples {
    float images[MOST], targets[MOST];
    int32_t labels[MOST];
    actc_binding bindings[2];
    int64_t positions; /* labels of the batch */
} samples;

static void load(const fixture *f, const struct variant *v, samples *s)
{
    int64_t elements = v->batch;
    s->positions = v->batch;
    for (int d = 0; d < v->ndim; d++) {
        elements *= v->sample[d];
        s->positions *= v->maps && d ? v->sample[d] * (v->scale ? v->scale : 1) : 1;
    }
    assert_true(elements <= MOST && s->positions <= MOST && s->positions * v->classes <= 4 * MOST);
    for (int64_t i = 0; i < elements; i++)
        s->images[i] = v->fixture ? tensor(f, v, false, "images")[i] : sinf((float)(i * 7 % 1009));
    for (int64_t i = 0; v->scale && i < s->positions * v->classes; i++)
        s->targets[i] = tensor(f, v, true, "targets")[i];
    for (int64_t i = 0; !v->scale && i < s->positions; i++)
        s->labels[i] = v->fixture ? (int32_t)tensor(f, v, false, "labels")[i] : (int32_t)(i * 5 % 7 % v->classes);
    s->bindings[0] = (actc_binding){"image", s->images};
    s->bindings[1] = (actc_binding){"label", v->scale ? (const void *)s->targets : s->labels};
}

static float train(const fixture *f, const struct variant *v, actc_network *network, double rate)
{
    static samples s;
    actc_step_result result = {.size = sizeof result};
    load(f, v, &s);
    CHECK(f->context, actc_network_train(network, s.bindings, 2, rate, &result));
    return result.loss;
}

/* ||got - want|| and ||want|| of all states of one kind, squared, added up. */
typedef struct difference {
    double error, norm;
    int count;
} difference;

static difference compare(const fixture *f, const actc_network *network, const struct variant *v, actc_state_kind kind)
{
    difference d = {0};
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (info.kind != kind)
            continue;
        int64_t n = actc_shape_elements(&info.shape);
        float *got = malloc((size_t)n * sizeof *got);
        const float *want = tensor(f, v, true, info.name);
        assert_non_null(got);
        CHECK(f->context, actc_network_read_state((actc_network *)network, i, got));
        for (int64_t k = 0; k < n; k++) {
            d.error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            d.norm += (double)want[k] * want[k];
        }
        free(got);
        d.count++;
    }
    return d;
}

static void against_float64(void **state)
{
    const fixture *f = *state;
    static samples s;
    static float logits[4 * MOST];
    for (const struct variant *v = variants; v < variants + VARIANTS; v++) {
        if (!v->fixture)
            continue;
        actc_network *network = prepare(f, v, NULL);
        float loss = train(f, v, network, 0), want = tensor(f, v, true, "loss")[0];
        if (!(fabsf(loss - want) <= 1e-5f * want))
            fail_msg("%s: loss %.9g, float64 gives %.9g", v->name, loss, want);
        difference gradients = compare(f, network, v, ACTC_STATE_GRADIENT), buffers = compare(f, network, v, ACTC_STATE_BUFFER);
        const bool norms = !v->scale && (v < &variants[VIT] || v > &variants[VIT_DROPOUT]); /* of the batch */
        assert_true(gradients.count >= (v->scale ? 12 : 21) && buffers.count >= (norms ? 16 : 0));
        if (!(gradients.error <= 1e-10 * gradients.norm) || !(buffers.error <= 1e-12 * buffers.norm))
            fail_msg("%s: relative error %g of the gradients, %g of the running statistics", v->name,
                     sqrt(gradients.error / gradients.norm), sqrt(buffers.error / buffers.norm));
        load(f, v, &s);
        CHECK(f->context, actc_network_infer(network, s.bindings, 1, v->batch));
        CHECK(f->context, actc_network_read_output(network, 0, logits));
        for (int64_t k = 0; k < s.positions * v->classes; k++)
            assert_true(fabsf(logits[k] - tensor(f, v, true, "logits")[k]) <= 1e-4f);
        actc_value value = {.size = sizeof value};
        CHECK(f->context, actc_network_evaluate_batch(network, s.bindings, 2, v->batch));
        CHECK(f->context, actc_network_value(network, 0, &value));
        assert_true(fabs(value.value - tensor(f, v, true, "evaluated")[0]) <= 1e-5 * value.value);
        actc_network_destroy(&network);
    }
}

/* The first loss is the same to the last bit, whatever is compressed; training goes on. */
static void compression_leaves_the_loss(void **state)
{
    const fixture *f = *state;
    static const char *const rules[] = {"*=dct:lambda=10", "*/*@conv=wavelet:lambda=4", "*@bn=threshold:lambda=10", "*@bn=dct:lambda=10,bn=input",
                                        "*@conv,bn,relu=dct:lambda=4,relu=value", "*=random", "*=quant:bits=2"};
    static const char *const attention_rules[] = {"*=dct:lambda=10", "*@attention=wavelet:lambda=4", "*@linear,ln=threshold:lambda=10",
                                                  "*=random", "*=quant:bits=2"};
    static const int of[] = {BASIC, UNET, EFFICIENTNET, EDSR, DEEPLAB, VIT_DROPOUT, CVT};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        const struct variant *v = &variants[of[k]];
        const bool attention = of[k] >= VIT;
        actc_network *network = prepare(f, v, NULL);
        float first = train(f, v, network, 0.01);
        actc_network_destroy(&network);
        for (size_t i = 0; i < (attention ? sizeof attention_rules : sizeof rules) / sizeof *rules; i++) {
            if (of[k] == EFFICIENTNET && strstr(rules[i], "relu")) /* it has none */
                continue;
            if (v->scale && strstr(rules[i], "bn"))
                continue; /* it has none */
            network = prepare(f, v, attention ? attention_rules[i] : rules[i]);
            float loss = train(f, v, network, 0.01);
            assert_memory_equal(&loss, &first, sizeof loss);
            assert_true(isfinite(train(f, v, network, 0.01)));
            actc_network_destroy(&network);
        }
    }
}

/* Operators that work in place, and those that become part of a batch norm there, leave the same bits. (Compressed, a plan of another
 * size may restore tensors in other slices, whose sums differ in their last bits.) */
static void in_place_changes_nothing(void **state)
{
    const fixture *f = *state;
    for (const struct variant *v = variants; v < variants + VARIANTS; v++) {
        if (!v->fixture)
            continue;
        actc_network *a = prepare_with(f, v, NULL, false), *b = prepare_with(f, v, NULL, true);
        for (int step = 0; step < 2; step++) {
            float losses[2] = {train(f, v, a, 0.01), train(f, v, b, 0.01)};
            if (losses[0] != losses[1])
                fail_msg("%s: loss %.9g in place, %.9g else (step %d)", v->name, losses[0], losses[1], step + 1);
        }
        for (size_t k = 0; k < actc_network_state_count(a); k++) {
            actc_state_info info;
            CHECK(f->context, actc_network_state_info(a, k, &info));
            size_t n = (size_t)actc_shape_elements(&info.shape);
            float *x = malloc(2 * n * sizeof *x);
            assert_non_null(x);
            CHECK(f->context, actc_network_read_state(a, k, x));
            CHECK(f->context, actc_network_read_state(b, k, x + n));
            if (memcmp(x, x + n, n * sizeof *x))
                fail_msg("%s: %s differs", v->name, info.name);
            free(x);
        }
        actc_network_destroy(&a);
        actc_network_destroy(&b);
    }
}

/* A batch that is not finite changes no running statistics. */
static void buffers_are_committed_when_finite(void **state)
{
    const fixture *f = *state;
    static samples s;
    const struct variant *v = &variants[BASIC];
    actc_network *network = prepare(f, v, NULL);
    train(f, v, network, 0);
    difference before = compare(f, network, v, ACTC_STATE_BUFFER);
    load(f, v, &s);
    s.images[5] = NAN;
    assert_int_equal(actc_network_train(network, s.bindings, 2, 0, NULL), ACTC_ERROR_NOT_FINITE);
    difference after = compare(f, network, v, ACTC_STATE_BUFFER);
    assert_true(after.error == before.error);
    train(f, v, network, 0); /* from the statistics before it */
    assert_true(compare(f, network, v, ACTC_STATE_BUFFER).error < 1e6);
    actc_network_destroy(&network);
}

/* What a run saves holds parameters and buffers, and another network of the same shape takes them. */
static void saved_and_loaded(void **state)
{
    const fixture *f = *state;
    char path[] = "/tmp/actc-resnet-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const struct variant *v = &variants[BOTTLENECK];
    static samples s;
    actc_network *a = prepare(f, v, NULL), *b = prepare(f, v, NULL);
    train(f, v, a, 0.01);
    load(f, v, &s);
    CHECK(f->context, actc_network_save_parameters(a, path));
    CHECK(f->context, actc_network_load_parameters(b, path));
    float logits[2][4 * 7];
    for (int i = 0; i < 2; i++) {
        CHECK(f->context, actc_network_infer(i ? b : a, s.bindings, 1, v->batch));
        CHECK(f->context, actc_network_read_output(i ? b : a, 0, logits[i]));
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    actc_network_destroy(&a);
    actc_network_destroy(&b);
    remove(path);
    close(fd);
}

/* Three steps of a deterministic device leave the same bits whatever it is, compressed or not. */
static void one_hash_everywhere(void **state)
{
    const fixture *f = *state;
    static const struct { int variant; const char *rules; uint64_t hash; } runs[] = {
        {BASIC, NULL, 0xa5d9fbda33ad09e3u},
        {BASIC, "*=dct:lambda=10,bn=input", 0x554aa0041e3305d5u},
        {BASIC, "*=dct:lambda=10", 0x63021d83820a4d57u},
        {BASIC, "*=wavelet:lambda=4", 0xc1cdc27f441a65dfu},
        {DEEP_UNET, NULL, 0x16fe056e1d01352du},
        {DEEP_UNET, "*=dct:lambda=10", 0xf37b6e0386322496u},
        {DEEP_UNET, "*=wavelet:lambda=4", 0x9e6e2465cc490f36u},
        {EFFICIENTNET, NULL, 0x10887c7b0ab3606du},
        {EFFICIENTNET, "*=dct:lambda=10", 0x9979fc2eb55c31b1u},
        {EFFICIENTNET_RELU, "*=wavelet:lambda=4", 0xf8adff6ef1d1b6e6u},
        {EDSR, NULL, 0x6caf46881b8b0e9cu},
        {EDSR, "*=dct:lambda=10", 0x9f31e5eba61cca93u},
        {DEEPLAB, NULL, 0x92e200094bcc7f48u},
        {DEEPLAB, "*=dct:lambda=10", 0x692102be5d16a34bu},
        {VIT_DROPOUT, NULL, 0x93ceabfdcff94bc6u},
        {VIT_DROPOUT, "*=dct:lambda=10", 0x570945a5cba94f57u},
        {VIT3D, NULL, 0x0bc63a30b1b481cfu},
        {CVT, NULL, 0x542d0ebd2a2bbf08u},
        {CVT, "*=wavelet:lambda=4", 0x8777b94b63789a4eu}};
    fixture exact = *f;
    actc_device_options options = actc_device_options_default();
    options.device = actc_device_get_info(f->device)->spec;
    options.deterministic = true;
    CHECK(f->context, actc_device_open(f->context, &options, &exact.device));
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        uint64_t hash = 14695981039346656037u;
        const struct variant *v = &variants[runs[i].variant];
        actc_network *network = prepare(&exact, v, runs[i].rules);
        for (int step = 0; step < 3; step++)
            train(&exact, v, network, 0.01);
        for (size_t k = 0; k < actc_network_state_count(network); k++) {
            actc_state_info info;
            CHECK(f->context, actc_network_state_info(network, k, &info));
            size_t n = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
            unsigned char *bytes = malloc(n);
            assert_non_null(bytes);
            CHECK(f->context, actc_network_read_state(network, k, (float *)(void *)bytes));
            for (size_t b = 0; b < n; b++)
                hash = (hash ^ bytes[b]) * 1099511628211u;
            free(bytes);
        }
        actc_network_destroy(&network);
        if (hash != runs[i].hash)
            fail_msg("%s, '%s': 0x%016llxu", v->name, runs[i].rules ? runs[i].rules : "", (unsigned long long)hash);
    }
    actc_device_destroy(&exact.device);
}

static void one_value_a_channel(void **state)
{
    const fixture *f = *state;
    const int64_t sample[] = {3};
    actc_graph *graph;
    actc_network *network = NULL;
    CHECK(f->context, actc_graph_create(f->context, "one", &graph));
    actc_linear_options fc = actc_linear_options_default(2);
    actc_tensor *x = actc_linear(graph, "fc", actc_input(graph, "x", sample, 1), &fc);
    x = actc_batch_norm(graph, "bn", x, NULL);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    assert_int_equal(actc_network_create(f->device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "one value a channel"));
    actc_graph_destroy(&graph);
}

static int open_fixtures(void **state)
{
    if (set_up(state))
        return -1;
    fixture *f = *state;
    for (int i = 0; i < VARIANTS; i++) {
        char path[256];
        snprintf(path, sizeof path, ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/%s.safetensors", variants[i].fixture);
        if (variants[i].fixture)
            CHECK(f->context, actc_safetensors_open(f->context, path, &files[i]));
    }
    return 0;
}

static int close_fixtures(void **state)
{
    for (int i = 0; i < VARIANTS; i++)
        actc_safetensors_destroy(&files[i]);
    return tear_down(state);
}

/* quick: without what needs no second driver of the same backend. */
int main(int argc, char **argv)
{
    const struct CMUnitTest quick[] = {cmocka_unit_test(against_float64), cmocka_unit_test(one_hash_everywhere)};
    if (argc > 1 && !strcmp(argv[1], "quick"))
        return cmocka_run_group_tests_name("models", quick, open_fixtures, close_fixtures);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_float64),   cmocka_unit_test(compression_leaves_the_loss), cmocka_unit_test(buffers_are_committed_when_finite),
        cmocka_unit_test(in_place_changes_nothing), cmocka_unit_test(saved_and_loaded),  cmocka_unit_test(one_hash_everywhere), cmocka_unit_test(one_value_a_channel),
    };
    return cmocka_run_group_tests_name("models", tests, open_fixtures, close_fixtures);
}
