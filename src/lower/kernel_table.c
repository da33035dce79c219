/* kernel_table.c: the kernel list as a table. */
#include "../../backends/backend.h"

const actc_kernel_info actc_kernel_infos[ACTC_KERNEL_COUNT] = {
#define ACTC_KERNEL(name, class, access, family, grain) \
    [ACTC_KERNEL_##name] = {#name, ACTC_PARITY_##class, access, sizeof(struct actc_params_##name), ACTC_FAMILY_##family, ACTC_GRAIN_##grain},
#include "kernels.def"
};

#define ACTC_KERNEL(name, class, access, family, grain) \
    _Static_assert(sizeof(struct actc_params_##name) <= ACTC_MAX_PARAMS_BYTES, #name ": parameters do not fit"); \
    _Static_assert(sizeof(access) - 1 <= ACTC_MAX_VIEWS, #name ": too many views");
#include "kernels.def"
