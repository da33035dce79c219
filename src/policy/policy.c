/* policy.c: assigns a codec to every saved tensor.
 *
 * An operator's codec is that of the last rule that matches it, else of the innermost scope it was built in, else none.
 * A tensor's codec is that of the last of the operators that need its values, unless one of them has none: then it is
 * dense. Network inputs are never compressed.
 */
#include "policy.h"

#include <string.h>

typedef struct choice {
    const char *codec;     /* NULL: none */
    const actc_rule *rule; /* that chose it, NULL: a scope or nothing */
    size_t rule_index;
    bool recompute;        /* the codec is that */
    uint32_t slope_bits;   /* the codec derivative, which no tensor can have; else 0 */
} choice;

static actc_status add_note(actc_context *context, actc_policy *policy, char *text)
{
    if (!text || !actc_grow((void **)&policy->notes, &policy->notes_capacity, policy->n_notes + 1, sizeof *policy->notes)) {
        actc_free(text);
        return actc_out_of_memory(context, 128, "a note");
    }
    policy->notes[policy->n_notes++] = text;
    return ACTC_OK;
}

/* "conv1 (conv), relu1 (relu), ..." for error messages. */
static char *list_ops(const actc_graph *graph)
{
    char *text = actc_strdup("");
    for (size_t i = 0; text && i < graph->n_ops && i < 40; i++) {
        char *longer = actc_format("%s%s%s (%s)", text, i ? ", " : "", graph->ops[i]->path, graph->ops[i]->def->kind);
        actc_free(text);
        text = longer;
    }
    return text;
}

/* Whether the rule's codec is one that the operator can have. */
static bool suits(const actc_rule *rule, const actc_op *op)
{
    return !rule->slope_bits || op->def->keeps_slopes;
}

/* Every glob and every kind of every rule must match something. */
static actc_status check_matches(const actc_graph *graph, const actc_rules *rules)
{
    for (size_t r = 0; r < rules->n_rules; r++) {
        const actc_rule *rule = &rules->rules[r];
        const char *missing = NULL;
        for (size_t g = 0; g < rule->n_globs && !missing; g++) {
            bool found = false;
            for (size_t i = 0; i < graph->n_ops && !found; i++)
                found = actc_glob_match(rule->globs[g], graph->ops[i]->path) && suits(rule, graph->ops[i]);
            if (!found)
                missing = rule->globs[g];
        }
        for (size_t k = 0; k < rule->n_kinds && !missing; k++) {
            bool found = false;
            for (size_t i = 0; i < graph->n_ops && !found; i++)
                found = !strcmp(rule->kinds[k], graph->ops[i]->def->kind) && suits(rule, graph->ops[i]) &&
                        actc_rule_matches(rule, graph->ops[i]->path, graph->ops[i]->def->kind);
            if (!found)
                missing = rule->kinds[k];
        }
        if (missing) {
            char *ops = list_ops(graph);
            actc_status status = actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT,
                                           "compression rules: '%s' matches no operator of %s%s; there are %s", missing,
                                           graph->name,
                                           rule->slope_bits ? " that keeps a derivative (gelu, silu, sigmoid, tanh)" : "",
                                           ops ? ops : "(out of memory)");
            actc_free(ops);
            return status;
        }
    }
    return ACTC_OK;
}

static bool asks_relu_value(actc_context *context, const choice *c)
{
    actc_codec_spec spec;
    return c->codec && actc_codec_spec_parse(context, c->codec, &spec) == ACTC_OK && spec.relu_value;
}

/* Whether the tensor is a network input, under whatever shape. */
static bool is_input(const actc_tensor *tensor, const actc_shape *shapes)
{
    while (tensor->producer && tensor->producer->def->alias &&
           tensor->producer->def->alias(tensor->producer, &shapes[tensor->producer->inputs[0]->id], true))
        tensor = tensor->producer->inputs[0];
    return !tensor->producer;
}

static bool asks_recompute(actc_context *context, const char *codec, int *segments)
{
    actc_codec_spec spec;
    bool asks = codec && actc_codec_spec_parse(context, codec, &spec) == ACTC_OK && spec.kind == ACTC_CODEC_RECOMPUTE;
    *segments = asks ? spec.segments : 0;
    return asks;
}

/* Rules and scopes speak of whole parts of a network: they reach a probability only where a rule names its kind. */
static bool reaches(const choice *c, actc_need_kind kind)
{
    if (!c->codec || !strcmp(c->codec, "none") || c->recompute || c->slope_bits || kind == ACTC_NEED_FOR_RECOMPUTE)
        return false;
    return kind != ACTC_NEED_PROBABILITY || (c->rule && c->rule->n_kinds);
}

