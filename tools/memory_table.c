/* memory_table.c: Table 2 of Vu et al. (TMLR 2024), the same recomputed from our graphs as the reference counts, and ours. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory_table.h"

#define CODEC "dct:lambda=100"
enum { LAMBDA = 100, SETS = 3, BLOCKS = 5, PARTS = 3 };

/* ---- what is published ---- */

/* What the paper compresses of each block: layers of these names, never those of a shortcut. */
typedef struct layer_set {
    const char *name;
    const char *const parts[PARTS + 1];
} layer_set;
static const layer_set layer_sets[SETS] = {
    {"BN", {"bn*", NULL}},
    {"Conv+BN", {"conv*", "bn*", NULL}},
    {"Conv+BN+ReLU", {"conv*", "bn*", "relu*", NULL}},
};

static const layer_set whole_layers[] = {{"Attn+FF", {"*", NULL}}};

/* Where the layers of each block are. */
typedef struct block_scopes {
    const char *scopes[3];
} block_scopes;
static const block_scopes resnet_blocks[BLOCKS] = {{{""}}, {{"layer1/*/"}}, {{"layer2/*/"}}, {{"layer3/*/"}}, {{"layer4/*/"}}};
static const block_scopes unet_blocks[BLOCKS] = {
    {{"e1/", "d4/block/"}}, {{"e2/", "d3/block/"}}, {{"e3/", "d2/block/"}}, {{"e4/", "d1/block/"}}};

static const block_scopes vit_blocks[BLOCKS] = {{{"blocks/0/"}}, {{"blocks/1/"}}, {{"blocks/2/"}}, {{"blocks/3/"}}, {{"blocks/4/"}}};

typedef struct published {
    const char *network;
    int64_t batch, size; /* of every side but the first of a volume; 0: what is usual */
    int64_t classes;
    const block_scopes *blocks;
    int block_count;
    double others, baseline;         /* MiB: M_O, what layers that can be compressed do not save; M_BL, without compression */
    double compressed[SETS][BLOCKS]; /* MiB, by layer set, with the blocks up to this one */
    const char *stand_in;            /* NULL, or the network whose stages the reference has where it does not compress */
    const char *note;                /* NULL, or what is wrong with the published numbers */
    const layer_set *sets;           /* NULL: layer_sets */
    int64_t heads;
} published;

#define RESNET18_NOTE "published Conv+BN and Conv+BN+ReLU rows hold more than one value in 100"
/* Vu et al., TMLR 2024, Table 2: GPU memory allocated, "MB" (which are MiB), DCT, lambda 100. */
static const published table[] = {
    {"resnet18", 128, 32, 100, resnet_blocks, 5, 133, 617,
     {{586, 462, 400, 369, 353}, {586, 497, 454, 431, 418}, {595, 425, 360, 327, 311}}, NULL, RESNET18_NOTE},
    {"resnet18", 512, 32, 100, resnet_blocks, 5, 402, 2338,
     {{2213, 1726, 1482, 1360, 1298}, {2213, 1867, 1698, 1610, 1563}, {2252, 1575, 1321, 1196, 1133}}, NULL, RESNET18_NOTE},
    {"resnet18", 128, 64, 100, resnet_blocks, 5, 402, 2338,
     {{2214, 1727, 1483, 1361, 1299}, {2214, 1869, 1701, 1615, 1565}, {2253, 1576, 1323, 1199, 1136}}, NULL, RESNET18_NOTE},
    {"unet3d", 1, 96, 3, unet_blocks, 4, 458, 1630,
     {{1206, 1102, 1076, 1069}, {1004, 836, 793, 782}, {803, 583, 527, 514}}, NULL,
     "published numbers hold the int64 target too, 20 MiB"},
    {"unet3d", 2, 96, 3, unet_blocks, 4, 827, 3158,
     {{2321, 2112, 2060, 2046}, {1916, 1579, 1494, 1474}, {1509, 1072, 962, 934}}, NULL,
     "published numbers hold the int64 target too, 40 MiB"},
    {"unet3d", 1, 128, 3, unet_blocks, 4, 962, 3724,
     {{2732, 2482, 2421, 2407}, {2250, 1853, 1753, 1728}, {1771, 1251, 1120, 1088}}, NULL,
     "published numbers hold the int64 target too, 48 MiB"},
    {"resnet152star", 128, 32, 100, resnet_blocks, 5, 312, 2413,
     {{2382, 2196, 1947, 1389, 1365}, {2382, 2201, 1961, 1420, 1398}, {2383, 2016, 1544, 452, 410}}, NULL, NULL},
    {"resnet152", 128, 32, 100, resnet_blocks, 5, 738, 6287,
     {{6956, 6399, 5609, 3909, 3827}, {6956, 6414, 5650, 4005, 3926}, {6957, 5985, 4492, 1179, 1036}}, NULL,
     "published without compression as 6287, a misprint of 6987, which its percentages are of"},
    {"wideresnet101", 128, 32, 100, resnet_blocks, 5, 1000, 6824,
     {{4880, 4522, 4294, 3811, 3869}, {4880, 4542, 4334, 3899, 3960}, {4880, 3526, 3192, 1314, 1275}}, "resnet101",
     "the reference builds the stages it does not compress half as wide (recomputed so); 3526: 3926?"},
    {"vit", 256, 0, 1000, vit_blocks, 5, 467, 6299, {{5331, 4378, 3427, 2479, 1532}}, NULL,
     "M_BL and M_O are of another version of PyTorch; recomputed normalises the class token alone at the end (130 MiB less)", whole_layers, 16},
    {"vit3d", 32, 0, 100, vit_blocks, 5, 631, 6333, {{5975, 5604, 4235, 2867, 1498}}, NULL,
     "published without dropout where nothing is compressed, with 0.1 where something is", whole_layers, 8},
};
#define NETWORKS (sizeof table / sizeof *table)

