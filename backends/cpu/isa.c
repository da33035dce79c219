/* isa.c: which instruction set the kernels run with. All give the same bits; only speed differs. */
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static actc_cpu_isa best(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return ACTC_CPU_BASELINE;
    bool osxsave = c >> 27 & 1, avx = c >> 28 & 1, f16c = c >> 29 & 1, fma = c >> 12 & 1;
    if (!osxsave || !avx || !f16c || !fma || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return ACTC_CPU_BASELINE;
    /* The operating system must save the wide registers too. */
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    bool avx2 = b >> 5 & 1;
    bool avx512 = (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1); /* F, DQ, BW, VL */
    if ((low & 6) != 6 || !avx2)
        return ACTC_CPU_BASELINE;
    return avx512 && (low & 0xe6) == 0xe6 ? ACTC_CPU_AVX512 : ACTC_CPU_AVX2;
}
#else
static actc_cpu_isa best(void)
{
    return ACTC_CPU_BASELINE;
}
#endif

const char *actc_cpu_isa_string(actc_cpu_isa isa)
{
    switch (isa) {
    case ACTC_CPU_BASELINE: return "baseline";
    case ACTC_CPU_AVX2: return "avx2";
    case ACTC_CPU_AVX512: return "avx512";
    case ACTC_CPU_ISA_COUNT: break;
    }
    return "unknown";
}

actc_cpu_isa actc_cpu_isa_detect(void)
{
    actc_cpu_isa isa = best();
    const char *wanted = getenv("ACTC_CPU_ISA");
    for (int i = 0; wanted && i < (int)isa; i++)
        if (strcmp(wanted, actc_cpu_isa_string((actc_cpu_isa)i)) == 0)
            return (actc_cpu_isa)i;
    return isa;
}