/* The codec chosen among the operators that need the values; NULL where one of them keeps the tensor dense, with the
 * reason in *note ("" where nobody asked for a codec; NULL when out of memory). */
static const choice *choose(const actc_saved_need *need, const choice *choices, bool input, bool relu_value, char **note)
{
    const choice *chosen = NULL;
    const actc_value_need *dense_by = NULL, *border = NULL;
    for (size_t i = 0; i < need->n_values; i++) {
        const choice *c = &choices[need->values[i].op->id];
        if (need->values[i].kind == ACTC_NEED_FOR_RECOMPUTE)
            border = &need->values[i];
        if (need->values[i].kind == ACTC_NEED_IF_EXACT)
            continue;
        if (!reaches(c, need->values[i].kind))
            dense_by = &need->values[i];
        else if (!chosen || c->rule_index >= chosen->rule_index)
            chosen = c;
    }
    if (relu_value) {
        const choice *c = &choices[need->sign_op->id];
        if (!chosen || c->rule_index >= chosen->rule_index)
            chosen = c;
    }
    if (border && chosen)
        *note = actc_format("dense: %s is computed again from it", border->op->path);
    else if (dense_by && reaches(&choices[dense_by->op->id], ACTC_NEED_FOR_GRADIENT))
        *note = actc_format("dense: the loss is computed from it; only a rule that names the kind compresses it "
                            "(%s@%s=...)", dense_by->op->path, dense_by->op->def->kind);
    else if (chosen && input)
        *note = actc_strdup("network inputs are never compressed");
    else if (chosen && dense_by)
        *note = actc_format("dense: %s keeps it so", dense_by->op->path);
    else
        *note = actc_strdup("");
    return !input && !dense_by ? chosen : NULL;
}

/* Whether an operator finds all that it reads as it was: what it reads has been decided before what it makes. */
static bool reads_exact(const actc_policy *policy, const actc_op *op)
{
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        const actc_saved *saved = actc_policy_find(policy, op->inputs[i]);
        if (saved && saved->codec)
            return false;
    }
    return true;
}

/* Whether an operator will read the values, which `codec` keeps. */
static bool is_read(const actc_policy *policy, const actc_value_need *value, const actc_codec_plan *codec)
{
    return value->kind != ACTC_NEED_IF_EXACT || (!codec && reads_exact(policy, value->op));
}

/* "conv2, fc1"; NULL when out of memory. */
static char *list_readers(const actc_policy *policy, const actc_saved_need *need, const actc_codec_plan *codec)
{
    char *text = actc_strdup(need->n_values ? "" : need->sign_op->path);
    for (size_t i = 0; text && i < need->n_values; i++) {
        bool listed = !is_read(policy, &need->values[i], codec); /* or by another need */
        for (size_t k = 0; k < i; k++)
            listed |= need->values[k].op == need->values[i].op && is_read(policy, &need->values[k], codec);
        if (listed)
            continue;
        char *longer = actc_format("%s%s%s", text, *text ? ", " : "", need->values[i].op->path);
        actc_free(text);
        text = longer;
    }
    return text;
}

/* The operator that reads a compressed tensor, where there is one alone. */
static const actc_op *only_reader(const actc_saved_need *need)
{
    const actc_op *only = need->sign_op;
    for (size_t i = 0; i < need->n_values; i++) {
        if (need->values[i].kind == ACTC_NEED_IF_EXACT)
            continue;
        if (only)
            return NULL;
        only = need->values[i].op;
    }
    return need->sign_op ? NULL : only;
}

static actc_saved_use use_of(const actc_saved_need *need, bool relu_value)
{
    actc_saved_use use = relu_value ? ACTC_SAVED_FOR_GRADIENT : ACTC_SAVED_EXACT;
    for (size_t i = 0; i < need->n_values; i++) {
        actc_need_kind kind = need->values[i].kind;
        if (kind == ACTC_NEED_IF_EXACT)
            continue;
        static const actc_saved_use uses[] = {
            [ACTC_NEED_SIGN] = ACTC_SAVED_EXACT,
            [ACTC_NEED_FOR_PARAMETERS] = ACTC_SAVED_FOR_PARAMETERS,
            [ACTC_NEED_FOR_GRADIENT] = ACTC_SAVED_FOR_GRADIENT,
            [ACTC_NEED_FOR_RECOMPUTE] = ACTC_SAVED_EXACT,
            [ACTC_NEED_PROBABILITY] = ACTC_SAVED_PROBABILITY,
            [ACTC_NEED_IF_EXACT] = ACTC_SAVED_EXACT};
        actc_saved_use this = uses[kind];
        use = this > use ? this : use;
    }
    return use;
}