static const layer_set *sets_of(const published *p)
{
    return p->sets ? p->sets : layer_sets;
}

static int set_count(const published *p)
{
    return p->sets ? 1 : SETS;
}

/* ---- selecting layers ---- */

typedef struct globs {
    char text[640];
} globs;

static void add_glob(globs *g, const char *scope, const char *name)
{
    size_t used = strlen(g->text);
    snprintf(g->text + used, sizeof g->text - used, "%s%s%s", used ? "," : "", scope, name);
}

/* The layers of a set in the first `blocks` blocks. */
static globs layers_of(const published *p, int set, int blocks)
{
    globs g = {""};
    for (int b = 0; b < blocks; b++)
        for (int s = 0; s < 3 && p->blocks[b].scopes[s]; s++)
            for (const char *const *part = sets_of(p)[set].parts; *part; part++)
                add_glob(&g, p->blocks[b].scopes[s], *part);
    return g;
}

/* The stages that the reference builds as they should be: those that it compresses. The stem has no scope, and is the same in
 * both networks. */
static globs built_of(const published *p, int blocks)
{
    globs g = {""};
    for (int b = 0; b < blocks; b++)
        for (int s = 0; s < 3 && p->blocks[b].scopes[s]; s++)
            if (*p->blocks[b].scopes[s])
                add_glob(&g, p->blocks[b].scopes[s], "*");
    return g;
}

static void rules_text(const char *layers, char *text, size_t size)
{
    snprintf(text, size, "%s=%s", layers, CODEC);
}

/* ---- a network of the table ---- */

typedef struct subject {
    const published *p;
    const actc_model *model;
    actc_model_config config;
    actc_graph *graph;
    memory_reference *reference, *stand_in;
} subject;

static actc_model_config config_of(const published *p, const actc_model *model)
{
    actc_model_config config = actc_model_usual(model);
    for (int d = 1; d < config.sample.ndim && p->size; d++)
        config.sample.dims[d] = p->size;
    config.classes = p->classes;
    return config;
}

static memory_reference *build_reference(actc_context *context, const actc_model *model, const actc_model_config *config)
{
    actc_graph *graph = NULL;
    const char *unknown;
    if (actc_graph_create(context, model->name, &graph) != ACTC_OK)
        return NULL;
    model->build(graph, config);
    memory_reference *reference = actc_graph_status(graph) == ACTC_OK ? memory_reference_create(graph, NULL, &unknown) : NULL;
    actc_graph_destroy(&graph);
    return reference;
}

static double recompute(const subject *s, const char *layers, double lambda, const char *built)
{
    memory_reference_rules rules = {.layers = layers, .any_depth = s->p->sets != NULL, .lambda = lambda, .stand_in = built ? s->stand_in : NULL, .built = built};
    return (double)memory_reference_bytes(s->reference, s->p->batch, &rules) / MIB;
}

static double recompute_row(const subject *s, int set, int blocks)
{
    globs layers = layers_of(s->p, set, blocks), built = built_of(s->p, blocks);
    return recompute(s, layers.text, LAMBDA, s->stand_in ? built.text : NULL);
}

