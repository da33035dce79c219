/* fuzz_safetensors.c: a safetensors file, and what is written again from one that was accepted. */
#include "fuzz.h"

static uint64_t elements_of(const actc_shape *shape)
{
    uint64_t n = 1;
    for (int i = 0; i < shape->ndim; i++)
        n *= (uint64_t)shape->dims[i];
    return n;
}

/* Every tensor is named, in order, and one that can be widened has as many values as its shape says. */
static void check_names(const actc_safetensors *file, size_t size)
{
    const char *before = NULL, *name;
    size_t count = 0;
    for (; (name = actc_safetensors_name(file, count)); count++, before = name) {
        actc_shape shape;
        FUZZ_CHECK(!before || strcmp(before, name) < 0);
        actc_status status = actc_safetensors_read_f64(file, name, &shape, NULL);
        FUZZ_CHECK(status == ACTC_OK || status == ACTC_ERROR_UNSUPPORTED);
        if (status != ACTC_OK)
            continue;
        uint64_t n = elements_of(&shape);
        FUZZ_CHECK(4 * n < size);
        double *values = malloc(n * sizeof *values + 1);
        FUZZ_CHECK(values && actc_safetensors_read_f64(file, name, NULL, values) == ACTC_OK);
        volatile double last = 0;
        for (uint64_t k = 0; k < n; k++)
            last = values[k];
        (void)last;
        free(values);
    }
    FUZZ_CHECK(count >= actc_safetensors_count(file));
}

/* Every tensor is found by its name and lies inside the file. */
static void check(const actc_safetensors *file, size_t size)
{
    uint64_t total = 0;
    for (size_t i = 0; i < actc_safetensors_count(file); i++) {
        const char *name;
        actc_shape shape;
        const float *values;
        size_t index;
        FUZZ_CHECK(actc_safetensors_get(file, i, &name, &shape, &values) == ACTC_OK);
        FUZZ_CHECK(actc_safetensors_find(file, name, &index) == ACTC_OK && index == i);
        uint64_t n = elements_of(&shape);
        volatile float last = 0;
        for (uint64_t k = 0; k < n; k++)
            last = values[k];
        (void)last;
        total += 4 * n;
    }
    FUZZ_CHECK(total < size);
    const char *value = actc_safetensors_metadata(file, "format");
    FUZZ_CHECK(!value || strlen(value) < size);
}

/* Where the writer accepts the names, the reader gives the same tensors back. */
static void write_again(actc_safetensors *file)
{
    size_t count = actc_safetensors_count(file);
    actc_safetensors_entry *entries = calloc(count + 1, sizeof *entries);
    char path[192];
    snprintf(path, sizeof path, "%s/again", fuzz_folder());
    for (size_t i = 0; i < count; i++)
        actc_safetensors_get(file, i, &entries[i].name, &entries[i].shape, &entries[i].values);
    actc_status status = actc_safetensors_write(fuzz_context(), path, entries, count, NULL, 0);
    fuzz_answered(status);
    if (status == ACTC_OK) {
        actc_safetensors *again;
        FUZZ_CHECK(actc_safetensors_open(fuzz_context(), path, &again) == ACTC_OK);
        FUZZ_CHECK(actc_safetensors_count(again) == count);
        for (size_t i = 0; i < count; i++) {
            size_t index;
            actc_shape shape;
            const float *values;
            FUZZ_CHECK(actc_safetensors_find(again, entries[i].name, &index) == ACTC_OK);
            FUZZ_CHECK(actc_safetensors_get(again, index, NULL, &shape, &values) == ACTC_OK);
            FUZZ_CHECK(shape.ndim == entries[i].shape.ndim && elements_of(&shape) == elements_of(&entries[i].shape));
            size_t bytes = (size_t)elements_of(&shape) * sizeof *values;
            FUZZ_CHECK(!bytes || memcmp(values, entries[i].values, bytes) == 0);
        }
        actc_safetensors_destroy(&again);
    }
    free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    actc_safetensors *file;
    actc_status status = actc_safetensors_open(fuzz_context(), fuzz_file(data, size), &file);
    fuzz_answered(status);
    FUZZ_CHECK((status == ACTC_OK) == (file != NULL));
    if (file) {
        check(file, size);
        check_names(file, size);
        write_again(file);
    }
    actc_safetensors_destroy(&file);
    return 0;
}