/* How one saved tensor is kept. */
static actc_status decide(const actc_graph *graph, const actc_policy *policy, const actc_saved_need *need, const choice *choices,
                          bool input, actc_saved *saved)
{
    actc_context *context = graph->context;
    bool relu_value = need->sign_op && asks_relu_value(context, &choices[need->sign_op->id]);
    saved->value = relu_value;
    for (size_t i = 0; i < need->n_values; i++)
        saved->value |= is_read(policy, &need->values[i], NULL);
    if (saved->recomputed) {
        saved->use = use_of(need, false);
        saved->readers = list_readers(policy, need, NULL);
        saved->note = actc_strdup("");
        saved->mask = saved->sign && !saved->value;
        return saved->readers && saved->note ? ACTC_OK : actc_out_of_memory(context, 128, "a note");
    }
    saved->use = use_of(need, relu_value);
    const choice *chosen = choose(need, choices, input, relu_value, &saved->note);
    if (!saved->note)
        return actc_out_of_memory(context, 128, "a note");
    if (chosen) {
        char *note = NULL;
        actc_codec_spec spec;
        ACTC_RETURN_IF_ERROR(actc_codec_spec_parse(context, chosen->codec, &spec));
        ACTC_RETURN_IF_ERROR(actc_codec_plan_create(context, &spec, &saved->shape, &saved->codec));
        uint64_t n = (uint64_t)actc_shape_elements(&saved->shape);
        uint64_t mask = need->sign_op && !relu_value ? (n + 31) / 32 * 4 : 0, dense = n * actc_dtype_bytes(need->tensor->dtype);
        if (saved->codec->payload_bytes + mask >= dense) {
            note = actc_format("dense: %s would take %llu bytes%s, dense takes %llu", saved->codec->text,
                               (unsigned long long)(saved->codec->payload_bytes + mask), mask ? " with its ReLU mask" : "",
                               (unsigned long long)dense);
            actc_codec_plan_destroy(&saved->codec);
        } else {
            const actc_op *only = only_reader(need);
            saved->normalised = only && only->def->normalises && !spec.bn_input;
            note = actc_strdup(saved->codec->note ? saved->codec->note : "");
        }
        actc_free(saved->note);
        saved->note = note;
        if (!note)
            return actc_out_of_memory(context, 128, "a note");
    }
    /* A ReLU reads its sign from the values, dense or restored (relu=value); beside other compressed values it has a mask. */
    saved->mask = saved->sign && (!saved->value || (saved->codec && !relu_value));
    saved->readers = list_readers(policy, need, saved->codec);
    return saved->readers ? ACTC_OK : actc_out_of_memory(context, 128, "a list of operators");
}

/* ---- what a rule or scope did not do ---- */

static const actc_saved_need *need_of(const actc_autodiff *autodiff, const actc_tensor *tensor)
{
    for (size_t i = 0; i < autodiff->n_saved; i++)
        if (autodiff->saved[i].tensor == tensor)
            return &autodiff->saved[i];
    return NULL;
}

/* Whether the operator reads a compressed tensor. */
static bool is_useful(const actc_policy *policy, const actc_op *op)
{
    if (policy->slope_bits[op->id])
        return true;
    for (size_t s = 0; s < policy->n_saved; s++) {
        const actc_saved_need *need = policy->saved[s].need;
        bool reads = need->sign_op == op;
        for (size_t i = 0; i < need->n_values; i++)
            reads |= need->values[i].op == op && need->values[i].kind != ACTC_NEED_IF_EXACT;
        if (reads && (policy->saved[s].codec || policy->saved[s].recomputed))
            return true;
    }
    return false;
}

/* Why a codec chosen for this operator does nothing, and what to name instead. */
static char *why_useless(const actc_autodiff *autodiff, const actc_policy *policy, const actc_op *op)
{
    const actc_saved_need *own = need_of(autodiff, op->output), *entry = NULL;
    for (size_t i = 0; i < autodiff->n_saved; i++)
        for (size_t k = 0; k < autodiff->saved[i].n_values; k++)
            if (autodiff->saved[i].values[k].op == op)
                entry = &autodiff->saved[i];
    const char *saves = !entry ? "saves no values" : entry->tensor->producer ? "saves values that stay dense" : "saves only a network input";
    const actc_saved *kept = own ? actc_policy_find(policy, op->output) : NULL;
    if (kept && own->n_values && own->values[0].op != op && !kept->codec)
        return actc_format("%s %s; its output is saved by %s: name that instead", op->path, saves, kept->readers);
    return actc_format("%s %s", op->path, saves);
}

