/* Graphs drawn at random of operators that alias their input, work in place and share tensors, on the device that
 * ACTC_TEST_DEVICE names (default cpu): with every operator in memory of its own and in place, a training step gives the same
 * bits, and an evaluation the loss that float64 gives; and the same bits again where rules drawn at random have operators computed
 * again in the backward pass instead of keeping what they save.
 *
 *   test_alias [GRAPHS]      default 2,000
 */
#include "fill.h"
#include "keep_loaded.h"

#include <actc/actc.h>
#include <math.h>

enum { N = 3, C = 2, SIDE = 4, SAMPLE = C * SIDE * SIDE, CLASSES = 3, MAX_TENSORS = 24 };

static actc_context *context;
static actc_device *device;
static int graphs = 2000;

/* JOIN: two side by side along axis 1, without the first channel of the one and with only that of the other. */
typedef enum kind { RELU, FLATTEN, RESHAPE, DROPOUT, DROPOUT_0, ADD, CONV, NORM, JOIN, OUTPUT, KINDS } kind;

/* Tensor i of a drawn graph is made by op[i - 1] of earlier ones; 0 is the input. */
typedef struct drawn {
    int count; /* of tensors */
    struct { kind kind; int a, b; } ops[MAX_TENSORS];
    bool flat[MAX_TENSORS]; /* N,F instead of N,C,H,W */
    bool used[MAX_TENSORS];
    actc_tensor *tensors[MAX_TENSORS];
} drawn;

static uint32_t draw(test_rng *r, uint32_t n)
{
    return rng_next(r) % n;
}

static void draw_graph(uint64_t seed, drawn *g)
{
    test_rng r = {seed};
    *g = (drawn){.count = 1};
    int wanted = 4 + (int)draw(&r, MAX_TENSORS - 8);
    while (g->count < wanted) {
        kind k = (kind)draw(&r, KINDS);
        /* mostly what was made last, so that chains form */
        int a = draw(&r, 3) ? g->count - 1 : (int)draw(&r, (uint32_t)g->count), b = (int)draw(&r, (uint32_t)g->count);
        if ((k == CONV || k == FLATTEN) && g->flat[a])
            k = RELU;
        if (k == OUTPUT && a == 0)
            k = DROPOUT;
        if ((k == ADD || k == JOIN) && g->flat[a] != g->flat[b])
            b = a;
        g->ops[g->count].kind = k;
        g->ops[g->count].a = a;
        g->ops[g->count].b = b;
        g->flat[g->count] = k == FLATTEN || (k != CONV && k != RESHAPE && g->flat[a]);
        g->used[a] = true;
        g->used[b] |= k == ADD || k == JOIN;
        g->count++;
    }
}

/* All that nobody reads is flattened, added up and classified. */
static actc_graph *build(drawn *g)
{
    const int64_t sample[] = {C, SIDE, SIDE};
    char name[24];
    actc_graph *graph;
    actc_conv2d_options conv = actc_conv2d_options_default(C, 3);
    conv.padding[0] = conv.padding[1] = 1;
    actc_linear_options fc = actc_linear_options_default(CLASSES);
    if (actc_graph_create(context, "alias", &graph) != ACTC_OK)
        return NULL;
    g->tensors[0] = actc_input(graph, "input", sample, 3);
    actc_tensor *label = actc_label_input(graph, "label"), *sum = NULL;
    for (int i = 1; i < g->count; i++) {
        actc_tensor *a = g->tensors[g->ops[i].a], *b = g->tensors[g->ops[i].b], *y = a, *both[] = {a, b, a};
        const int64_t first = g->flat[i] ? SIDE * SIDE : 1;
        snprintf(name, sizeof name, "op%d", i);
        switch (g->ops[i].kind) {
        case RELU: y = actc_relu(graph, name, a); break;
        case FLATTEN: y = actc_flatten(graph, name, a); break;
        case RESHAPE: y = actc_reshape(graph, name, a, sample, 3); break;
        case DROPOUT: y = actc_dropout(graph, name, a, 0.5); break;
        case DROPOUT_0: y = actc_dropout(graph, name, a, 0); break;
        case ADD: y = actc_add(graph, name, a, b); break;
        case CONV: y = actc_conv2d(graph, name, a, &conv); break;
        case NORM: y = actc_batch_norm(graph, name, a, NULL); break;
        case JOIN:
            both[0] = i % 3 ? a : actc_concat(graph, name, both, 2, 1);
            snprintf(name, sizeof name, "join%d", i);
            y = actc_concat(graph, name, both, i % 3 == 2 ? 3 : 2, 1);
            snprintf(name, sizeof name, "part%d", i);
            y = actc_slice(graph, name, y, 1, first, first * (C + 1));
            break;
        default: actc_graph_add_output(graph, a); break; /* y is a itself */
        }
        g->tensors[i] = y;
    }
    for (int i = 0; i < g->count; i++) {
        if (g->used[i])
            continue;
        actc_tensor *x = g->tensors[i];
        snprintf(name, sizeof name, "flat%d", i);
        x = g->flat[i] ? x : actc_flatten(graph, name, x);
        snprintf(name, sizeof name, "sum%d", i);
        sum = sum ? actc_add(graph, name, sum, x) : x;
    }
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_linear(graph, "fc", sum, &fc), label));
    return graph;
}

