/* cpu.h: inside of the CPU backend. */
#ifndef ACTC_CPU_H
#define ACTC_CPU_H

#include "../backend.h"

/* A kernel runs the groups [begin, end) of a launch. params: its struct; views: host pointers, NULL where a view has
 * no bytes. Groups may run on several threads at once, in any order. Each is compiled once for every instruction set
 * with the same bits as result, since lanes are independent elements and the order of additions is the algorithm's. */
typedef void (*actc_cpu_kernel_fn)(const void *params, void *const *views, uint32_t begin, uint32_t end);

typedef enum actc_cpu_isa { ACTC_CPU_BASELINE, ACTC_CPU_AVX2, ACTC_CPU_AVX512, ACTC_CPU_ISA_COUNT } actc_cpu_isa;

/* Kernel files define their functions with this name; ACTC_CPU_SUFFIX is set by the build. */
#define ACTC_CPU_JOIN2(a, b) a##_##b
#define ACTC_CPU_JOIN(a, b) ACTC_CPU_JOIN2(a, b)
#define ACTC_CPU_NAME(name) ACTC_CPU_JOIN(actc_cpu_##name, ACTC_CPU_SUFFIX)
#define ACTC_CPU_KERNEL(name)                                                                                  \
    void ACTC_CPU_NAME(name)(const void *params, void *const *views, uint32_t begin, uint32_t end);           \
    void ACTC_CPU_NAME(name)(const void *params, void *const *views, uint32_t begin, uint32_t end)

/* One table an instruction set, indexed by actc_kernel_id. */
extern const actc_cpu_kernel_fn actc_cpu_kernels_baseline[ACTC_KERNEL_COUNT];
extern const actc_cpu_kernel_fn actc_cpu_kernels_avx2[ACTC_KERNEL_COUNT];
extern const actc_cpu_kernel_fn actc_cpu_kernels_avx512[ACTC_KERNEL_COUNT];
const actc_cpu_kernel_fn *actc_cpu_kernel_table(actc_cpu_isa isa);

/* The best set that this processor and operating system have; ACTC_CPU_ISA=baseline|avx2|avx512 in the environment
 * lowers it (tests). */
actc_cpu_isa actc_cpu_isa_detect(void);
const char *actc_cpu_isa_string(actc_cpu_isa isa);

/* The one parallel loop of the backend: body runs on sub-ranges [begin, end) that cover [0, count), each at least
 * `grain` long but for the last; thread is below `threads`. Where the ranges are cut must not show in results. */
typedef void (*actc_parallel_body)(void *user, uint32_t begin, uint32_t end, int thread);
void actc_parallel_for(int threads, uint32_t count, uint32_t grain, actc_parallel_body body, void *user);
int actc_parallel_default_threads(void);
const char *actc_parallel_name(void); /* "OpenMP" or "POSIX threads" */
#define ACTC_MAX_THREADS 1024

/* How pack and unpack are done; all ways give the same bytes. */
typedef struct actc_cpu_codec_way {
    actc_cpu_isa isa;
    int threads;
    bool passes;       /* the GPU backends' list of passes for every codec, not for those alone that have no fused path */
    uint64_t max_view; /* of a pass, in bytes; 0: 1 GiB */
} actc_cpu_codec_way;
/* As ACTC_CPU_CODEC=passes and ACTC_CPU_CODEC_VIEW=BYTES in the environment say (tests). */
actc_cpu_codec_way actc_cpu_codec_way_of_environment(actc_cpu_isa isa, int threads);

/* pack and unpack on host memory (codec*.c). workspace holds actc_cpu_codec_workspace bytes for the same way. step: the step
 * block. */
uint64_t actc_cpu_codec_workspace(const actc_codec_work_desc *work, bool unpack, const actc_cpu_codec_way *way);
actc_status actc_cpu_pack(const actc_codec_work_desc *work, const actc_cpu_codec_way *way, const float *x, void *payload,
                          const uint32_t *step, void *workspace);
actc_status actc_cpu_unpack(const actc_codec_work_desc *work, const actc_cpu_codec_way *way, const void *payload, float *x,
                            const uint32_t *step, void *workspace);

#endif
