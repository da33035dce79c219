/* codec_kernel_cases.c: the kernels of the codecs, launch by launch.
 *
 * The lists that backends/common makes of pack and unpack commands are gone through once on the reference backend; before every
 * launch of the kernel that a case is about, what its views hold is kept, and the launch is then run on each device from
 * that.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../backends/common/codec_passes.h"
#include "../../src/codec/codec_plan.h"
#include "codec_tables.h"
#include "kernel_case.h"

typedef struct codec_kernel_spec {
    actc_kernel_id kernel;
    const char *spec;
    shape_case shape;
    content fill;
    uint64_t max_view; /* what a device binds at once: a small one cuts tensors and payloads into windows */
} codec_kernel_spec;

/* One launch, and what its views hold before it. */
typedef struct launch {
    actc_command command;
    void *data[ACTC_MAX_VIEWS];
} launch;

typedef struct launch_list {
    launch *launches;
    size_t count;
} launch_list;

static void free_launches(void *shared)
{
    launch_list *list = shared;
    for (size_t i = 0; i < list->count; i++)
        kernel_data_free(list->launches[i].data);
    free(list->launches);
    free(list);
}

/* Pack's and unpack's buffers in host memory: x, payload, step block, constants, workspace. */
enum { X, PAYLOAD, STEP, CONSTANTS, WORKSPACE, BUFFERS };
typedef struct images {
    actc_codec_plan *plan;
    void *data[BUFFERS];
    uint64_t bytes[BUFFERS];
} images;

