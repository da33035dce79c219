/* vit.c: vision transformers (Dosovitskiy et al., ICLR 2021), as Vu et al. (TMLR 2024) train them on images and on volumes.
 *
 * Patches, channels last, are tokens: layer norm - linear - layer norm; a class token before them, a learned position added to each,
 * dropout. A block adds to its tokens attention of their layer norm, and then an MLP of theirs: linear - GELU - dropout - linear -
 * dropout. Of the class token, or of the mean of all: layer norm - linear. Names are timm's where it has one ("blocks.0.attn.qkv.weight",
 * "blocks.0.mlp.fc1.bias", "cls_token", "pos_embed"), and patch_embed.0 to .2; each block is a scope for rules.
 */
#include <stdio.h>

#include "models.h"
#include "vit.h"

actc_vit_options actc_vit_options_default(void)
{
    return (actc_vit_options){.patch = {32, 32, 32}, .dim = 1024, .depth = 5, .heads = 16, .head_dim = 64, .hidden = 2048, .classes = 1000,
                              .dropout = 0.1};
}

static actc_tensor *linear(actc_graph *graph, const char *name, actc_tensor *x, int64_t features, bool bias)
{
    actc_linear_options options = actc_linear_options_default(features);
    options.bias = bias;
    return actc_linear(graph, name, x, &options);
}

static actc_tensor *attention(actc_graph *graph, actc_tensor *x, const actc_vit_options *o)
{
    actc_attention_options options = actc_attention_options_default(o->heads);
    options.dropout = o->dropout;
    actc_push_scope(graph, "attn");
    x = actc_attention(graph, "attention", linear(graph, "qkv", x, 3 * o->heads * o->head_dim, false), &options);
    x = actc_dropout(graph, "proj_drop", linear(graph, "proj", x, o->dim, true), o->dropout);
    actc_pop_scope(graph);
    return x;
}

static actc_tensor *mlp(actc_graph *graph, actc_tensor *x, const actc_vit_options *o)
{
    actc_push_scope(graph, "mlp");
    x = actc_dropout(graph, "drop1", actc_gelu(graph, "act", linear(graph, "fc1", x, o->hidden, true)), o->dropout);
    x = actc_dropout(graph, "drop2", linear(graph, "fc2", x, o->dim, true), o->dropout);
    actc_pop_scope(graph);
    return x;
}

static actc_tensor *patch_embed(actc_graph *graph, actc_tensor *x, const actc_vit_options *o)
{
    actc_push_scope(graph, "patch_embed");
    x = actc_layer_norm(graph, "0", actc_patchify(graph, "patchify", x, o->patch), NULL);
    x = actc_layer_norm(graph, "2", linear(graph, "1", x, o->dim, true), NULL);
    actc_pop_scope(graph);
    return x;
}

/* As PyTorch's randn(1, tokens, dim). */
static actc_tensor *learned(actc_graph *graph, const char *name, int64_t tokens, int64_t dim)
{
    const int64_t dims[] = {1, tokens, dim};
    return actc_parameter_tensor(graph, name, actc_parameter_create(graph, name, dims, 3, ACTC_INIT_NORMAL, 1));
}

static actc_tensor *pool(actc_graph *graph, actc_tensor *x, const actc_vit_options *o)
{
    x = o->mean_pool ? actc_global_avg_pool(graph, "pool", x) : actc_slice(graph, "pool", x, 1, 0, 1);
    return actc_flatten(graph, "flatten", x);
}

actc_tensor *actc_vit(actc_graph *graph, actc_tensor *x, const actc_vit_options *o)
{
    x = patch_embed(graph, x, o);
    const int64_t tokens = actc_tensor_shape(x).dims[1];
    actc_tensor *parts[] = {learned(graph, "cls_token", 1, o->dim), x};
    x = actc_add(graph, "pos_add", actc_concat(graph, "cls_concat", parts, 2, 1), learned(graph, "pos_embed", tokens + 1, o->dim));
    x = actc_dropout(graph, "pos_drop", x, o->dropout);
    actc_push_scope(graph, "blocks");
    for (int64_t i = 0; i < o->depth; i++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)i);
        actc_push_scope(graph, name);
        x = actc_add(graph, "add1", attention(graph, actc_layer_norm(graph, "norm1", x, NULL), o), x);
        x = actc_add(graph, "add2", mlp(graph, actc_layer_norm(graph, "norm2", x, NULL), o), x);
        actc_pop_scope(graph);
    }
    actc_pop_scope(graph);
    /* norms are of each token by itself: that of one is one of the norms of all */
    const bool pool_first = o->norm_pooled || !o->mean_pool;
    x = actc_layer_norm(graph, "norm", pool_first ? pool(graph, x, o) : x, NULL);
    return linear(graph, "head", pool_first ? x : pool(graph, x, o), o->classes, true);
}

/* ---- as the tools know them ---- */

enum { PATCH, DIM, DEPTH, HEADS, HEAD_DIM, MLP, DROPOUT, POOL, FRAMES }; /* of config->options */

static void build(actc_graph *graph, const actc_model_config *config)
{
    const int64_t *n = config->options;
    const bool volume = config->sample.ndim == 4;
    const actc_vit_options options = {
        .patch = {volume ? n[FRAMES] : n[PATCH], n[PATCH], n[PATCH]}, .dim = n[DIM], .depth = n[DEPTH], .heads = n[HEADS],
        .head_dim = n[HEAD_DIM], .hidden = n[MLP], .classes = config->classes, .dropout = 0.1 * (double)n[DROPOUT] / 100,
        .mean_pool = n[POOL], .norm_pooled = volume};
    actc_tensor *x = actc_input(graph, "input", config->sample.dims, config->sample.ndim), *label = actc_label_input(graph, "label");
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_vit(graph, x, &options), label));
}

#define OPTIONS(patch, heads)                                                                                              \
    {"patch", "height and width of a patch", patch, 1, 256}, {"dim", "features of a token", 1024, 1, 8192},                \
        {"depth", "blocks", 5, 1, 64}, {"heads", "of attention", heads, 1, 128}, {"head_dim", "features of a head", 64, 1, 256}, \
        {"mlp", "features inside of the MLPs", 2048, 1, 32768}, {"dropout", "percent of the rate 0.1; 0: no dropout", 100, 0, 100}, \
        {"pool", "what is classified", 0, 0, 1, "cls|mean"}

const actc_model actc_model_vit = {
    .name = "vit",
    .summary = "vision transformer",
    .usual = {.sample = {.ndim = 3, .dims = {3, 256, 256}}, .classes = 1000},
    .options = {OPTIONS(32, 16)},
    .mean = 0.5,
    .std = 0.25,
    .build = build,
};

const actc_model actc_model_vit3d = {
    .name = "vit3d",
    .summary = "vision transformer for volumes and films",
    .usual = {.sample = {.ndim = 4, .dims = {3, 16, 128, 128}}, .classes = 100},
    .options = {OPTIONS(16, 8), {"frame_patch", "depth, or frames, of a patch", 2, 1, 256}},
    .mean = 0.5,
    .std = 0.25,
    .build = build,
};