static bool has_wildcard(const actc_rule *rule)
{
    for (size_t i = 0; i < rule->n_globs; i++)
        if (strpbrk(rule->globs[i], "*?["))
            return true;
    return false;
}

/* A rule without wildcards answers for each operator that it names; a rule with them, and a scope, as a whole. */
static actc_status note_useless(const actc_graph *graph, const actc_autodiff *autodiff, const actc_rules *rules,
                                const choice *choices, actc_policy *policy)
{
    for (size_t r = 0; r < rules->n_rules; r++) {
        const actc_rule *rule = &rules->rules[r];
        bool whole = has_wildcard(rule), useful = !strcmp(rule->codec, "none"), matched = false, recompute = false;
        for (size_t i = 0; i < graph->n_ops; i++) {
            if (choices[i].rule != rule || useful)
                continue;
            matched = true;
            recompute = choices[i].recompute;
            whole |= recompute; /* of which a segment is the least part */
            bool this = is_useful(policy, graph->ops[i]);
            if (whole)
                useful = this;
            else if (!this) {
                char *why = why_useless(autodiff, policy, graph->ops[i]);
                actc_status status = add_note(graph->context, policy, why ? actc_format("nothing to compress: %s", why) : NULL);
                actc_free(why);
                ACTC_RETURN_IF_ERROR(status);
            }
        }
        if (whole && matched && !useful && recompute)
            ACTC_RETURN_IF_ERROR(add_note(graph->context, policy,
                                          actc_format("nothing to compute again: %s=%s would keep no less at the borders than it saves",
                                                      rule->globs[0], rule->codec)));
        else if (whole && matched && !useful)
            ACTC_RETURN_IF_ERROR(add_note(graph->context, policy, actc_format("nothing to compress: no operator that %s=%s matches "
                                                                              "saves values that it may compress",
                                                                              rule->globs[0], rule->codec)));
    }
    /* consecutive operators under one scope */
    for (size_t i = 0; i < graph->n_ops;) {
        const char *codec = choices[i].rule ? NULL : choices[i].codec;
        size_t end = i + 1;
        bool useful = !codec || !strcmp(codec, "none") || is_useful(policy, graph->ops[i]);
        for (; end < graph->n_ops && codec && !choices[end].rule && choices[end].codec == codec; end++)
            useful |= is_useful(policy, graph->ops[end]);
        if (!useful) {
            char *why = why_useless(autodiff, policy, graph->ops[end - 1]);
            actc_status status = add_note(graph->context, policy,
                                          why ? actc_format("nothing to compress in the scope of codec %s: %s", codec, why) : NULL);
            actc_free(why);
            ACTC_RETURN_IF_ERROR(status);
        }
        i = end;
    }
    return ACTC_OK;
}

static uint32_t slope_bits_of(actc_context *context, const char *codec)
{
    actc_codec_spec spec;
    return codec && actc_codec_spec_parse(context, codec, &spec) == ACTC_OK ? spec.slope_bits : 0;
}

/* Those that keep their slopes leave what they need the values for to the others; where these keep the tensor as it is, it is
 * there for them too. A tensor that nobody is left to need is not saved. */
static actc_status assign_saved(const actc_graph *graph, const actc_saved_need *need, const choice *choices, const actc_shape *shapes,
                                actc_policy *policy)
{
    actc_saved_need rest = *need;
    rest.values = actc_calloc(need->n_values + 1, sizeof *rest.values);
    rest.n_values = 0;
    if (!rest.values)
        return actc_out_of_memory(graph->context, need->n_values * sizeof *rest.values, "the compression policy");
    for (size_t i = 0; i < need->n_values; i++) {
        const actc_op *op = need->values[i].op;
        if (op->def->keeps_slopes)
            policy->slope_bits[op->id] = (uint8_t)choices[op->id].slope_bits;
        if (!policy->slope_bits[op->id])
            rest.values[rest.n_values++] = need->values[i];
    }
    actc_status status = ACTC_OK;
    if (rest.n_values || rest.sign_op) {
        actc_saved *saved = &policy->saved[policy->n_saved++];
        saved->tensor = need->tensor;
        saved->need = need;
        policy->index[need->tensor->id] = (uint32_t)policy->n_saved;
        saved->shape = shapes[need->tensor->id];
        saved->sign = rest.sign_op != NULL;
        saved->recomputed = policy->recomputed[need->tensor->id];
        status = decide(graph, policy, &rest, choices, is_input(need->tensor, shapes), saved);
        for (size_t i = 0; status == ACTC_OK && saved->value && !saved->codec && i < need->n_values; i++)
            policy->slope_bits[need->values[i].op->id] = 0;
    }
    actc_free(rest.values);
    return status;
}

