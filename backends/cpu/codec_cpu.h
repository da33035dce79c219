/* codec_cpu.h: the parts of the CPU's codecs. */
#ifndef ACTC_CODEC_CPU_H
#define ACTC_CODEC_CPU_H

#include "../../src/codec/codec_plan.h"
#include "cpu.h"

/* The fused codecs (codec_pack.c, codec_unpack.c), for plans that keep coefficients. */
uint64_t actc_cpu_codec_pack_workspace(const actc_codec_work_desc *work, int threads);
uint64_t actc_cpu_codec_unpack_workspace(const actc_codec_work_desc *work, int threads);
void actc_cpu_codec_pack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const float *x, void *payload,
                         const uint32_t *step, void *workspace);
void actc_cpu_codec_unpack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const void *payload, float *x,
                           void *workspace);

/* The passes of the GPU backends (codec_passes.c). */
actc_status actc_cpu_codec_passes_workspace(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way,
                                            uint64_t *bytes);
/* views: those of the command; bytes: their lengths. */
actc_status actc_cpu_codec_passes_run(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way,
                                      void *const *views, const uint64_t *bytes);

#endif
