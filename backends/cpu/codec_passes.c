/* codec_passes.c: pack and unpack as the GPU backends do them, pass by pass, on this backend's kernels.
 *
 * Slow and plain: the reference for the fused paths. Tests limit the views, to see the passes cut into chunks.
 */
#include <string.h>

#include "../common/codec_passes.h"
#include "codec_cpu.h"

#define MAX_VIEW (1ull << 30)

static uint64_t max_view(const actc_cpu_codec_way *way)
{
    return way->max_view ? way->max_view : MAX_VIEW;
}

actc_status actc_cpu_codec_passes_workspace(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way,
                                            uint64_t *bytes)
{
    const char *why;
    return actc_codec_passes_workspace(work, unpack, max_view(way), bytes, &why);
}

typedef struct launch {
    actc_cpu_kernel_fn fn;
    const void *params;
    void *views[ACTC_MAX_VIEWS];
} launch;

static void run_groups(void *user, uint32_t begin, uint32_t end, int thread)
{
    (void)thread;
    launch *l = user;
    l->fn(l->params, l->views, begin, end);
}

static void run(const actc_command *c, const actc_cpu_kernel_fn *kernels, int threads, char *const *bases)
{
    launch l = {NULL};
    for (uint32_t i = 0; i < c->n_views; i++)
        if (c->views[i].bytes)
            l.views[i] = bases[c->views[i].buffer] + c->views[i].offset;
    if (c->type == ACTC_COMMAND_KERNEL) {
        l.fn = kernels[c->u.kernel.id];
        l.params = c->u.kernel.params.bytes;
        actc_parallel_for(threads, c->u.kernel.groups, 4, run_groups, &l);
    } else if (c->type == ACTC_COMMAND_COPY) {
        memcpy(l.views[1], l.views[0], (size_t)c->views[1].bytes);
    } else {
        memset(l.views[0], 0, (size_t)c->views[0].bytes);
    }
}

/* The command's views become buffers 0, 1, ... at these addresses. */
actc_status actc_cpu_codec_passes_run(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way,
                                      void *const *views, const uint64_t *bytes)
{
    actc_command command = {.type = unpack ? ACTC_COMMAND_UNPACK : ACTC_COMMAND_PACK, .label = "codec", .n_views = 5};
    char *bases[ACTC_MAX_VIEWS] = {0};
    for (uint32_t i = 0; i < 5; i++) {
        command.views[i] = (actc_view){.buffer = i, .bytes = bytes[i]};
        bases[i] = views[i];
    }
    command.u.codec = *work;
    actc_codec_passes passes;
    const char *why;
    actc_status status = actc_codec_passes_expand(&command, max_view(way), &passes, &why);
    if (status != ACTC_OK)
        return status;
    for (uint32_t i = 0; i < passes.count; i++)
        run(&passes.commands[i], actc_cpu_kernel_table(way->isa), way->threads, bases);
    actc_codec_passes_free(&passes);
    return ACTC_OK;
}
