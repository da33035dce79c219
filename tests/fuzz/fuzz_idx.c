/* fuzz_idx.c: an IDX file, gzipped or plain, read as images and as labels. */
#include "fuzz.h"

#include "data/idx.h"
#include "util/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    for (int ndim = 1; ndim <= 3; ndim += 2) {
        actc_idx idx;
        actc_status status = actc_idx_read(fuzz_context(), path, ndim, &idx);
        fuzz_answered(status);
        FUZZ_CHECK((status == ACTC_OK) == (idx.values != NULL));
        if (status != ACTC_OK)
            continue;
        uint64_t bytes = 1, sum = 0;
        for (int i = 0; i < ndim; i++)
            bytes *= (uint64_t)idx.dims[i];
        FUZZ_CHECK(idx.ndim == ndim && bytes == idx.bytes);
        for (uint64_t i = 0; i < bytes; i++)
            sum += idx.values[i];
        FUZZ_CHECK(sum <= 255 * bytes);
        actc_free(idx.values);
    }
    return 0;
}
