/* stub_rest.c: every other function of the driver that the backend looks for, as a weak name for one that fails. */
#include "../../backends/cuda/cuda_internal.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

int actc_stub_fails(void);
int actc_stub_fails(void)
{
    return CUDA_ERROR_UNKNOWN;
}

#define X(name) __asm__(".weak " TEXT(name) "\n.set " TEXT(name) ", actc_stub_fails\n");
ACTC_CUDA_DRIVER_FUNCTIONS(X)
