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

/* Every glob and every kind of every rule must match something. */
static actc_status check_matches(const actc_graph *graph, const actc_rules *rules)
{
    for (size_t r = 0; r < rules->n_rules; r++) {
        const actc_rule *rule = &rules->rules[r];
        const char *missing = NULL;
        for (size_t g = 0; g < rule->n_globs && !missing; g++) {
            bool found = false;
            for (size_t i = 0; i < graph->n_ops && !found; i++)
                found = actc_glob_match(rule->globs[g], graph->ops[i]->path);
            if (!found)
                missing = rule->globs[g];
        }
        for (size_t k = 0; k < rule->n_kinds && !missing; k++) {
            bool found = false;
            for (size_t i = 0; i < graph->n_ops && !found; i++)
                found = !strcmp(rule->kinds[k], graph->ops[i]->def->kind) &&
                        actc_rule_matches(rule, graph->ops[i]->path, graph->ops[i]->def->kind);
            if (!found)
                missing = rule->kinds[k];
        }
        if (missing) {
            char *ops = list_ops(graph);
            actc_status status = actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT,
                                           "compression rules: '%s' matches no operator of %s; there are %s", missing,
                                           graph->name, ops ? ops : "(out of memory)");
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

/* The codec of one saved tensor among the operators that need its values. */
static actc_status decide(const actc_graph *graph, const actc_saved_need *need, const choice *choices, actc_saved *saved)
{
    actc_context *context = graph->context;
    const choice *chosen = NULL;
    const actc_op *dense_by = NULL;
    for (uint32_t i = 0; i < need->n_value_ops; i++) {
        const choice *c = &choices[need->value_ops[i]->id];
        if (!c->codec || !strcmp(c->codec, "none"))
            dense_by = need->value_ops[i];
        else if (!chosen || c->rule_index >= chosen->rule_index)
            chosen = c;
    }
    bool relu_value = need->sign_op && asks_relu_value(context, &choices[need->sign_op->id]);
    if (relu_value) {
        const choice *c = &choices[need->sign_op->id];
        saved->value = true;
        if (!chosen || c->rule_index >= chosen->rule_index)
            chosen = c;
    }
    char *note = NULL;
    if (!saved->value || !chosen) {
        note = actc_strdup("");
    } else if (!need->tensor->producer) {
        note = actc_strdup("network inputs are never compressed");
    } else if (dense_by) {
        note = actc_format("dense: %s keeps it so", dense_by->path);
    } else {
        actc_codec_spec spec;
        ACTC_RETURN_IF_ERROR(actc_codec_spec_parse(context, chosen->codec, &spec));
        ACTC_RETURN_IF_ERROR(actc_codec_plan_create(context, &spec, &saved->shape, &saved->codec));
        uint64_t n = (uint64_t)actc_shape_elements(&saved->shape);
        uint64_t mask = need->sign_op && !relu_value ? (n + 31) / 32 * 4 : 0;
        if (saved->codec->payload_bytes + mask >= n * 4) {
            note = actc_format("dense: %s would take %llu bytes%s, dense takes %llu", saved->codec->text,
                               (unsigned long long)(saved->codec->payload_bytes + mask), mask ? " with its ReLU mask" : "",
                               (unsigned long long)(n * 4));
            actc_codec_plan_destroy(&saved->codec);
        } else {
            note = actc_strdup(saved->codec->note ? saved->codec->note : "");
        }
    }
    if (!note)
        return actc_out_of_memory(context, 128, "a note");
    saved->note = note;
    /* A ReLU reads its sign from the values, dense or restored (relu=value); beside other compressed values it has a mask. */
    saved->mask = saved->sign && (!saved->value || (saved->codec && !relu_value));
    return ACTC_OK;
}

static actc_status note_useless(const actc_graph *graph, const choice *choices, actc_policy *policy)
{
    for (size_t i = 0; i < graph->n_ops; i++) {
        const actc_op *op = graph->ops[i];
        if (!choices[i].rule || !strcmp(choices[i].codec, "none"))
            continue;
        bool useful = false;
        for (size_t s = 0; s < policy->n_saved; s++) {
            const actc_tensor *t = policy->saved[s].tensor;
            bool reads = t == op->output;
            for (uint32_t k = 0; k < op->n_inputs; k++)
                reads |= t == op->inputs[k];
            useful |= reads && policy->saved[s].codec;
        }
        if (!useful)
            ACTC_RETURN_IF_ERROR(add_note(graph->context, policy,
                                          actc_format("%s: a compression rule matches, but it saves nothing that is compressed",
                                                      op->path)));
    }
    return ACTC_OK;
}

static actc_status assign(const actc_graph *graph, const actc_autodiff *autodiff, const actc_shape *shapes,
                          const actc_rules *rules, bool compress, choice *choices, actc_policy *policy)
{
    for (size_t i = 0; i < graph->n_ops; i++) {
        choices[i].codec = graph->ops[i]->codec;
        for (size_t r = 0; r < rules->n_rules; r++) {
            if (actc_rule_matches(&rules->rules[r], graph->ops[i]->path, graph->ops[i]->def->kind)) {
                choices[i].codec = rules->rules[r].codec;
                choices[i].rule = &rules->rules[r];
                choices[i].rule_index = r + 1;
            }
        }
        if (!compress)
            choices[i] = (choice){0};
    }
    for (size_t s = 0; s < autodiff->n_saved; s++) {
        const actc_saved_need *need = &autodiff->saved[s];
        actc_saved *saved = &policy->saved[policy->n_saved++];
        saved->tensor = need->tensor;
        saved->shape = shapes[need->tensor->id];
        saved->value = need->n_value_ops > 0;
        saved->sign = need->sign_op != NULL;
        ACTC_RETURN_IF_ERROR(decide(graph, need, choices, saved));
    }
    return note_useless(graph, choices, policy);
}

actc_status actc_policy_create(const actc_graph *graph, const actc_autodiff *autodiff, const actc_shape *shapes,
                               const char *text, bool compress, actc_policy *policy)
{
    *policy = (actc_policy){0};
    actc_rules rules;
    ACTC_RETURN_IF_ERROR(actc_rules_parse(graph->context, text, &rules));
    choice *choices = actc_calloc(graph->n_ops, sizeof *choices);
    policy->saved = actc_calloc(autodiff->n_saved, sizeof *policy->saved);
    actc_status status = choices && policy->saved ? check_matches(graph, &rules)
                                                  : actc_out_of_memory(graph->context, graph->n_ops, "the compression policy");
    if (status == ACTC_OK)
        status = assign(graph, autodiff, shapes, &rules, compress, choices, policy);
    actc_free(choices);
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
    }
    for (size_t i = 0; i < policy->n_notes; i++)
        actc_free(policy->notes[i]);
    actc_free(policy->saved);
    actc_free(policy->notes);
    *policy = (actc_policy){0};
}

const actc_saved *actc_policy_find(const actc_policy *policy, const actc_tensor *tensor)
{
    for (size_t i = 0; i < policy->n_saved; i++)
        if (policy->saved[i].tensor == tensor)
            return &policy->saved[i];
    return NULL;
}
