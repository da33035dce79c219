/* kernel_check.h: a CPU kernel against an obvious scalar form: the same bits from every instruction set of this machine and
 * from 1, 2 and 3 threads, with guard zones around what is written. */
#ifndef ACTC_KERNEL_CHECK_H
#define ACTC_KERNEL_CHECK_H

#include "cpu_test.h"

#include "exact/exact.h"

#define GUARD 64 /* bytes before and after every view */
#define SENTINEL 0xa5

static const char *const kernel_names[] = {
#define ACTC_KERNEL(name, class, access, family, grain) #name,
#include "kernels.def"
};
static bool kernel_checked[ACTC_KERNEL_COUNT];

/* A view of a launch. expected: what must be there afterwards; NULL for what is only read. */
typedef struct view {
    const void *before; /* NULL: filled with NaN bits, since the kernel writes all of it */
    const void *expected;
    size_t bytes;
} view;

typedef struct launch {
    actc_cpu_kernel_fn fn;
    const void *params;
    void *views[ACTC_MAX_VIEWS];
} launch;

static inline void run_groups(void *user, uint32_t begin, uint32_t end, int thread)
{
    (void)thread;
    const launch *l = user;
    l->fn(l->params, l->views, begin, end);
}

static inline void compare(const char *what, const uint8_t *expected, const uint8_t *got, size_t bytes)
{
    if (memcmp(expected, got, bytes) == 0)
        return;
    for (size_t i = 0; i < bytes; i++)
        if (expected[i] != got[i])
            fail_msg("%s: byte %zu (word %zu) is %02x and should be %02x", what, i, i / 4, got[i], expected[i]);
}

static inline void check(actc_kernel_id id, const void *params, uint32_t groups, const view *views, int n_views)
{
    kernel_checked[id] = true;
    for (int isa = 0; isa <= (int)actc_cpu_isa_detect(); isa++) {
        for (int threads = 1; threads <= 3; threads++) {
            uint8_t *memory[ACTC_MAX_VIEWS] = {0};
            launch l = {actc_cpu_kernel_table((actc_cpu_isa)isa)[id], params, {0}};
            for (int i = 0; i < n_views; i++) {
                size_t padded = (views[i].bytes + 63) / 64 * 64;
                memory[i] = aligned_alloc(64, padded + 2 * GUARD);
                assert_non_null(memory[i]);
                memset(memory[i], SENTINEL, padded + 2 * GUARD);
                if (views[i].before)
                    memcpy(memory[i] + GUARD, views[i].before, views[i].bytes);
                else
                    memset(memory[i] + GUARD, 0xff, views[i].bytes);
                l.views[i] = views[i].bytes ? memory[i] + GUARD : NULL;
            }
            actc_parallel_for(threads, groups, 1, run_groups, &l);
            for (int i = 0; i < n_views; i++) {
                char what[160];
                snprintf(what, sizeof what, "%s, %s, %d threads, view %d", kernel_names[id],
                         actc_cpu_isa_string((actc_cpu_isa)isa), threads, i);
                const void *expected = views[i].expected ? views[i].expected : views[i].before;
                compare(what, expected, memory[i] + GUARD, views[i].bytes);
                for (size_t k = 0; k < GUARD; k++)
                    if (memory[i][k] != SENTINEL || memory[i][GUARD + views[i].bytes + k] != SENTINEL)
                        fail_msg("%s: wrote outside", what);
                free(memory[i]);
            }
        }
    }
}

#define IN(p, n) {(p), NULL, (n) * 4}
#define OUT(p, n) {NULL, (p), (n) * 4}
#define INOUT(a, b, n) {(a), (b), (n) * 4}
#define CHECK(id, params, groups, ...)                                        \
    do {                                                                      \
        const view views_[] = {__VA_ARGS__};                                  \
        check(ACTC_KERNEL_##id, &(params), (groups), views_, (int)(sizeof views_ / sizeof *views_)); \
    } while (0)

static inline uint32_t element_groups(uint64_t n)
{
    return (uint32_t)((n + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS);
}

static inline uint32_t invocation_groups(uint64_t n)
{
    return (uint32_t)((n + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE);
}

/* Those of test_norm_kernels.c. */
static inline bool is_norm_kernel(actc_kernel_id id)
{
    return actc_kernel_infos[id].family == ACTC_FAMILY_REDUCE || actc_kernel_infos[id].family == ACTC_FAMILY_NORM;
}

/* Those of test_attention_kernels.c. */
static inline bool is_attention_kernel(actc_kernel_id id)
{
    return actc_kernel_infos[id].family == ACTC_FAMILY_ATTENTION;
}

#endif
