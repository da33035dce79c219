/* command.c: one command of a program into the stream.
 *
 * The stream is being captured into a graph, so what emits must not wait for the device, nor obtain its memory, nor load.
 */
#include "cuda_internal.h"

#include <stdio.h>
#include <string.h>

#include "../../kernels_cuda/tile.h"
#include "../gpu/codec_passes.h"

/* Blocks in x of a folded grid (common.cuh: ACTC_GROUP). */
#define GRID_WIDTH 65535u

actc_status actc_cuda_launch(actc_cuda_device *device, actc_kernel_id id, const void *params, uint32_t groups,
                             const CUdeviceptr *views, const char *label)
{
    CUfunction function;
    actc_status status = actc_cuda_kernel(device, id, &function);
    if (status != ACTC_OK)
        return status;
    /* The driver copies the arguments: the struct, then a pointer a view. */
    CUdeviceptr pointers[ACTC_MAX_VIEWS];
    union {
        uint32_t words[ACTC_MAX_PARAMS_BYTES / 4];
        unsigned char bytes[ACTC_MAX_PARAMS_BYTES];
    } block = {.words = {0}};
    void *arguments[1 + ACTC_MAX_VIEWS];
    size_t n_views = strlen(actc_kernel_infos[id].access);
    memcpy(block.bytes, params, actc_kernel_infos[id].params_bytes);
    block.words[0] = groups;
    arguments[0] = &block;
    for (size_t i = 0; i < n_views; i++) {
        pointers[i] = views[i];
        arguments[1 + i] = &pointers[i];
    }
    uint32_t width = groups < GRID_WIDTH ? groups : GRID_WIDTH;
    uint32_t height = (groups - 1) / GRID_WIDTH + 1;
    CU(cuLaunchKernel(function, width, height, 1, ACTC_GROUP_SIZE, 1, 1, 0, device->stream, arguments, NULL), label);
error:
    return status;
}

/* ---- convolution ---- */

static uint64_t filter_chunks(const actc_conv *conv)
{
    return ((uint64_t)conv->batch * conv->oh * conv->ow - 1) / ACTC_FILTER_PIXELS + 1;
}

static uint64_t filter_elements(const actc_conv *conv)
{
    return (uint64_t)conv->oc * conv->kh * conv->kw * conv->ic;
}

/* Blocks of the pass: output rows m (pixels, or output channels) by columns n, times chunks. */
static uint64_t conv_groups(const actc_conv *conv)
{
    uint64_t m, chunks = 1;
    uint32_t n;
    switch (conv->pass) {
    case ACTC_CONV_FORWARD:
        m = (uint64_t)conv->batch * conv->oh * conv->ow;
        n = conv->oc;
        break;
    case ACTC_CONV_BACKWARD_DATA:
        m = (uint64_t)conv->batch * conv->ih * conv->iw;
        n = conv->ic;
        break;
    default: /* backward filter: the wide side is (ky,kx,i) */
        m = (uint64_t)conv->kh * conv->kw * conv->ic;
        n = conv->oc;
        chunks = filter_chunks(conv);
        break;
    }
    return ACTC_CUDA_TILES(m, ACTC_CUDA_TILE_M(n)) * ACTC_CUDA_TILES(n, ACTC_CUDA_TILE_N(n)) * chunks;
}

static actc_kernel_id conv_kernel(const actc_cuda_device *device, const actc_conv *conv)
{
    bool exact = device->base.deterministic;
    switch (conv->pass) {
    case ACTC_CONV_FORWARD: return exact ? ACTC_KERNEL_conv2d_fwd_exact : ACTC_KERNEL_conv2d_fwd;
    case ACTC_CONV_BACKWARD_DATA: return exact ? ACTC_KERNEL_conv2d_bwd_data_exact : ACTC_KERNEL_conv2d_bwd_data;
    default: return exact ? ACTC_KERNEL_conv2d_bwd_filter_exact : ACTC_KERNEL_conv2d_bwd_filter;
    }
}

