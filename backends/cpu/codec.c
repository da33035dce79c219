/* codec.c: pack and unpack on host memory: fused where coefficients are kept, the GPU's passes for the rest, and for all
 * where the environment asked for them when the device was opened. */
#include <stdlib.h>
#include <string.h>

#include "codec_cpu.h"

#include "fused/fused.h"

actc_cpu_codec_way actc_cpu_codec_way_of_environment(actc_cpu_isa isa, int threads)
{
    const char *path = getenv("ACTC_CPU_CODEC"), *view = getenv("ACTC_CPU_CODEC_VIEW");
    return (actc_cpu_codec_way){.isa = isa, .threads = threads, .passes = path && !strcmp(path, "passes"),
                                .max_view = view ? strtoull(view, NULL, 10) : 0};
}

static bool is_fused(const actc_codec_plan *plan, const actc_cpu_codec_way *way)
{
    return plan->k > 0 && actc_codec_selects(plan->spec.kind) && !way->passes;
}

const codec_fns *actc_cpu_codec_fns(actc_cpu_isa isa)
{
#ifdef ACTC_CPU_HAVE_AVX512
    if (isa == ACTC_CPU_AVX512)
        return &actc_cpu_fused_fns_avx512;
#endif
#ifdef ACTC_CPU_HAVE_AVX2
    if (isa >= ACTC_CPU_AVX2)
        return &actc_cpu_fused_fns_avx2;
#endif
    (void)isa;
    return &actc_cpu_fused_fns_baseline;
}

uint64_t actc_cpu_codec_workspace(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way)
{
    uint64_t bytes = 0;
    if (is_fused(work->plan, way))
        return unpack ? actc_cpu_codec_unpack_workspace(work, way->threads) : actc_cpu_codec_pack_workspace(work, way->threads);
    return actc_cpu_codec_passes_workspace(work, unpack, way, &bytes) == ACTC_OK ? bytes : 0;
}

actc_status actc_cpu_pack(const actc_codec_work_desc *work, const actc_cpu_codec_way *way, const float *x, void *payload,
                          const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    if (is_fused(plan, way)) {
        actc_cpu_codec_pack(work, way->isa, way->threads, x, payload, step, workspace);
        return ACTC_OK;
    }
    void *const views[] = {(void *)(uintptr_t)x, payload, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {4 * plan->n, plan->payload_bytes, ACTC_STEP_BLOCK_BYTES, plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, false, way);
    return actc_cpu_codec_passes_run(work, false, way, views, bytes);
}

actc_status actc_cpu_unpack(const actc_codec_work_desc *work, const actc_cpu_codec_way *way, const void *payload, float *x,
                            const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    if (is_fused(plan, way)) {
        actc_cpu_codec_unpack(work, way->isa, way->threads, payload, x, workspace);
        return ACTC_OK;
    }
    void *const views[] = {(void *)(uintptr_t)payload, x, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {plan->payload_bytes, 4 * (plan->n / plan->samples * work->count), ACTC_STEP_BLOCK_BYTES,
                        plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, true, way);
    return actc_cpu_codec_passes_run(work, true, way, views, bytes);
}