/* ---- float64 ---- */

static const float *parameter(const float *const *values, const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return values[i];
    return NULL;
}

static void conv64(const double *x, const float *w, const float *b, double *y)
{
    for (int n = 0; n < N; n++)
        for (int o = 0; o < C; o++)
            for (int i = 0; i < SIDE; i++)
                for (int j = 0; j < SIDE; j++) {
                    double s = b[o];
                    for (int c = 0; c < C; c++)
                        for (int u = 0; u < 3; u++)
                            for (int v = 0; v < 3; v++)
                                if (i + u >= 1 && i + u <= SIDE && j + v >= 1 && j + v <= SIDE)
                                    s += x[((n * C + c) * SIDE + i + u - 1) * SIDE + j + v - 1] * w[((o * C + c) * 3 + u) * 3 + v];
                    y[((n * C + o) * SIDE + i) * SIDE + j] = s;
                }
}

/* The sum of the losses of an evaluation; values in PyTorch's order, where neither flatten nor reshape changes anything. */
static double loss64(const drawn *g, const float *images, const int32_t *labels, const float *const *values, const char *const *names,
                     size_t count)
{
    static double t[MAX_TENSORS][N * SAMPLE];
    double sum[N * SAMPLE] = {0}, total = 0;
    char name[32];
    for (int i = 0; i < N * SAMPLE; i++)
        t[0][i] = images[i];
    for (int i = 1; i < g->count; i++) {
        const double *a = t[g->ops[i].a], *b = t[g->ops[i].b];
        if (g->ops[i].kind == CONV) {
            snprintf(name, sizeof name, "op%d.weight", i);
            const float *w = parameter(values, names, count, name);
            snprintf(name, sizeof name, "op%d.bias", i);
            conv64(a, w, parameter(values, names, count, name), t[i]);
            continue;
        }
        for (int e = 0; e < N * SAMPLE && g->ops[i].kind == JOIN; e++)
            t[i][e] = e % SAMPLE < SAMPLE - SIDE * SIDE ? a[e + SIDE * SIDE] : b[e + SIDE * SIDE - SAMPLE];
        for (int e = 0; e < N * SAMPLE && g->ops[i].kind != JOIN; e++)
            t[i][e] = g->ops[i].kind == RELU ? (a[e] > 0 ? a[e] : 0) : g->ops[i].kind == ADD ? a[e] + b[e]
                      : g->ops[i].kind == NORM ? a[e] / sqrt(1 + 1e-5) : a[e]; /* of the first running statistics */
    }
    for (int i = 0; i < g->count; i++)
        for (int e = 0; e < N * SAMPLE && !g->used[i]; e++)
            sum[e] += t[i][e];
    const float *w = parameter(values, names, count, "fc.weight"), *b = parameter(values, names, count, "fc.bias");
    for (int n = 0; n < N; n++) {
        double scores[CLASSES], norm = 0;
        for (int c = 0; c < CLASSES; c++) {
            scores[c] = b[c];
            for (int e = 0; e < SAMPLE; e++)
                scores[c] += sum[n * SAMPLE + e] * w[c * SAMPLE + e];
            norm += exp(scores[c]);
        }
        total += log(norm) - scores[labels[n]];
    }
    return total;
}

/* ---- running ---- */

enum { MAX_STATES = 256 };
typedef struct outcome {
    float loss;
    bool again; /* something is computed again */
    double evaluated, reference;
    size_t count;
    float *states[MAX_STATES];
    size_t elements[MAX_STATES];
} outcome;

/* Rules that have some of the graph's operators computed again. */
static void draw_rules(uint64_t seed, const drawn *g, char *text, size_t size)
{
    test_rng r = {seed ^ 7};
    if (!draw(&r, 4)) {
        snprintf(text, size, "*=recompute:segments=%u", 1 + draw(&r, 4));
        return;
    }
    text[0] = '\0';
    for (int rule = 0; rule < 3; rule++) {
        int first = 1 + (int)draw(&r, (uint32_t)g->count - 1), last = first + (int)draw(&r, (uint32_t)(g->count - first));
        const char *separator = *text ? ";" : "";
        bool any = false;
        for (int i = first; i <= last; i++) {
            if (g->ops[i].kind == OUTPUT)
                continue;
            if (g->ops[i].kind == JOIN)
                snprintf(text + strlen(text), size - strlen(text), "%sjoin%d,part%d", separator, i, i);
            else
                snprintf(text + strlen(text), size - strlen(text), "%sop%d", separator, i);
            separator = ",";
            any = true;
        }
        if (any)
            snprintf(text + strlen(text), size - strlen(text), "=recompute");
    }
}