static double recompute_others(const subject *s)
{
    globs layers = layers_of(s->p, set_count(s->p) - 1, s->p->block_count);
    return recompute(s, layers.text, INFINITY, NULL);
}

/* ---- plans ---- */

typedef struct planned {
    memory_row row;
    uint64_t after_forward_bytes, peak_bytes;
} planned;

typedef struct result {
    subject subject;
    double others;
    planned baseline, rows[SETS * BLOCKS + 1];
    int count;
} result;

typedef struct table_run {
    const tool *t;
    actc_context *context;
    actc_device *device;
    result results[NETWORKS];
    size_t count;
    tool_progress progress;
    double start;
    uint64_t done, total;
} table_run;

static int row_count(const published *p)
{
    return set_count(p) * p->block_count + 1;
}

static int plan(table_run *run, const subject *s, const char *layers, planned *out)
{
    char rules[720];
    actc_network_options options = actc_network_options_default();
    actc_memory_report report = {.size = sizeof report};
    actc_network *network = NULL;
    double seconds = tool_now() - run->start, per_s = seconds > 0 ? (double)run->done / seconds : 0;
    tool_progress_draw(&run->progress, "table 2", run->done, run->total, per_s, "plans/s",
                       per_s > 0 ? (double)(run->total - run->done) / per_s : 0);
    options.train_batch = s->p->batch;
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    if (layers) {
        rules_text(layers, rules, sizeof rules);
        options.compress = rules;
    }
    actc_status status = actc_network_create(run->device, s->graph, &options, &network);
    if (status == ACTC_OK)
        status = actc_network_memory(network, &report);
    out->after_forward_bytes = report.after_forward_bytes;
    out->peak_bytes = report.planned_bytes;
    actc_network_destroy(&network);
    run->done++;
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

static int open_subject(table_run *run, subject *s)
{
    const char *unknown;
    if (actc_graph_create(run->context, s->model->name, &s->graph) != ACTC_OK)
        return tool_failed(run->t, run->context);
    s->model->build(s->graph, &s->config);
    if (actc_graph_status(s->graph) != ACTC_OK)
        return tool_failed(run->t, run->context);
    const memory_reference_form form = {.heads = s->p->heads};
    s->reference = memory_reference_create(s->graph, &form, &unknown);
    if (!s->reference)
        return unknown ? tool_fail(run->t, "%s: what the reference saves of '%s' is not known", s->model->name, unknown)
                       : tool_fail(run->t, "out of memory");
    if (!s->p->stand_in)
        return 0;
    const actc_model *other = actc_model_find(s->p->stand_in);
    actc_model_config config = other ? config_of(s->p, other) : s->config;
    s->stand_in = other ? build_reference(run->context, other, &config) : NULL;
    return s->stand_in ? 0 : tool_fail(run->t, "%s: %s cannot be built", s->model->name, s->p->stand_in);
}

static int plan_network(table_run *run, result *r)
{
    const published *p = r->subject.p;
    int code = open_subject(run, &r->subject);
    if (code)
        return code;
    r->others = recompute_others(&r->subject);
    r->baseline.row = (memory_row){NULL, 0, p->baseline, recompute(&r->subject, NULL, INFINITY, NULL)};
    code = plan(run, &r->subject, NULL, &r->baseline);
    for (int set = 0; set < set_count(p); set++) {
        for (int b = 0; b < p->block_count && !code; b++) {
            planned *row = &r->rows[r->count++];
            globs layers = layers_of(p, set, b + 1);
            row->row = (memory_row){sets_of(p)[set].name, b + 1, p->compressed[set][b], recompute_row(&r->subject, set, b + 1)};
            code = plan(run, &r->subject, layers.text, row);
        }
    }
    planned *all = &r->rows[r->count++];
    all->row = (memory_row){"all", p->block_count, -1, -1};
    return code ? code : plan(run, &r->subject, "*", all);
}

static void drop_subject(subject *s)
{
    memory_reference_destroy(&s->reference);
    memory_reference_destroy(&s->stand_in);
    actc_graph_destroy(&s->graph);
}

/* ---- what is printed ---- */

static void print_planned(memory_cells *cells, const planned *row)
{
    char blocks[24], whole[24] = "-";
    snprintf(blocks, sizeof blocks, "%d", row->row.blocks);
    if (row->row.published_mib >= 0)
        snprintf(whole, sizeof whole, "%.0f", row->row.published_mib);
    memory_cells_row(cells, (const char *const[]){row->row.blocks ? row->row.layers : "none", blocks, whole,
                                                  MEMORY_MIB_TEXT(row->row.recomputed_mib),
                                                  MEMORY_MIB_TEXT((double)row->after_forward_bytes / MIB),
                                                  MEMORY_MIB_TEXT((double)row->peak_bytes / MIB)});
}

static void print_network(const result *r, bool markdown)
{
    const published *p = r->subject.p;
    char sample[96];
    memory_cells cells = {.table = {.align = "lrrrrr"}, .markdown = markdown};
    tool_line(tool_output(), "%s%s, input %s, batch %lld", markdown ? "### " : "", r->subject.model->name,
              tool_shape_text(&r->subject.config.sample, sample, sizeof sample), (long long)p->batch);
    if (markdown)
        fputc('\n', tool_output());
    memory_cells_head(&cells, (const char *const[]){"layers", "blocks", "published", "recomputed", "after forward", "peak"});
    print_planned(&cells, &r->baseline);
    for (int i = 0; i < r->count; i++)
        print_planned(&cells, &r->rows[i]);
    memory_cells_end(&cells);
    tool_line(tool_output(), "%snot saved by layers that the reference can compress: published %.0f, recomputed %.1f",
              markdown ? "- " : "  ", p->others, r->others);
    if (p->note)
        tool_line(tool_output(), "%s%s", markdown ? "- " : "  ", p->note);
    fputc('\n', tool_output());
}

static void print_text(const table_run *run, bool markdown)
{
    fprintf(tool_output(),
            "GPU memory of Vu et al., TMLR 2024, Table 2: DCT, lambda 100, MiB allocated after\n"
            "the forward pass (published); recomputed from the layers as their code saves, 12\n"
            "bytes a kept value; ours with %s in the same layers, and in all that the\n"
            "reference cannot compress too: after forward (parameters, states, inputs and what\n"
            "is saved) and at the peak of a whole step of plain SGD. blocks: how many of the\n"
            "network's blocks are compressed.\n\n", CODEC);
    for (size_t i = 0; i < run->count; i++)
        print_network(&run->results[i], markdown);
}

static void add_identity(cJSON *json, const subject *s)
{
    json_text(json, "network", s->model->name);
    json_u64(json, "batch", (uint64_t)s->p->batch);
    cJSON *size = cJSON_AddArrayToObject(json, "size");
    for (int d = 1; d < s->config.sample.ndim; d++)
        cJSON_AddItemToArray(size, cJSON_CreateNumber((double)s->config.sample.dims[d]));
}

static void add_planned(cJSON *rows, const result *r, const planned *row, const char *compress)
{
    cJSON *json = cJSON_CreateObject();
    add_identity(json, &r->subject);
    json_memory_row(json, &row->row);
    json_text(json, "codec", row->row.blocks ? CODEC : "none");
    json_text(json, "compress", compress);
    json_u64(json, "after_forward_bytes", row->after_forward_bytes);
    json_u64(json, "peak_bytes", row->peak_bytes);
    json_u64(json, "peak_bytes_uncompressed", r->baseline.peak_bytes);
    cJSON_AddItemToArray(rows, json);
}

static void add_rows(cJSON *rows, const result *r)
{
    const published *p = r->subject.p;
    char rules[720];
    for (int i = 0; i < r->count; i++) {
        globs layers = {"*"};
        if (i < set_count(p) * p->block_count)
            layers = layers_of(p, i / p->block_count, i % p->block_count + 1);
        rules_text(layers.text, rules, sizeof rules);
        add_planned(rows, r, &r->rows[i], rules);
    }
}

static bool print_json(const table_run *run)
{
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "source", "Vu et al., TMLR 2024, Table 2");
    json_text(json, "optimizer", "sgd");
    json_text(json, "device", actc_device_get_info(run->device)->spec);
    cJSON *rows = cJSON_AddArrayToObject(json, "rows"), *networks = cJSON_AddArrayToObject(json, "networks");
    for (size_t i = 0; i < run->count; i++) {
        const result *r = &run->results[i];
        cJSON *network = cJSON_CreateObject();
        add_rows(rows, r);
        add_identity(network, &r->subject);
        json_f64(network, "published_mib", r->baseline.row.published_mib);
        json_f64(network, "recomputed_mib", r->baseline.row.recomputed_mib);
        json_f64(network, "published_others_mib", r->subject.p->others);
        json_f64(network, "recomputed_others_mib", r->others);
        json_u64(network, "after_forward_bytes", r->baseline.after_forward_bytes);
        json_u64(network, "peak_bytes", r->baseline.peak_bytes);
        json_text(network, "note", r->subject.p->note ? r->subject.p->note : "");
        cJSON_AddItemToArray(networks, network);
    }
    return json_print(tool_output(), json, false);
}

