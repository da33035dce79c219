/* fuzz_unpack.c: unpacking arbitrary bytes, and packing arbitrary tensors, with every codec, option and index form of the
 * CPU backend: never out of bounds, and the same bytes from every instruction set and thread count.
 *
 * Input: option bytes for the spec and the shape, a mode, then bytes: the payload as it is (0), changes of a valid payload
 * as (position, value) (1), or the tensor that is packed (2). */
#include "fuzz.h"

#include "../../backends/cpu/cpu.h"
#include "codec/codec_plan.h"
#include "util/util.h"

static const uint32_t step_block[ACTC_STEP_BLOCK_BYTES / 4] = {11, 22, 33, 44};

static const char *pick(fuzz_reader *r, const char *const *names, size_t count)
{
    return names[fuzz_byte(r) % count];
}
#define NAMES(...) ((const char *const[]){__VA_ARGS__})
#define PICK(r, ...) pick((r), NAMES(__VA_ARGS__), sizeof NAMES(__VA_ARGS__) / sizeof(char *))

static void read_spec(fuzz_reader *r, char *text, size_t size)
{
    const char *kind = PICK(r, "threshold", "dct", "wavelet", "quant", "dct", "wavelet", "none", "random");
    const char *kept =
        PICK(r, "", "lambda=1", "lambda=1.1", "lambda=2", "lambda=7.5", "lambda=100", "lambda=1000", "ratio=1", "ratio=0.4");
    const char *select = PICK(r, "global", "tile", "band"), *values = PICK(r, "f32", "f16", "bf16", "int8", "int4");
    if (!strcmp(kind, "none") || !strcmp(kind, "random")) {
        snprintf(text, size, "%s", kind);
        return;
    }
    if (kind[0] == 'q') {
        snprintf(text, size, "quant:%s", PICK(r, "bits=8", "bits=4", "bits=2", "bits=1", "bits=8,mode=symmetric",
                                              "bits=4,mode=symmetric", "bits=2,mode=symmetric", "bits=1,mode=symmetric"));
        return;
    }
    const char *own = "";
    if (kind[0] == 'd')
        own = PICK(r, "", ",block=8", ",block=row", ",block=row,norm=none");
    if (kind[0] == 'w')
        own = PICK(r, "", ",wave=haar", ",wave=bior2.2,levels=1", ",mode=symmetric", ",wave=haar,levels=6,mode=symmetric",
                   ",wave=dmey,levels=1", ",wave=db38,mode=symmetric");
    if (kind[0] != 'w' && select[0] == 'b')
        select = "global";
    snprintf(text, size, "%s:%s%sselect=%s,values=%s%s", kind, kept, *kept ? "," : "", select, values, own);
}

/* Transforms whose work grows with the filter or the row get less to do. */
static void read_shape(fuzz_reader *r, actc_shape *shape, const char *spec)
{
    const int64_t most = strstr(spec, "row") ? 800 : spec[0] == 'w' ? 16000 : 70000;
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 26, 31, 33, 64, 257};
    *shape = (actc_shape){.ndim = (int)(fuzz_byte(r) % 6)};
    for (int i = 0; i < shape->ndim; i++)
        shape->dims[i] = sizes[fuzz_byte(r) % 16];
    /* several segments, for the u16 form */
    if (shape->ndim == 1 && shape->dims[0] == 257)
        shape->dims[0] = most;
    for (int i = 0; i < shape->ndim && actc_shape_elements(shape) > most; i++)
        shape->dims[i] = 1;
}

/* A buffer as backends make them: its end aligned, and nothing behind that. */
static void *buffer_of(uint64_t bytes)
{
    size_t padded = (size_t)actc_align(bytes ? bytes : 1, ACTC_VIEW_ALIGNMENT);
    void *buffer = aligned_alloc(ACTC_VIEW_ALIGNMENT, padded);
    FUZZ_CHECK(buffer != NULL);
    memset(buffer, 0x5a, padded);
    return buffer;
}