static bool run(uint64_t seed, bool no_inplace, bool recompute, outcome *o)
{
    static drawn g;
    float images[N * SAMPLE];
    int32_t labels[N] = {1, 2, 0};
    const char *names[MAX_STATES];
    actc_network *network = NULL;
    draw_graph(seed, &g);
    actc_graph *graph = build(&g);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = N;
    options.seed = seed;
    options.no_inplace = no_inplace;
    char rules[1024];
    draw_rules(seed, &g, rules, sizeof rules);
    if (recompute)
        options.compress = rules;
    test_rng r = {seed ^ 99};
    for (int i = 0; i < N * SAMPLE; i++)
        images[i] = rng_normal(&r);
    int64_t correct = 0;
    actc_step_result result = {.size = sizeof result};
    actc_memory_report memory = {.size = sizeof memory};
    *o = (outcome){0};
    bool good = graph && actc_network_create(device, graph, &options, &network) == ACTC_OK && actc_network_initialize(network) == ACTC_OK &&
                actc_network_memory(network, &memory) == ACTC_OK &&
                actc_network_evaluate(network, images, labels, N, &o->evaluated, &correct) == ACTC_OK;
    for (size_t i = 0; good && i < actc_network_state_count(network) && i < MAX_STATES; i++) {
        actc_state_info info = {.size = sizeof info};
        good = actc_network_state_info(network, i, &info) == ACTC_OK;
        o->elements[i] = (size_t)actc_shape_elements(&info.shape);
        o->states[i] = malloc(o->elements[i] * sizeof(float));
        good = good && o->states[i] && actc_network_read_state(network, i, o->states[i]) == ACTC_OK;
        names[i] = info.name;
        o->count = i + 1;
    }
    if (good)
        o->reference = loss64(&g, images, labels, (const float *const *)o->states, names, o->count);
    good = good && actc_network_train_step(network, images, labels, 0.01, &result) == ACTC_OK;
    o->loss = result.loss;
    o->again = memory.recompute_percent > 0;
    for (size_t i = 0; good && i < o->count; i++)
        good = actc_network_read_state(network, i, o->states[i]) == ACTC_OK;
    if (!good)
        print_error("graph %llu: %s\n", (unsigned long long)seed, actc_error_message(context));
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    return good;
}

/* Differences of two outcomes in words; "" where there is none. */
static const char *compare(const outcome *a, const outcome *b)
{
    static char text[128];
    if (memcmp(&a->loss, &b->loss, sizeof a->loss) || a->evaluated != b->evaluated || a->count != b->count) {
        snprintf(text, sizeof text, "losses %.9g %.9g, evaluated %.9g %.9g", a->loss, b->loss, a->evaluated, b->evaluated);
        return text;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (memcmp(a->states[i], b->states[i], a->elements[i] * sizeof(float)) != 0) {
            snprintf(text, sizeof text, "state %zu", i);
            return text;
        }
    }
    if (!(fabs(a->evaluated - a->reference) <= 1e-5 * (1 + fabs(a->reference)))) {
        snprintf(text, sizeof text, "evaluated %.9g, float64 gives %.9g", a->evaluated, a->reference);
        return text;
    }
    return "";
}

static void release(outcome *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->states[i]);
}

static void in_place_is_as_out_of_place(void **state)
{
    (void)state;
    int failures = 0, again = 0;
    for (int i = 0; i < graphs; i++) {
        outcome apart, inplace, recomputed;
        uint64_t seed = 1000003u * (uint64_t)(i + 1);
        bool good = run(seed, true, false, &apart);
        good = run(seed, false, false, &inplace) && good;
        good = run(seed, i % 2, true, &recomputed) && good;
        const char *why = good ? compare(&apart, &inplace) : "failed";
        if (good && !*why && *compare(&inplace, &recomputed))
            why = "computed again, it differs";
        if (*why && failures++ < 5)
            print_error("graph %d: %s\n", i, why);
        again += recomputed.again;
        release(&recomputed);
        release(&apart);
        release(&inplace);
    }
    assert_int_equal(failures, 0);
    assert_true(again > graphs / 4);
}

static int setup(void **state)
{
    (void)state;
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.threads = 1;
    options.validate = getenv("ACTC_TEST_VALIDATE") && !strncmp(options.device, "vulkan", 6);
    if (actc_context_create(NULL, &context) != ACTC_OK || actc_device_open(context, &options, &device) != ACTC_OK)
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_place_is_as_out_of_place)};
    if (argc > 1)
        graphs = atoi(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
