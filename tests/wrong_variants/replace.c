/* replace.c: puts the wrong variant that ACTC_WRONG_VARIANT names in the place of its kernel; none where it is not set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_driver.h"
#include "scheduler.h"

#define VARIANT(name, kernel, symbol) extern const actc_host_kernel symbol;
#include "wrong_variants.inc"
#undef VARIANT

static const struct {
    const char *name, *kernel;
    const actc_host_kernel *wrong;
} variants[] = {
#define VARIANT(name, kernel, symbol) {name, kernel, &symbol},
#include "wrong_variants.inc"
#undef VARIANT
};

const actc_host_kernel *actc_cuda_host_replace(const actc_host_kernel *kernel)
{
    const char *wanted = getenv("ACTC_WRONG_VARIANT");
    if (!wanted || !*wanted)
        return kernel;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (!strcmp(variants[i].name, wanted))
            return strcmp(variants[i].kernel, kernel->name) ? kernel : variants[i].wrong;
    fprintf(stderr, "ACTC_WRONG_VARIANT: there is no variant %s\n", wanted);
    exit(2);
}
