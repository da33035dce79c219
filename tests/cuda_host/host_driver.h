/* host_driver.h: what tests may ask of the CUDA driver that runs on the processor (driver.c), and make it do. */
#ifndef ACTC_HOST_DRIVER_H
#define ACTC_HOST_DRIVER_H

#include "../../backends/backend.h"

/* The backend "cuda-host": backends/cuda over driver.c. */
extern const actc_backend actc_backend_cuda_host;

/* The n-th call from now on meets a device error (0: none): it and all that follow fail until the device is closed, as CUDA
 * has it. Calls that give something back never fail. */
void actc_cuda_host_fail_at(unsigned n);
/* Calls that could have failed since the last actc_cuda_host_fail_at. */
unsigned actc_cuda_host_calls(void);
/* Objects that were made and not given back: memory, streams, graphs, modules, contexts. */
int actc_cuda_host_live(void);
/* What the function of a kernel takes, as its source declares it; false where there is no source. */
bool actc_cuda_host_signature(const char *kernel, unsigned *params_bytes, unsigned *n_views);

/* A program may define this: the kernel that runs in the place of `kernel` (tests/wrong_variants). Absent elsewhere. */
struct actc_host_kernel;
const struct actc_host_kernel *actc_cuda_host_replace(const struct actc_host_kernel *kernel) __attribute__((weak));

#endif