static actc_status emit_conv(actc_cuda_device *device, const actc_conv *conv, const CUdeviceptr *views,
                             const char *label)
{
    /* the three passes have one parameter struct under three names */
    struct actc_params_conv2d_fwd params = {
        .batch = conv->batch, .ic = conv->ic, .ih = conv->ih, .iw = conv->iw, .oc = conv->oc, .oh = conv->oh,
        .ow = conv->ow, .kh = conv->kh, .kw = conv->kw, .sh = conv->sh, .sw = conv->sw, .ph = conv->ph, .pw = conv->pw,
        .dh = conv->dh, .dw = conv->dw, .bias = conv->bias};
    uint32_t groups = (uint32_t)conv_groups(conv);
    actc_kernel_id id = conv_kernel(device, conv);
    if (conv->pass == ACTC_CONV_FORWARD)
        return actc_cuda_launch(device, id, &params, groups, views, label);
    if (conv->pass == ACTC_CONV_BACKWARD_DATA) {
        const CUdeviceptr operands[3] = {views[0], views[1], views[3]};
        return actc_cuda_launch(device, id, &params, groups, operands, label);
    }
    const CUdeviceptr operands[3] = {views[0], views[1], views[ACTC_WORKSPACE_VIEW]};
    actc_status status = actc_cuda_launch(device, id, &params, groups, operands, label);
    if (status != ACTC_OK)
        return status;
    struct actc_params_reduce_final sum = {
        .outer = 1, .width = 1, .scale = 1.0f, .chunks = (uint32_t)filter_chunks(conv), .cols = (uint32_t)filter_elements(conv), .add = conv->add};
    const CUdeviceptr sums[3] = {views[ACTC_WORKSPACE_VIEW], views[3], 0};
    return actc_cuda_launch(device, ACTC_KERNEL_reduce_final, &sum, (sum.cols - 1) / ACTC_GROUP_SIZE + 1, sums,
                            label);
}

/* ---- gemm by actc's own kernel ---- */

static actc_kernel_id gemm_kernel(const actc_cuda_device *device)
{
    return device->base.deterministic ? ACTC_KERNEL_gemm_exact : ACTC_KERNEL_gemm;
}

static uint64_t gemm_groups(const actc_gemm *gemm)
{
    return (uint64_t)ACTC_CUDA_TILES(gemm->m, ACTC_CUDA_TILE_M(gemm->n)) *
           ACTC_CUDA_TILES(gemm->n, ACTC_CUDA_TILE_N(gemm->n));
}

/* ---- codecs: lists of kernels, fills and copies (backends/gpu) ---- */

/* Kernels count words and payload bytes in 32 bits. */
#define MAX_VIEW_BYTES ((uint64_t)UINT32_MAX - 255u)

static actc_status expand(const actc_cuda_device *device, const actc_command *command, actc_codec_passes *passes)
{
    const char *why = "";
    actc_status status = actc_codec_passes_expand(command, MAX_VIEW_BYTES, passes, &why);
    return status == ACTC_OK ? ACTC_OK
                             : actc_fail(device->base.context, status, "%s: %s: %s", device->base.info.spec,
                                         command->label ? command->label : "codec", why);
}

/* The command's device address of a pass's view, which is a range of one of the command's views. */
static CUdeviceptr pass_view(const actc_command *command, const CUdeviceptr *views, const actc_view *view)
{
    for (uint32_t i = 0; i < command->n_views && view->bytes; i++) {
        const actc_view *whole = &command->views[i];
        if (whole->bytes && whole->buffer == view->buffer && view->offset >= whole->offset &&
            view->offset + view->bytes <= whole->offset + actc_align(whole->bytes, ACTC_VIEW_ALIGNMENT))
            return views[i] + (view->offset - whole->offset);
    }
    return 0;
}

