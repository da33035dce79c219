/* kernel_tables.c: the kernels by id, one table an instruction set. Where the compiler cannot build a set, its table
 * holds the next lower one's functions. */
#include "cpu.h"

#define ACTC_DECLARE(name, suffix) \
    void actc_cpu_##name##_##suffix(const void *params, void *const *views, uint32_t begin, uint32_t end);

#define ACTC_KERNEL(name, class, access, family, grain) ACTC_DECLARE(name, baseline)
#include "kernels.def"
#ifdef ACTC_CPU_HAVE_AVX2
#define ACTC_KERNEL(name, class, access, family, grain) ACTC_DECLARE(name, avx2)
#include "kernels.def"
#endif
#ifdef ACTC_CPU_HAVE_AVX512
#define ACTC_KERNEL(name, class, access, family, grain) ACTC_DECLARE(name, avx512)
#include "kernels.def"
#endif

const actc_cpu_kernel_fn actc_cpu_kernels_baseline[ACTC_KERNEL_COUNT] = {
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_baseline,
#include "kernels.def"
};

const actc_cpu_kernel_fn actc_cpu_kernels_avx2[ACTC_KERNEL_COUNT] = {
#ifdef ACTC_CPU_HAVE_AVX2
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_avx2,
#else
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_baseline,
#endif
#include "kernels.def"
};

const actc_cpu_kernel_fn actc_cpu_kernels_avx512[ACTC_KERNEL_COUNT] = {
#if defined(ACTC_CPU_HAVE_AVX512)
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_avx512,
#elif defined(ACTC_CPU_HAVE_AVX2)
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_avx2,
#else
#define ACTC_KERNEL(name, class, access, family, grain) [ACTC_KERNEL_##name] = actc_cpu_##name##_baseline,
#endif
#include "kernels.def"
};

const actc_cpu_kernel_fn *actc_cpu_kernel_table(actc_cpu_isa isa)
{
    return isa == ACTC_CPU_AVX512 ? actc_cpu_kernels_avx512
           : isa == ACTC_CPU_AVX2 ? actc_cpu_kernels_avx2
                                  : actc_cpu_kernels_baseline;
}
