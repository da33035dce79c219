/* modes.c: what all of the library's work is done under, whatever the calling program has set: round to nearest, subnormals
 * kept, exceptions masked, and the locale "C", for this thread.
 *
 * 387 modes too, for the C library takes the rounding of printf and strtod from there. The locale decides the decimal point
 * that those two, and cJSON by them, write and read.
 *
 * Never inlined: compilers move arithmetic over the instructions that set modes, but not over a call.
 */
#include <pthread.h>

#include "util.h"

static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* 0 where the system refuses one: then uselocale changes nothing. */
static locale_t own_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return c_locale;
}

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#define MXCSR_DEFAULT 0x1f80u /* round to nearest, exceptions masked, flags clear, FTZ and DAZ off */
#define X87_DEFAULT 0x037fu   /* round to nearest, exceptions masked, 64-bit significands */

__attribute__((noinline)) actc_modes actc_modes_enter(void)
{
    actc_modes saved = {.control = _mm_getcsr(), .locale = uselocale(own_locale())};
    uint16_t x87 = X87_DEFAULT;
    __asm__ volatile("fnstcw %0" : "=m"(saved.x87));
    _mm_setcsr(MXCSR_DEFAULT);
    __asm__ volatile("fldcw %0" : : "m"(x87));
    return saved;
}

__attribute__((noinline)) void actc_modes_leave(const actc_modes *saved)
{
    uselocale(saved->locale);
    if ((saved->x87 & 0x3fu) != 0x3fu) /* a pending flag would trap as soon as its exception is unmasked */
        __asm__ volatile("fnclex");
    __asm__ volatile("fldcw %0" : : "m"(saved->x87));
    _mm_setcsr((unsigned)saved->control);
}
#elif defined(__aarch64__)
__attribute__((noinline)) actc_modes actc_modes_enter(void)
{
    actc_modes saved = {.locale = uselocale(own_locale())};
    uint64_t zero = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved.control));
    __asm__ volatile("msr fpcr, %0" : : "r"(zero));
    return saved;
}

__attribute__((noinline)) void actc_modes_leave(const actc_modes *saved)
{
    uselocale(saved->locale);
    __asm__ volatile("msr fpcr, %0" : : "r"(saved->control));
}
#else
#include <fenv.h>
__attribute__((noinline)) actc_modes actc_modes_enter(void)
{
    actc_modes saved = {.control = (uint64_t)fegetround(), .locale = uselocale(own_locale())};
    fesetround(FE_TONEAREST);
    return saved;
}

__attribute__((noinline)) void actc_modes_leave(const actc_modes *saved)
{
    uselocale(saved->locale);
    fesetround((int)saved->control);
}
#endif