typedef actc_cpu_codec_way way;

static void pack(const actc_codec_plan *plan, way w, const void *x, void *payload)
{
    actc_codec_work_desc work = {.plan = plan, .tensor = 77, .count = plan->samples};
    void *workspace = buffer_of(actc_cpu_codec_workspace(&work, false, &w));
    FUZZ_CHECK(actc_cpu_pack(&work, &w, x, payload, step_block, workspace) == ACTC_OK);
    free(workspace);
}

static void unpack(const actc_codec_plan *plan, way w, uint32_t first, uint32_t count, const void *payload, void *x)
{
    actc_codec_work_desc work = {.plan = plan, .tensor = 77, .first = first, .count = count};
    void *workspace = buffer_of(actc_cpu_codec_workspace(&work, true, &w));
    FUZZ_CHECK(actc_cpu_unpack(&work, &w, payload, x, step_block, workspace) == ACTC_OK);
    free(workspace);
}

/* Fills `bytes` with the input, over and over. */
static void spread(const fuzz_reader *r, unsigned char *target, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        target[i] = r->left ? r->data[i % r->left] : 0;
}

static void *make_payload(const actc_codec_plan *plan, fuzz_reader *r, uint32_t mode, way other)
{
    unsigned char *payload = buffer_of(plan->payload_bytes);
    if (mode == 0) {
        spread(r, payload, plan->payload_bytes);
        return payload;
    }
    void *x = buffer_of(4 * plan->n);
    if (mode == 2) {
        spread(r, x, 4 * plan->n);
    } else {
        for (uint64_t i = 0; i < plan->n; i++)
            ((float *)x)[i] = (float)((i * 2654435761u >> 8) % 4096) / 512.0f - 4.0f;
    }
    pack(plan, (way){ACTC_CPU_BASELINE, 1}, x, payload);
    void *same = buffer_of(plan->payload_bytes);
    pack(plan, other, x, same);
    FUZZ_CHECK(!plan->payload_bytes || memcmp(payload, same, (size_t)plan->payload_bytes) == 0);
    free(same);
    free(x);
    while (mode == 1 && r->left >= 4 && plan->payload_bytes) {
        uint64_t at = fuzz_byte(r) | fuzz_byte(r) << 8 | fuzz_byte(r) << 16;
        payload[at % plan->payload_bytes] = (unsigned char)fuzz_byte(r);
    }
    return payload;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_reader r = {data, size};
    char text[200];
    actc_shape shape;
    actc_codec_spec spec;
    actc_codec_plan *plan;
    read_spec(&r, text, sizeof text);
    read_shape(&r, &shape, text);
    uint32_t mode = fuzz_byte(&r) % 3, cut = fuzz_byte(&r);
    FUZZ_CHECK(actc_codec_spec_parse(fuzz_context(), text, &spec) == ACTC_OK);
    actc_status status = actc_codec_plan_create(fuzz_context(), &spec, &shape, &plan);
    fuzz_answered(status);
    if (status != ACTC_OK)
        return 0;
    way other = {actc_cpu_isa_detect(), (cut & 0xe0) == 0xe0 ? 3 : 1};
    void *payload = make_payload(plan, &r, mode, other);
    uint32_t first = plan->sliceable ? cut % plan->samples : 0;
    uint32_t count = plan->sliceable ? 1 + (cut >> 4 & 7) % (plan->samples - first) : plan->samples;
    uint64_t bytes = 4 * (plan->n / plan->samples * count);
    void *x = buffer_of(bytes), *same = buffer_of(bytes);
    unpack(plan, (way){ACTC_CPU_BASELINE, 1}, first, count, payload, x);
    unpack(plan, other, first, count, payload, same);
    FUZZ_CHECK(memcmp(x, same, (size_t)bytes) == 0);
    free(x);
    free(same);
    free(payload);
    actc_codec_plan_destroy(&plan);
    return 0;
}
