/* rules.c: the text form of compression rules. */
#include <string.h>

#include "policy.h"

/* The kinds of all layers, and of losses that say what they need, each once; returns how many. */
enum { MOST_KINDS = 64 };
static size_t list_kinds(const char **kinds)
{
    size_t n = 0;
    for (size_t i = 0; i < actc_n_op_defs && n < MOST_KINDS; i++) {
        size_t k = 0;
        while (k < n && strcmp(kinds[k], actc_op_defs[i]->kind) != 0)
            k++;
        if (k == n && (actc_op_defs[i]->role == ACTC_OP_LAYER || actc_op_defs[i]->needs))
            kinds[n++] = actc_op_defs[i]->kind;
    }
    return n;
}

static actc_status check_kind(actc_context *context, const char *kind, const char *begin, const char *end)
{
    const char *kinds[MOST_KINDS];
    size_t n = list_kinds(kinds);
    char list[512] = "";
    for (size_t k = 0; k < n; k++) {
        if (!strcmp(kind, kinds[k]))
            return ACTC_OK;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", k ? ", " : "", kinds[k]);
    }
    const char *near = actc_nearest(kind, kinds, n);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "rule '%.*s': unknown kind '%s'%s%s%s; kinds are %s", (int)(end - begin),
                     begin, kind, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", list);
}

/* Splits [begin, end) at `separator` into copies; empty parts are refused. */
static actc_status split(actc_context *context, const char *begin, const char *end, const char *what, char ***parts,
                         size_t *count, size_t *capacity)
{
    while (begin <= end) {
        const char *stop = memchr(begin, ',', (size_t)(end - begin));
        if (!stop)
            stop = end;
        /* blanks around a part are nobody's */
        const char *a = begin, *b = stop;
        while (a < b && *a == ' ')
            a++;
        while (b > a && b[-1] == ' ')
            b--;
        if (a == b)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "rule '%.*s': an empty %s", (int)(end - begin), begin, what);
        char *copy = actc_strndup(a, (size_t)(b - a));
        if (!copy || !actc_grow((void **)parts, capacity, *count + 1, sizeof **parts)) {
            actc_free(copy);
            return actc_out_of_memory(context, (uint64_t)(b - a), "a rule");
        }
        (*parts)[(*count)++] = copy;
        begin = stop + 1;
    }
    return ACTC_OK;
}

static actc_status parse_rule(actc_context *context, const char *begin, const char *end, actc_rule *rule)
{
    const char *equals = memchr(begin, '=', (size_t)(end - begin));
    if (!equals || equals == begin || equals + 1 == end)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "rule '%.*s': expected GLOB[,GLOB...][@KIND[,KIND...]]=CODEC[:key=value,...]", (int)(end - begin), begin);
    const char *at = memchr(begin, '@', (size_t)(equals - begin));
    ACTC_RETURN_IF_ERROR(split(context, begin, at ? at : equals, "glob", &rule->globs, &rule->n_globs, &rule->globs_capacity));
    if (at)
        ACTC_RETURN_IF_ERROR(split(context, at + 1, equals, "kind", &rule->kinds, &rule->n_kinds, &rule->kinds_capacity));
    for (size_t i = 0; i < rule->n_kinds; i++)
        ACTC_RETURN_IF_ERROR(check_kind(context, rule->kinds[i], begin, end));
    const char *codec = equals + 1;
    while (codec < end && *codec == ' ')
        codec++;
    while (end > codec && end[-1] == ' ')
        end--;
    rule->codec = actc_strndup(codec, (size_t)(end - codec));
    if (!rule->codec)
        return actc_out_of_memory(context, (uint64_t)(end - codec), "a rule");
    actc_codec_spec spec;
    ACTC_RETURN_IF_ERROR(actc_codec_spec_parse(context, rule->codec, &spec));
    rule->slope_bits = spec.slope_bits;
    return ACTC_OK;
}

actc_status actc_rules_parse(actc_context *context, const char *text, actc_rules *rules)
{
    *rules = (actc_rules){0};
    actc_status status = ACTC_OK;
    while (status == ACTC_OK && text && *text) {
        const char *end = strchr(text, ';');
        const char *next = end ? end + 1 : text + strlen(text);
        if (!end)
            end = next;
        while (text < end && *text == ' ')
            text++;
        if (text < end) { /* a trailing ';' is no rule */
            if (!actc_grow((void **)&rules->rules, &rules->capacity, rules->n_rules + 1, sizeof *rules->rules))
                status = actc_out_of_memory(context, sizeof *rules->rules, "a rule");
            else
                status = parse_rule(context, text, end, &rules->rules[rules->n_rules++]);
        }
        text = next;
    }
    if (status != ACTC_OK)
        actc_rules_destroy(rules);
    return status;
}

void actc_rules_destroy(actc_rules *rules)
{
    for (size_t i = 0; i < rules->n_rules; i++) {
        actc_rule *rule = &rules->rules[i];
        for (size_t k = 0; k < rule->n_globs; k++)
            actc_free(rule->globs[k]);
        for (size_t k = 0; k < rule->n_kinds; k++)
            actc_free(rule->kinds[k]);
        actc_free(rule->globs);
        actc_free(rule->kinds);
        actc_free(rule->codec);
    }
    actc_free(rules->rules);
    *rules = (actc_rules){0};
}

bool actc_rule_matches(const actc_rule *rule, const char *path, const char *kind)
{
    bool glob = false, of_kind = rule->n_kinds == 0;
    for (size_t i = 0; i < rule->n_globs; i++)
        glob |= actc_glob_match(rule->globs[i], path);
    for (size_t i = 0; i < rule->n_kinds; i++)
        of_kind |= !strcmp(rule->kinds[i], kind);
    return glob && of_kind;
}