/* ---- the table ---- */

int memory_table(const tool *t, actc_context *context, actc_device *device, const actc_model *only, const char *format)
{
    table_run run = {.t = t, .context = context, .device = device, .start = tool_now()};
    int code = 0;
    for (size_t i = 0; i < NETWORKS; i++) {
        const actc_model *model = actc_model_find(table[i].network);
        if (!model)
            tool_note(t, "--table: %s is not among the networks; its rows are left out", table[i].network);
        if (!model || (only && only != model))
            continue;
        run.results[run.count++].subject = (subject){.p = &table[i], .model = model, .config = config_of(&table[i], model)};
        run.total += (uint64_t)row_count(&table[i]) + 1;
    }
    if (!run.count)
        return tool_usage(t, "--table 2: it has no rows of %s, but of resnet18, unet3d, resnet152star, resnet152, wideresnet101, vit, vit3d",
                          only ? only->name : "what there is");
    for (size_t i = 0; i < run.count && !code; i++)
        code = plan_network(&run, &run.results[i]);
    tool_progress_clear(&run.progress);
    if (!code && strcmp(format, "json") == 0)
        code = print_json(&run) ? 0 : tool_output_failed(t);
    else if (!code)
        print_text(&run, strcmp(format, "markdown") == 0);
    for (size_t i = 0; i < run.count; i++)
        drop_subject(&run.results[i].subject);
    return code;
}

