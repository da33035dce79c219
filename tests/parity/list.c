/* list.c: the list of cases. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parity.h"

static void (*const registries[])(parity_list *) = {
    parity_kernel_cases,   parity_element_cases, parity_norm_cases, parity_attention_cases, parity_product_cases, parity_codec_kernel_cases,
    parity_operator_cases, parity_codec_cases,   parity_step_cases,
};

const char *parity_level_name(parity_level level)
{
    static const char *const names[] = {"kernel", "operator", "codec", "step", "training"};
    return names[level];
}

parity_case *parity_add(parity_list *list, parity_level level, actc_parity parity, parity_run_fn run, const void *data,
                        size_t data_bytes, const char *format, ...)
{
    static parity_case nowhere;
    va_list args;
    parity_case *c = calloc(1, sizeof *c);
    void *copy = malloc(data_bytes ? data_bytes : 1);
    if (list->count == list->capacity && !list->failed) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        parity_case **grown = realloc(list->cases, capacity * sizeof *grown);
        list->failed = !grown;
        if (grown) {
            list->cases = grown;
            list->capacity = capacity;
        }
    }
    if (!c || !copy || list->failed) {
        free(c);
        free(copy);
        list->failed = true;
        return &nowhere;
    }
    if (data_bytes)
        memcpy(copy, data, data_bytes);
    *c = (parity_case){.level = level, .parity = parity, .run = run, .data = copy, .kernel = -1};
    va_start(args, format);
    vsnprintf(c->name, sizeof c->name, format, args);
    va_end(args);
    list->cases[list->count++] = c;
    return c;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(parity_case *const *)a)->name, (*(parity_case *const *)b)->name);
}

/* kernels.def is the only list of kernels: a kernel that nobody tests must show. */
static bool check(const parity_list *list, char *message, size_t size)
{
    bool seen[ACTC_KERNEL_COUNT] = {false};
    parity_case **sorted = malloc((list->count ? list->count : 1) * sizeof *sorted);
    if (!sorted) {
        snprintf(message, size, "out of memory");
        return false;
    }
    memcpy(sorted, list->cases, list->count * sizeof *sorted);
    qsort(sorted, list->count, sizeof *sorted, by_name);
    bool good = true;
    for (size_t i = 0; i < list->count && good; i++) {
        if (sorted[i]->kernel >= 0)
            seen[sorted[i]->kernel] = true;
        good = !(i && strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) && !strpbrk(sorted[i]->name, "'*?[") &&
               strlen(sorted[i]->name) + 1 < sizeof sorted[i]->name;
        if (!good)
            snprintf(message, size, "the name %s is not unique, too long or holds one of '*?[", sorted[i]->name);
    }
    for (int i = 0; i < ACTC_KERNEL_COUNT && good; i++) {
        good = seen[i];
        if (!good)
            snprintf(message, size, "kernel %s has no case", actc_kernel_infos[i].name);
    }
    free(sorted);
    return good;
}

bool parity_list_all(parity_list *list, char *message, size_t size)
{
    *list = (parity_list){0};
    for (size_t i = 0; i < sizeof registries / sizeof *registries; i++)
        registries[i](list);
    if (list->failed)
        snprintf(message, size, "out of memory");
    return !list->failed && check(list, message, size);
}

void parity_list_free(parity_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->cases[i]->data);
        free(list->cases[i]);
    }
    free(list->cases);
    *list = (parity_list){0};
}

/* FNV-1a, and the last step of SplitMix64, so that near names have far seeds. */
uint64_t parity_hash(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

uint64_t parity_seed(uint64_t seed, const char *name)
{
    uint64_t words[2] = {seed, parity_hash(name, strlen(name))};
    return parity_hash(words, sizeof words);
}