static actc_status emit_codec(actc_cuda_device *device, const actc_command *command, const CUdeviceptr *views)
{
    actc_codec_passes passes;
    actc_status status = expand(device, command, &passes);
    for (uint32_t i = 0; i < passes.count && status == ACTC_OK; i++) {
        const actc_command *pass = &passes.commands[i];
        CUdeviceptr addresses[ACTC_MAX_VIEWS] = {0};
        for (uint32_t j = 0; j < pass->n_views; j++)
            addresses[j] = pass_view(command, views, &pass->views[j]);
        status = actc_cuda_command_emit(device, pass, addresses);
    }
    actc_codec_passes_free(&passes);
    return status;
}

static actc_status load_codec(actc_cuda_device *device, const actc_command *command)
{
    actc_codec_passes passes;
    actc_status status = expand(device, command, &passes);
    for (uint32_t i = 0; i < passes.count && status == ACTC_OK; i++)
        status = actc_cuda_command_load(device, &passes.commands[i]);
    actc_codec_passes_free(&passes);
    return status;
}

/* ---- the interface ---- */

/* The largest index that kernels compute in 32 bits without a wrap, tiles past the end included. */
#define MAX_ELEMENTS ((uint64_t)INT32_MAX)

static bool has_kernel(actc_kernel_id id, char *why, size_t why_size)
{
    if (actc_cuda_find_image(actc_kernel_infos[id].name))
        return true;
    snprintf(why, why_size, "this build has no CUDA kernel %s", actc_kernel_infos[id].name);
    return false;
}

bool actc_cuda_supports(actc_device *base, const actc_command *command, char *why, size_t why_size)
{
    const actc_cuda_device *device = (const actc_cuda_device *)base;
    switch (command->type) {
    case ACTC_COMMAND_KERNEL:
        return has_kernel(command->u.kernel.id, why, why_size);
    case ACTC_COMMAND_GEMM: {
        const actc_gemm *gemm = &command->u.gemm;
        if ((uint64_t)gemm->m * gemm->n > MAX_ELEMENTS || (uint64_t)gemm->m * gemm->k > MAX_ELEMENTS ||
            (uint64_t)gemm->n * gemm->k > MAX_ELEMENTS) {
            snprintf(why, why_size, "matrix product %ux%ux%u has an operand of more than %llu elements", gemm->m, gemm->n,
                     gemm->k, (unsigned long long)MAX_ELEMENTS);
            return false;
        }
        return has_kernel(gemm_kernel(device), why, why_size);
    }
    case ACTC_COMMAND_CONV: {
        const actc_conv *conv = &command->u.conv;
        uint64_t x = (uint64_t)conv->batch * conv->ih * conv->iw * conv->ic;
        uint64_t y = (uint64_t)conv->batch * conv->oh * conv->ow * conv->oc;
        if (x > MAX_ELEMENTS || y > MAX_ELEMENTS || filter_elements(conv) > MAX_ELEMENTS ||
            conv_groups(conv) > MAX_ELEMENTS) {
            snprintf(why, why_size, "convolution has a tensor of more than %llu elements",
                     (unsigned long long)MAX_ELEMENTS);
            return false;
        }
        return has_kernel(conv_kernel(device, conv), why, why_size) &&
               has_kernel(ACTC_KERNEL_reduce_final, why, why_size);
    }
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK: {
        uint64_t bytes;
        const char *reason = "";
        if (actc_codec_passes_workspace(&command->u.codec, command->type == ACTC_COMMAND_UNPACK, MAX_VIEW_BYTES, &bytes,
                                        &reason) != ACTC_OK) {
            snprintf(why, why_size, "%s", reason);
            return false;
        }
        for (int id = 0; id < ACTC_KERNEL_COUNT; id++)
            if (actc_kernel_infos[id].family == ACTC_FAMILY_CODEC && !has_kernel((actc_kernel_id)id, why, why_size))
                return false;
        return true;
    }
    case ACTC_COMMAND_COPY:
    case ACTC_COMMAND_FILL:
    case ACTC_COMMAND_HOST:
        return true;
    }
    snprintf(why, why_size, "unknown command");
    return false;
}