/* ---- a single network ---- */

static bool same_config(const actc_model_config *a, const actc_model_config *b)
{
    bool same = a->classes == b->classes && a->sample.ndim == b->sample.ndim;
    same = same && memcmp(a->options, b->options, sizeof a->options) == 0;
    for (int d = 0; same && d < a->sample.ndim; d++)
        same = a->sample.dims[d] == b->sample.dims[d];
    return same;
}

static bool find_rules(const published *p, const char *compress, int *set, int *blocks)
{
    char rules[720];
    for (*set = 0; *set < set_count(p); ++*set) {
        for (*blocks = 1; *blocks <= p->block_count; ++*blocks) {
            globs layers = layers_of(p, *set, *blocks);
            rules_text(layers.text, rules, sizeof rules);
            if (strcmp(rules, compress) == 0)
                return true;
        }
    }
    return false;
}

int memory_table_find(const tool *t, actc_context *context, const actc_model *model, const actc_model_config *config,
                      int64_t batch, const char *compress, memory_row *found)
{
    memory_row row = {.layers = compress && strcmp(compress, "*=" CODEC) == 0 ? "all" : NULL, .blocks = compress ? -1 : 0,
                      .published_mib = -1, .recomputed_mib = -1};
    subject s = {.model = model, .config = *config};
    for (size_t i = 0; i < NETWORKS && !s.p; i++) {
        actc_model_config wanted = config_of(&table[i], model);
        if (strcmp(table[i].network, model->name) == 0 && table[i].batch == batch && same_config(&wanted, config))
            s.p = &table[i];
    }
    *found = row;
    if (!s.p)
        return 0;
    int set = -1, blocks = 0;
    if (!compress) {
        row.published_mib = s.p->baseline;
    } else if (find_rules(s.p, compress, &set, &blocks)) {
        row = (memory_row){sets_of(s.p)[set].name, blocks, s.p->compressed[set][blocks - 1], -1};
    } else {
        found->blocks = row.layers ? s.p->block_count : -1;
        return 0;
    }
    table_run run = {.t = t, .context = context};
    int code = open_subject(&run, &s);
    if (!code)
        row.recomputed_mib = set < 0 ? recompute(&s, NULL, INFINITY, NULL) : recompute_row(&s, set, blocks);
    drop_subject(&s);
    *found = row;
    return code;
}

static void add_mib(cJSON *json, const char *key, double mib)
{
    if (mib < 0)
        cJSON_AddNullToObject(json, key);
    else
        json_f64(json, key, mib);
}

void json_memory_row(cJSON *json, const memory_row *row)
{
    if (row->layers)
        json_text(json, "layers", row->layers);
    else
        cJSON_AddNullToObject(json, "layers");
    if (row->blocks >= 0)
        json_u64(json, "blocks", (uint64_t)row->blocks);
    else
        cJSON_AddNullToObject(json, "blocks");
    add_mib(json, "published_mib", row->published_mib);
    add_mib(json, "recomputed_mib", row->recomputed_mib);
}
