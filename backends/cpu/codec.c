/* codec.c: pack and unpack on host memory: fused where coefficients are kept, the GPU's passes for the rest, and for all
 * where the environment asks for them. */
#include "codec_cpu.h"

#include "fused/fused.h"

static bool is_fused(const actc_codec_plan *plan)
{
    return plan->k > 0 && plan->spec.kind >= ACTC_CODEC_THRESHOLD && plan->spec.kind != ACTC_CODEC_USER &&
           !actc_cpu_codec_uses_passes();
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

uint64_t actc_cpu_codec_workspace(const actc_codec_work_desc *work, bool unpack, int threads)
{
    uint64_t bytes = 0;
    if (is_fused(work->plan))
        return unpack ? actc_cpu_codec_unpack_workspace(work, threads) : actc_cpu_codec_pack_workspace(work, threads);
    return actc_cpu_codec_passes_workspace(work, unpack, &bytes) == ACTC_OK ? bytes : 0;
}

actc_status actc_cpu_pack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const float *x, void *payload,
                          const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    if (is_fused(plan)) {
        actc_cpu_codec_pack(work, isa, threads, x, payload, step, workspace);
        return ACTC_OK;
    }
    void *const views[] = {(void *)(uintptr_t)x, payload, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {4 * plan->n, plan->payload_bytes, ACTC_STEP_BLOCK_BYTES, plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, false, threads);
    return actc_cpu_codec_passes_run(work, false, isa, threads, views, bytes);
}

actc_status actc_cpu_unpack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const void *payload, float *x,
                            const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    if (is_fused(plan)) {
        actc_cpu_codec_unpack(work, isa, threads, payload, x, workspace);
        return ACTC_OK;
    }
    void *const views[] = {(void *)(uintptr_t)payload, x, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {plan->payload_bytes, 4 * (plan->n / plan->samples * work->count), ACTC_STEP_BLOCK_BYTES,
                        plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, true, threads);
    return actc_cpu_codec_passes_run(work, true, isa, threads, views, bytes);
}
