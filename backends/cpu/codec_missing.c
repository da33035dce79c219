/* codec_missing.c: stands where codec*.c will be; prepare refuses pack and unpack while it does. */
#include "cpu.h"

const bool actc_cpu_codec_ready = false;

uint64_t actc_cpu_codec_workspace(const actc_codec_work_desc *work, bool unpack, int threads)
{
    (void)work;
    (void)unpack;
    (void)threads;
    return 0;
}

void actc_cpu_pack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const float *x, void *payload,
                   const uint32_t *step, void *workspace)
{
    (void)work;
    (void)isa;
    (void)threads;
    (void)x;
    (void)payload;
    (void)step;
    (void)workspace;
}

void actc_cpu_unpack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const void *payload, float *x,
                     const uint32_t *step, void *workspace)
{
    (void)work;
    (void)isa;
    (void)threads;
    (void)payload;
    (void)x;
    (void)step;
    (void)workspace;
}
