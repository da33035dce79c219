/* command.c: one command of a program into the stream.
 *
 * The stream is being captured into a graph, so what emits must not wait for the device, nor obtain its memory, nor load.
 */
#include "cuda_internal.h"

#include <stdio.h>
#include <string.h>

#include "../../kernels_cuda/tile.h"
#include "../common/codec_passes.h"
#include "../common/products.h"

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

/* ---- gemm and convolution by actc's own kernels ---- */

static uint64_t product_groups(const actc_product_launch *l)
{
    if (l->groups)
        return l->groups;
    uint64_t columns = l->columns;
    return ACTC_CUDA_TILES(l->rows, ACTC_CUDA_TILE_M(columns)) * ACTC_CUDA_TILES(columns, ACTC_CUDA_TILE_N(columns)) * l->copies;
}

static actc_status emit_product(actc_cuda_device *device, const actc_command *command, const CUdeviceptr *views,
                                const char *label)
{
    actc_product product;
    actc_product_lower(command, device->base.deterministic, &product);
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < product.count && status == ACTC_OK; i++) {
        const actc_product_launch *l = &product.launches[i];
        CUdeviceptr operands[ACTC_MAX_VIEWS] = {0};
        for (size_t v = 0; v < strlen(actc_kernel_infos[l->id].access); v++)
            operands[v] = views[l->views[v]];
        status = actc_cuda_launch(device, l->id, l->params.bytes, (uint32_t)product_groups(l), operands, label);
    }
    return status;
}

static actc_status load_product(actc_cuda_device *device, const actc_command *command)
{
    actc_product product;
    CUfunction function;
    actc_product_lower(command, device->base.deterministic, &product);
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < product.count && status == ACTC_OK; i++)
        status = actc_cuda_kernel(device, product.launches[i].id, &function);
    return status;
}

/* ---- codecs: lists of kernels, fills and copies (backends/common) ---- */

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
    case ACTC_COMMAND_GEMM:
    case ACTC_COMMAND_CONV: {
        actc_product product;
        actc_product_lower(command, device->base.deterministic, &product);
        if (!actc_product_fits(command, &product, why, why_size))
            return false;
        for (uint32_t i = 0; i < product.count; i++)
            if (!has_kernel(product.launches[i].id, why, why_size))
                return false;
        return true;
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
    if (command->type == ACTC_COMMAND_GEMM && device->blas) {
        *bytes = actc_cuda_gemm_workspace(device, &command->u.gemm);
    } else if (command->type == ACTC_COMMAND_GEMM || command->type == ACTC_COMMAND_CONV) {
        actc_product product;
        actc_product_lower(command, base->deterministic, &product);
        *bytes = product.workspace_bytes;
    }
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
    switch (command->type) {
    case ACTC_COMMAND_KERNEL:
        return actc_cuda_kernel(device, command->u.kernel.id, &function);
    case ACTC_COMMAND_GEMM:
    case ACTC_COMMAND_CONV:
        return load_product(device, command);
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
        return emit_product(device, command, views, label);
    case ACTC_COMMAND_CONV:
        return emit_product(device, command, views, label);
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