actc_status actc_cuda_workspace_bytes(actc_device *base, const actc_command *command, uint64_t *bytes)
{
    const actc_cuda_device *device = (const actc_cuda_device *)base;
    *bytes = 0;
    if (command->type == ACTC_COMMAND_GEMM)
        *bytes = actc_cuda_gemm_workspace(device, &command->u.gemm);
    else if (command->type == ACTC_COMMAND_CONV && command->u.conv.pass == ACTC_CONV_BACKWARD_FILTER)
        *bytes = actc_align(filter_chunks(&command->u.conv) * filter_elements(&command->u.conv) * sizeof(float),
                            ACTC_VIEW_ALIGNMENT);
    if (command->type != ACTC_COMMAND_PACK && command->type != ACTC_COMMAND_UNPACK)
        return ACTC_OK;
    const char *why = "";
    actc_status status = actc_codec_passes_workspace(&command->u.codec, command->type == ACTC_COMMAND_UNPACK,
                                                     MAX_VIEW_BYTES, bytes, &why);
    *bytes = actc_align(*bytes, ACTC_VIEW_ALIGNMENT);
    return status == ACTC_OK ? ACTC_OK : actc_fail(base->context, status, "%s: %s", base->info.spec, why);
}

actc_status actc_cuda_command_load(actc_cuda_device *device, const actc_command *command)
{
    CUfunction function;
    actc_status status;
    switch (command->type) {
    case ACTC_COMMAND_KERNEL:
        return actc_cuda_kernel(device, command->u.kernel.id, &function);
    case ACTC_COMMAND_GEMM:
        return actc_cuda_kernel(device, gemm_kernel(device), &function);
    case ACTC_COMMAND_CONV:
        status = actc_cuda_kernel(device, conv_kernel(device, &command->u.conv), &function);
        return status != ACTC_OK ? status : actc_cuda_kernel(device, ACTC_KERNEL_reduce_final, &function);
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK:
        return load_codec(device, command);
    default:
        return ACTC_OK;
    }
}

actc_status actc_cuda_command_emit(actc_cuda_device *device, const actc_command *command, const CUdeviceptr *views)
{
    actc_status status = ACTC_OK;
    const char *label = command->label ? command->label : "command";
    switch (command->type) {
    case ACTC_COMMAND_KERNEL:
        return actc_cuda_launch(device, command->u.kernel.id, &command->u.kernel.params, command->u.kernel.groups, views,
                                label);
    case ACTC_COMMAND_GEMM:
        if (device->blas)
            return actc_cuda_gemm(device, &command->u.gemm, views, command->views[ACTC_WORKSPACE_VIEW].bytes, label);
        return actc_cuda_launch(device, gemm_kernel(device), &command->u.gemm, (uint32_t)gemm_groups(&command->u.gemm),
                                views, label);
    case ACTC_COMMAND_CONV:
        return emit_conv(device, &command->u.conv, views, label);
    case ACTC_COMMAND_COPY:
        CU(cuMemcpyDtoDAsync(views[1], views[0], command->views[0].bytes, device->stream), label);
        return ACTC_OK;
    case ACTC_COMMAND_FILL:
        CU(cuMemsetD32Async(views[0], command->u.fill.word, command->views[0].bytes / 4, device->stream), label);
        return ACTC_OK;
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK:
        return emit_codec(device, command, views);
    default: /* host functions are program.c's */
        return actc_fail(device->base.context, ACTC_ERROR_INTERNAL, "%s: %s: command type %d", device->base.info.spec, label,
                         (int)command->type);
    }
error:
    return status;
}