/* The codec of every operator, and where it is to be computed again instead. */
static void choose_codecs(const actc_graph *graph, const actc_rules *rules, bool compress, choice *choices,
                                 actc_recompute_mark *marks)
{
    for (size_t i = 0; i < graph->n_ops; i++) {
        choices[i].codec = graph->ops[i]->codec;
        for (size_t r = 0; r < rules->n_rules; r++) {
            if (suits(&rules->rules[r], graph->ops[i]) &&
                actc_rule_matches(&rules->rules[r], graph->ops[i]->path, graph->ops[i]->def->kind)) {
                choices[i].codec = rules->rules[r].codec;
                choices[i].rule = &rules->rules[r];
                choices[i].rule_index = r + 1;
            }
        }
        if (!compress)
            choices[i] = (choice){0};
        choices[i].slope_bits = slope_bits_of(graph->context, choices[i].codec);
        choices[i].recompute = asks_recompute(graph->context, choices[i].codec, &marks[i].segments);
        if (choices[i].recompute)
            marks[i].by = choices[i].rule ? (const void *)choices[i].rule : choices[i].codec;
    }
}

static actc_status assign(const actc_graph *graph, actc_autodiff *autodiff, const actc_shape *shapes, const actc_rules *rules,
                          bool compress, choice *choices, actc_recompute_mark *marks, actc_policy *policy)
{
    choose_codecs(graph, rules, compress, choices, marks);
    ACTC_RETURN_IF_ERROR(actc_recompute_create(graph, autodiff, shapes, marks, policy));
    policy->saved = actc_calloc(autodiff->n_saved, sizeof *policy->saved);
    if (!policy->saved)
        return actc_out_of_memory(graph->context, autodiff->n_saved, "the compression policy");
    for (size_t s = 0; s < autodiff->n_saved; s++)
        ACTC_RETURN_IF_ERROR(assign_saved(graph, &autodiff->saved[s], choices, shapes, policy));
    return note_useless(graph, autodiff, rules, choices, policy);
}

actc_status actc_policy_create(const actc_graph *graph, actc_autodiff *autodiff, const actc_shape *shapes,
                               const char *text, bool compress, actc_policy *policy)
{
    *policy = (actc_policy){0};
    actc_rules rules;
    ACTC_RETURN_IF_ERROR(actc_rules_parse(graph->context, text, &rules));
    choice *choices = actc_calloc(graph->n_ops, sizeof *choices);
    actc_recompute_mark *marks = actc_calloc(graph->n_ops, sizeof *marks);
    policy->index = actc_calloc(graph->n_tensors, sizeof *policy->index);
    policy->slope_bits = actc_calloc(graph->n_ops, sizeof *policy->slope_bits);
    actc_status status = choices && marks && policy->index && policy->slope_bits ? check_matches(graph, &rules)
                                                  : actc_out_of_memory(graph->context, graph->n_ops, "the compression policy");
    if (status == ACTC_OK)
        status = assign(graph, autodiff, shapes, &rules, compress, choices, marks, policy);
    actc_free(choices);
    actc_free(marks);
    actc_rules_destroy(&rules);
    if (status != ACTC_OK)
        actc_policy_destroy(policy);
    return status;
}

void actc_policy_destroy(actc_policy *policy)
{
    for (size_t i = 0; i < policy->n_saved; i++) {
        actc_codec_plan_destroy(&policy->saved[i].codec);
        actc_free(policy->saved[i].note);
        actc_free(policy->saved[i].readers);
    }
    for (size_t i = 0; i < policy->n_notes; i++)
        actc_free(policy->notes[i]);
    actc_free(policy->saved);
    actc_free(policy->index);
    actc_free(policy->segment);
    actc_free(policy->again);
    actc_free(policy->recomputed);
    actc_free(policy->slope_bits);
    actc_free(policy->notes);
    *policy = (actc_policy){0};
}

const actc_saved *actc_policy_find(const actc_policy *policy, const actc_tensor *tensor)
{
    uint32_t index = policy->index ? policy->index[tensor->id] : 0;
    return index ? &policy->saved[index - 1] : NULL;
}

const char *actc_policy_slopes(const actc_policy *policy, const actc_op *op)
{
    switch (policy->slope_bits ? policy->slope_bits[op->id] : 0) {
    case 2: return "derivative:bits=2";
    case 4: return "derivative:bits=4";
    case 8: return "derivative:bits=8";
    default: return NULL;
    }
}
