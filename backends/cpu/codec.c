/* codec.c: pack and unpack on host memory. */
#include "codec_cpu.h"

uint64_t actc_cpu_codec_workspace(const actc_codec_work_desc *work, bool unpack, int threads)
{
    uint64_t bytes = 0;
    (void)threads;
    return actc_cpu_codec_passes_workspace(work, unpack, &bytes) == ACTC_OK ? bytes : 0;
}

actc_status actc_cpu_pack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const float *x, void *payload,
                          const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    void *const views[] = {(void *)(uintptr_t)x, payload, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {4 * plan->n, plan->payload_bytes, ACTC_STEP_BLOCK_BYTES, plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, false, threads);
    return actc_cpu_codec_passes_run(work, false, isa, threads, views, bytes);
}

actc_status actc_cpu_unpack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const void *payload, float *x,
                            const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    void *const views[] = {(void *)(uintptr_t)payload, x, (void *)(uintptr_t)step, plan->constants, workspace};
    uint64_t bytes[] = {plan->payload_bytes, 4 * (plan->n / plan->batch * work->count), ACTC_STEP_BLOCK_BYTES,
                        plan->constants_bytes, 0};
    bytes[4] = actc_cpu_codec_workspace(work, true, threads);
    return actc_cpu_codec_passes_run(work, true, isa, threads, views, bytes);
}