static bool keep(launch_list *list, const actc_command *command, void *const *data)
{
    launch *grown = realloc(list->launches, (list->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    list->launches = grown;
    launch *l = &list->launches[list->count++];
    *l = (launch){.command = *command};
    for (uint32_t i = 0; i < command->n_views; i++) {
        size_t bytes = (size_t)command->views[i].bytes;
        if (bytes && !(l->data[i] = malloc(bytes)))
            return false;
        if (bytes)
            memcpy(l->data[i], data[i], bytes);
    }
    return true;
}

/* Runs one launch on the reference. Views may share bytes where they begin before their own range: only words that have
 * changed are written back. */
static bool run_launch(parity_run *run, const actc_command *command, images *m, actc_kernel_id kernel, launch_list *list)
{
    void *data[ACTC_MAX_VIEWS] = {0};
    char message[1200];
    bool good = true;
    for (uint32_t i = 0; i < command->n_views && good; i++) {
        const actc_view *v = &command->views[i];
        if (!v->bytes)
            continue;
        data[i] = malloc((size_t)v->bytes);
        good = data[i] != NULL;
        if (good)
            memcpy(data[i], (char *)m->data[v->buffer] + v->offset, (size_t)v->bytes);
    }
    if (good && command->u.kernel.id == kernel)
        good = keep(list, command, data);
    if (!good)
        parity_fail(run, "out of memory");
    good = good && (kernel_run(run->reference, command, data, message, sizeof message) ||
                    parity_fail(run, "on the reference: %s", message));
    for (uint32_t i = 0; i < command->n_views && good; i++) {
        const actc_view *v = &command->views[i];
        uint32_t *image = v->bytes ? (uint32_t *)((char *)m->data[v->buffer] + v->offset) : NULL;
        uint32_t *words = data[i];
        if (command->access[i] == 'r')
            continue;
        /* kernel_run has copied the old content to the view: what differs is what the launch wrote */
        for (uint64_t w = 0; image && w < v->bytes / 4; w++)
            if (words[w] != image[w])
                image[w] = words[w];
    }
    kernel_data_free(data);
    return good;
}

/* All launches of a pack or unpack command. */
static bool run_list(parity_run *run, images *m, const codec_kernel_spec *spec, bool unpack, launch_list *list)
{
    actc_command command = {.type = unpack ? ACTC_COMMAND_UNPACK : ACTC_COMMAND_PACK, .label = spec->spec, .n_views = 5,
                            .access = {'r', 'w', 'r', 'r', 'x'}};
    const char *why = "";
    actc_codec_passes passes;
    command.u.codec = (actc_codec_work_desc){.plan = m->plan, .tensor = 0x12345, .count = m->plan->samples};
    if (actc_codec_passes_workspace(&command.u.codec, unpack, spec->max_view, &m->bytes[WORKSPACE], &why) != ACTC_OK)
        return parity_fail(run, "workspace: %s", why);
    free(m->data[WORKSPACE]);
    m->data[WORKSPACE] = calloc(1, (size_t)m->bytes[WORKSPACE] + 256);
    if (!m->data[WORKSPACE])
        return parity_fail(run, "out of memory");
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t b = unpack && i < 2 ? 1 - i : i;
        command.views[i] = m->bytes[b] ? (actc_view){b, 0, m->bytes[b]} : (actc_view){ACTC_NO_BUFFER, 0, 0};
    }
    if (actc_codec_passes_expand(&command, spec->max_view, &passes, &why) != ACTC_OK)
        return parity_fail(run, "list of launches: %s", why);
    bool good = true;
    for (uint32_t i = 0; i < passes.count && good; i++) {
        const actc_command *c = &passes.commands[i];
        if (c->type == ACTC_COMMAND_FILL) {
            uint32_t *words = (uint32_t *)((char *)m->data[c->views[0].buffer] + c->views[0].offset);
            for (uint64_t w = 0; w < c->views[0].bytes / 4; w++)
                words[w] = c->u.fill.word;
        } else if (c->type == ACTC_COMMAND_COPY) {
            memcpy((char *)m->data[c->views[1].buffer] + c->views[1].offset,
                   (char *)m->data[c->views[0].buffer] + c->views[0].offset, (size_t)c->views[0].bytes);
        } else {
            good = run_launch(run, c, m, spec->kernel, list);
        }
    }
    actc_codec_passes_free(&passes);
    return good;
}

static bool make_images(parity_run *run, const codec_kernel_spec *spec, images *m)
{
    actc_codec_spec parsed;
    actc_shape shape = {.ndim = spec->shape.ndim};
    memcpy(shape.dims, spec->shape.d, sizeof shape.dims);
    if (actc_codec_spec_parse(run->context, spec->spec, &parsed) != ACTC_OK ||
        actc_codec_plan_create(run->context, &parsed, &shape, &m->plan) != ACTC_OK)
        return parity_fail(run, "%s", actc_error_message(run->context));
    uint64_t bytes[BUFFERS] = {4 * m->plan->n, m->plan->payload_bytes, ACTC_STEP_BLOCK_BYTES, m->plan->constants_bytes, 0};
    for (int i = 0; i < BUFFERS; i++) {
        m->bytes[i] = bytes[i];
        m->data[i] = calloc(1, (size_t)bytes[i] + 512);
        if (!m->data[i])
            return parity_fail(run, "out of memory");
    }
    codec_content_fill(spec->fill, m->data[X], m->plan->n, run->seed);
    if (m->bytes[CONSTANTS])
        memcpy(m->data[CONSTANTS], m->plan->constants, (size_t)m->bytes[CONSTANTS]);
    for (uint32_t i = 0; i < 4; i++)
        ((uint32_t *)m->data[STEP])[i] = (uint32_t)(run->seed >> 4 * i);
    return true;
}

static launch_list *make_launches(parity_run *run, const codec_kernel_spec *spec)
{
    images m = {0};
    launch_list *list = calloc(1, sizeof *list);
    bool good = list ? make_images(run, spec, &m) : parity_fail(run, "out of memory");
    good = good && run_list(run, &m, spec, false, list) && run_list(run, &m, spec, true, list);
    if (good && list->count == 0)
        good = parity_fail(run, "no launch of %s here", actc_kernel_infos[spec->kernel].name);
    for (int i = 0; i < BUFFERS; i++)
        free(m.data[i]);
    actc_codec_plan_destroy(&m.plan);
    if (!good && list) {
        free_launches(list);
        list = NULL;
    }
    return list;
}

static bool run_codec_kernel(const parity_case *c, parity_run *run)
{
    char message[1200];
    if (!run->shared) {
        run->shared = make_launches(run, c->data);
        run->free_shared = free_launches;
    }
    launch_list *list = run->shared;
    bool good = list != NULL;
    for (size_t n = 0; good && n < list->count; n++) {
        const actc_command *command = &list->launches[n].command;
        void *data[ACTC_MAX_VIEWS] = {0};
        for (uint32_t i = 0; i < command->n_views && good; i++) {
            size_t bytes = (size_t)command->views[i].bytes;
            good = !bytes || (data[i] = malloc(bytes)) || parity_fail(run, "out of memory");
            if (good && bytes)
                memcpy(data[i], list->launches[n].data[i], bytes);
        }
        good = good && (kernel_run(run->device, command, data, message, sizeof message) ||
                        parity_fail(run, "launch %zu: %s", n, message));
        for (uint32_t i = 0; i < command->n_views && good; i++) {
            char label[40];
            snprintf(label, sizeof label, "launch %zu view %u", n, i);
            if (data[i] && command->access[i] != 'r')
                parity_exact(run, label, data[i], (size_t)command->views[i].bytes);
        }
        kernel_data_free(data);
    }
    return good;
}

static bool bench_codec_kernel(const parity_case *c, parity_run *run, parity_speed *speed)
{
    char message[1200];
    launch_list *list = make_launches(run, c->data);
    bool good = list != NULL;
    for (size_t n = 0; good && n < list->count; n++) {
        const actc_command *command = &list->launches[n].command;
        double seconds = 0;
        good = kernel_run_time(run->device, command, list->launches[n].data, &seconds, message, sizeof message) ||
               parity_fail(run, "launch %zu: %s", n, message);
        speed->seconds += seconds;
        for (uint32_t i = 0; i < command->n_views; i++)
            speed->bytes += (double)command->views[i].bytes * (command->access[i] == 'x' ? 2 : 1);
    }
    if (list)
        free_launches(list);
    return good;
}

/* ---- the cases ---- */

#define K(name) ACTC_KERNEL_codec_##name
#define NO_KERNEL ACTC_KERNEL_COUNT
#define SELECTION K(hist), K(select), K(count), K(scan), K(write), K(scatter)

static const struct {
    const char *spec;
    shape_case shape;
    content fill;
    uint64_t max_view;
    bool full;
    actc_kernel_id kernels[10]; /* up to NO_KERNEL */
} lists[] = {
    /* two segments and one coefficient; the three forms of the index: mask, bytes, half words */
    {"threshold:lambda=2", {1, {65537}}, TIES, 1 << 20, false, {SELECTION, NO_KERNEL}},
    {"threshold:lambda=10", {1, {65537}}, NORMAL, 1 << 20, false, {SELECTION, NO_KERNEL}},
    {"threshold:lambda=1000", {1, {131075}}, ADVERSARIAL, 1 << 20, false, {SELECTION, NO_KERNEL}},
    /* fewer than k that are not zero: all of them are kept; all tie: the first k are */
    {"threshold:lambda=10", {3, {5, 32, 31}}, SPARSE, 1 << 20, false, {SELECTION, NO_KERNEL}},
    {"threshold:lambda=10", {2, {23, 29}}, EQUAL, 1 << 20, false, {SELECTION, NO_KERNEL}},
    /* windows: chunks of coefficients, parts of the payload */
    {"threshold:lambda=3", {1, {40961}}, NORMAL, 16384, false, {SELECTION, NO_KERNEL}},
    {"threshold:lambda=40,values=f16", {1, {40961}}, ADVERSARIAL, 16384, false,
     {K(hist), K(count), K(write), K(values), K(scatter), NO_KERNEL}},
    /* several regions */
    {"wavelet:wave=haar,select=band", {4, {2, 17, 26, 26}}, NORMAL, 1 << 20, false, {SELECTION, K(dwt), K(idwt), NO_KERNEL}},
    /* tile by tile */
    {"threshold:select=tile", {1, {4099}}, RELU, 1 << 20, false, {K(tile), K(scatter), NO_KERNEL}},
    {"threshold:select=tile,lambda=1.5", {2, {23, 29}}, TIES, 1 << 20, false, {K(tile), K(scatter), NO_KERNEL}},
    {"threshold:select=tile,lambda=300", {4, {2, 32, 32, 32}}, ADVERSARIAL, 1 << 20, false,
     {K(tile), K(scatter), NO_KERNEL}},
    {"threshold:values=bf16,select=tile", {1, {65537}}, NORMAL, 16384, false, {K(tile), K(values), K(scatter), NO_KERNEL}},
    /* samples of tiles */
    {"threshold:select=random", {1, {4099}}, RELU, 1 << 20, false, {K(sample), K(scatter), NO_KERNEL}},
    {"threshold:select=random,lambda=1.5", {2, {23, 29}}, TIES, 1 << 20, false, {K(sample), NO_KERNEL}},
    {"threshold:select=random,lambda=100", {4, {2, 32, 32, 32}}, ADVERSARIAL, 1 << 20, false, {K(sample), NO_KERNEL}},
    {"threshold:select=random,lambda=20", {1, {4099}}, SUBNORMAL, 1 << 20, false, {K(sample), NO_KERNEL}},
    {"threshold:values=bf16,select=random", {1, {65537}}, NORMAL, 16384, false, {K(sample), K(values), NO_KERNEL}},
    /* encoded values: half-way cases, NaN, subnormals of the short types; scales of 256 values */
    {"threshold:values=f16", {1, {4099}}, ADVERSARIAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=bf16", {1, {4099}}, ADVERSARIAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int8", {1, {4099}}, ADVERSARIAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int8,lambda=1.1", {1, {257}}, SUBNORMAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int4,lambda=3", {1, {4099}}, NORMAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int4,lambda=1.1", {1, {257}}, SUBNORMAL, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int4,lambda=2", {1, {40961}}, ADVERSARIAL, 16384, false, {K(values), K(scatter), NO_KERNEL}},
    {"threshold:values=int4,select=tile,lambda=4", {2, {128, 130}}, RELU, 1 << 20, false, {K(values), K(scatter), NO_KERNEL}},
    /* transforms: whole blocks, odd rests, one row, one element, blocks of rows cut into windows */
    {"dct", {4, {2, 17, 26, 26}}, NORMAL, 1 << 20, false, {K(dct), K(idct), NO_KERNEL}},
    {"dct:block=8", {4, {1, 3, 33, 47}}, ADVERSARIAL, 1 << 20, false, {K(dct), K(idct), NO_KERNEL}},
    {"dct", {3, {5, 32, 31}}, RELU, 1 << 20, false, {K(dct), K(idct), NO_KERNEL}},
    {"dct", {1, {17}}, ADVERSARIAL, 1 << 20, false, {K(dct), K(idct), NO_KERNEL}},
    {"dct", {4, {3, 5, 40, 31}}, SUBNORMAL, 16384, false, {K(dct), K(idct), NO_KERNEL}},
    {"dct:block=row", {2, {23, 29}}, NORMAL, 1 << 20, false, {K(dct_row), NO_KERNEL}},
    {"dct:block=row", {4, {2, 3, 4, 4}}, ADVERSARIAL, 1 << 20, false, {K(dct_row), NO_KERNEL}},
    {"dct:block=row,norm=none", {2, {7, 300}}, RELU, 4096, false, {K(dct_row), NO_KERNEL}},
    {"wavelet", {4, {2, 17, 26, 26}}, NORMAL, 1 << 20, false, {K(dwt), K(idwt), NO_KERNEL}},
    {"wavelet:mode=symmetric", {4, {4, 16, 13, 11}}, ADVERSARIAL, 1 << 20, false, {K(dwt), K(idwt), NO_KERNEL}},
    {"wavelet:wave=dmey,levels=2", {4, {1, 2, 130, 127}}, NORMAL, 1 << 20, false, {K(dwt), K(idwt), NO_KERNEL}},
    {"wavelet:wave=haar,levels=6", {2, {257, 255}}, SUBNORMAL, 1 << 20, false, {K(dwt), K(idwt), NO_KERNEL}},
    {"wavelet:wave=bior2.2", {3, {4, 33, 47}}, RELU, 65536, false, {K(dwt), K(idwt), NO_KERNEL}},
    {"random", {1, {1025}}, ZERO, 1 << 20, false, {K(random), NO_KERNEL}},
    {"random", {1, {40961}}, ZERO, 16384, false, {K(random), NO_KERNEL}},
    /* groups: one element, a part of one, whole ones and a rest, chunks of 3072; NaN, Inf, steps at both ends of the range */
    {"quant:bits=2", {1, {1}}, NORMAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant", {2, {7, 31}}, ADVERSARIAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=1", {1, {4099}}, NORMAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=2", {1, {40961}}, ADVERSARIAL, 16384, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=4", {4, {2, 17, 26, 26}}, RELU, 16384, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant", {4, {2, 17, 26, 26}}, NORMAL, 16384, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=4", {3, {5, 32, 31}}, TIES, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=2", {2, {128, 130}}, NORMAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=4,mode=symmetric", {1, {4099}}, SUBNORMAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=8,mode=symmetric", {1, {40961}}, NORMAL, 16384, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=2,mode=symmetric", {4, {3, 5, 40, 31}}, ADVERSARIAL, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"quant:bits=1,mode=symmetric", {1, {4099}}, SPARSE, 1 << 20, false, {K(quant), K(dequant), NO_KERNEL}},
    {"threshold:lambda=4", {4, {4, 64, 65, 67}}, NORMAL, 1 << 20, true, {SELECTION, NO_KERNEL}},
    {"dct", {4, {4, 64, 65, 67}}, NORMAL, 1 << 20, true, {K(dct), K(idct), NO_KERNEL}},
    {"wavelet", {4, {4, 64, 65, 67}}, NORMAL, 1 << 21, true, {K(dwt), K(idwt), NO_KERNEL}},
};

void parity_codec_kernel_cases(parity_list *list)
{
    for (size_t t = 0; t < sizeof lists / sizeof *lists; t++)
        for (size_t k = 0; lists[t].kernels[k] != NO_KERNEL; k++) {
            codec_kernel_spec spec = {lists[t].kernels[k], lists[t].spec, lists[t].shape, lists[t].fill, lists[t].max_view};
            char shape[80];
            parity_case *c = parity_add(list, PARITY_KERNEL, ACTC_PARITY_EXACT, run_codec_kernel, &spec, sizeof spec,
                                        "%s(codec=%s,shape=%s,fill=%s,view=%llu)", actc_kernel_infos[spec.kernel].name,
                                        spec.spec, codec_shape_text(&spec.shape, shape, sizeof shape),
                                        codec_content_name(spec.fill), (unsigned long long)spec.max_view);
            c->kernel = (int)spec.kernel;
            c->bench = bench_codec_kernel;
            c->full = lists[t].full;
        }
}
