/* policy.h: how each saved tensor is kept, from scopes and rules. */
#ifndef ACTC_POLICY_H
#define ACTC_POLICY_H

#include <actc/network.h>

#include "../autodiff/autodiff.h"
#include "../codec/codec_plan.h"

/* How one saved tensor is kept between forward and backward. */
typedef struct actc_saved {
    const actc_tensor *tensor;
    const actc_saved_need *need; /* all of it, of those too that keep their slopes */
    actc_shape shape;
    bool value;             /* its values are needed */
    bool sign;              /* its sign is needed (ReLU); neither: nothing is kept of it */
    actc_codec_plan *codec; /* keeps the values; NULL: dense where value is set */
    bool recomputed;        /* nothing is kept: its segment computes it again */
    bool mask;              /* the sign is kept as a 1-bit mask beside */
    bool normalised;        /* the codec keeps what its only reader makes of it, which that packs itself (unless bn=input) */
    actc_saved_use use;
    char *readers;          /* "conv2, fc1": the operators that need it */
    char *note;             /* why it is kept so, "" where obvious */
} actc_saved;

typedef struct actc_policy {
    actc_saved *saved;
    size_t n_saved;
    uint32_t *index; /* [tensor id]: 1 + its place in `saved`, 0 where it is not saved */
    uint32_t *segment;  /* [op id]: the segment that the operator is computed again with, from 1; 0: none */
    uint32_t n_segments;
    bool *again;        /* [op id]: it runs again before the backward pass enters its segment */
    bool *recomputed;   /* [tensor id] */
    uint8_t *slope_bits; /* [op id]: of a slope, which the operator keeps instead of the values that it comes from; 0: those */
    char **notes; /* for the user, one line each */
    size_t n_notes, notes_capacity;
} actc_policy;

/* rules: as actc_network_options.compress; NULL for none. `compress` false keeps everything dense (the plan to compare
 * with). shapes: of the training batch, by tensor id. */
actc_status actc_policy_create(const actc_graph *graph, actc_autodiff *autodiff, const actc_shape *shapes,
                               const char *rules, bool compress, actc_policy *policy);
void actc_policy_destroy(actc_policy *policy);

/* The entry of a tensor, NULL where it is not saved. */
const actc_saved *actc_policy_find(const actc_policy *policy, const actc_tensor *tensor);

/* ---- recomputing (recompute.c) ---- */

/* Operators that follow one another with the same `by` (a rule or a scope; NULL: keeps what it saves) are cut into segments. */
typedef struct actc_recompute_mark {
    const void *by;
    int segments;
} actc_recompute_mark;

/* Fills in segment, again and recomputed, and adds to autodiff->saved what is kept at the borders. marks: [op id]. */
actc_status actc_recompute_create(const actc_graph *graph, actc_autodiff *autodiff, const actc_shape *shapes,
                                  const actc_recompute_mark *marks, actc_policy *policy);
/* The codec of an operator that keeps its slopes, as text; NULL where it does not. */
const char *actc_policy_slopes(const actc_policy *policy, const actc_op *op);

/* ---- rules (rules.c) ---- */

typedef struct actc_rule {
    char **globs;
    size_t n_globs, globs_capacity;
    char **kinds;
    size_t n_kinds, kinds_capacity;
    char *codec;
    uint32_t slope_bits; /* codec derivative: it reaches those operators only that can keep their slopes */
} actc_rule;

typedef struct actc_rules {
    actc_rule *rules;
    size_t n_rules, capacity;
} actc_rules;

/* GLOB[,GLOB...][@KIND[,KIND...]]=CODEC[;...]; checks syntax, kinds and codecs, not the globs. */
actc_status actc_rules_parse(actc_context *context, const char *text, actc_rules *rules);
void actc_rules_destroy(actc_rules *rules);
bool actc_rule_matches(const actc_rule *rule, const char *path, const char *kind);

#endif
