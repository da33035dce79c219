/* products.c: gemm and conv commands as kernel launches. */
#include "products.h"

#include <stdio.h>
#include <string.h>

static actc_product_launch *add_launch(actc_product *out, actc_kernel_id id, const void *params, const uint8_t *views)
{
    actc_product_launch *l = &out->launches[out->count++];
    const actc_kernel_info *kernel = &actc_kernel_infos[id];
    l->id = id;
    l->copies = 1;
    memcpy(l->params.bytes, params, kernel->params_bytes);
    memcpy(l->views, views, strlen(kernel->access));
    return l;
}

static uint64_t greatest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Elements from the first to the last of an operand. */
static uint64_t matrices(uint32_t batch, uint32_t stride, uint32_t rows, uint32_t ld, uint32_t columns)
{
    return (uint64_t)(batch - 1) * stride + (uint64_t)(rows - 1) * ld + columns;
}

static void lower_gemm(const actc_gemm *g, bool exact, actc_product *out)
{
    static const uint8_t views[] = {0, 1, 2, 3};
    actc_product_launch *l = add_launch(out, exact ? ACTC_KERNEL_gemm_exact : ACTC_KERNEL_gemm, g, views);
    l->rows = g->m;
    l->columns = g->n;
    l->copies = g->batch;
    l->products = (double)g->batch * g->m * g->n * g->k;
    uint64_t a = matrices(g->batch, g->stride_a, g->trans_a ? g->k : g->m, g->lda, g->trans_a ? g->m : g->k);
    uint64_t b = matrices(g->batch, g->stride_b, g->trans_b ? g->n : g->k, g->ldb, g->trans_b ? g->k : g->n);
    out->max_elements = greatest(matrices(g->batch, g->stride_c, g->m, g->ldc, g->n), greatest(a, b));
}

/* Runs of ACTC_FILTER_PIXELS pixels a chunk. */
static uint64_t runs_of(uint64_t runs, uint64_t weights)
{
    uint64_t most = ACTC_FILTER_PARTIAL_FLOATS / weights;
    most = most < 1 ? 1 : most < ACTC_FILTER_MAX_CHUNKS ? most : ACTC_FILTER_MAX_CHUNKS;
    return (runs + most - 1) / most;
}

/* The gradient of a filter: partial sums of chunks and their sum, or the gradient at once where there is one chunk. */
static void lower_filter(const actc_conv *c, struct actc_params_conv *params, actc_kernel_id id, uint64_t rows, uint64_t pixels,
                         actc_product *out)
{
    static const uint8_t partial[] = {0, 1, ACTC_WORKSPACE_VIEW}, whole[] = {0, 1, 3}, sum[] = {ACTC_WORKSPACE_VIEW, 3, ACTC_PRODUCT_ABSENT};
    uint64_t weights = rows * c->oc, runs = (pixels + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS;
    params->runs = (uint32_t)runs_of(runs, weights);
    uint64_t chunks = (runs + params->runs - 1) / params->runs;
    bool direct = chunks == 1 && !c->add;
    actc_product_launch *l = add_launch(out, id, params, direct ? whole : partial);
    l->rows = rows;
    l->columns = c->oc;
    l->copies = chunks;
    l->products = (double)pixels * (double)weights;
    if (direct)
        return;
    out->workspace_bytes = actc_align(chunks * weights * sizeof(float), ACTC_VIEW_ALIGNMENT);
    out->max_elements = greatest(out->max_elements, chunks * weights);
    struct actc_params_reduce_final final = {.outer = 1, .chunks = (uint32_t)chunks, .width = 1, .cols = (uint32_t)weights, .add = c->add,
                                             .scale = 1.0f};
    l = add_launch(out, ACTC_KERNEL_reduce_final, &final, sum);
    l->groups = (weights + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE;
}

static void lower_conv(const actc_conv *c, bool exact, actc_product *out)
{
    static const actc_kernel_id kernels[3][3] = {
        {ACTC_KERNEL_conv_fwd, ACTC_KERNEL_conv_bwd_data, ACTC_KERNEL_conv_bwd_filter},
        {ACTC_KERNEL_conv_fwd_exact, ACTC_KERNEL_conv_bwd_data_exact, ACTC_KERNEL_conv_bwd_filter_exact},
        {ACTC_KERNEL_depthwise_fwd, ACTC_KERNEL_depthwise_bwd_data, ACTC_KERNEL_depthwise_bwd_filter}};
    static const uint8_t views[] = {0, 1, 2, 3};
    struct actc_params_conv params = {
        .batch = c->batch, .ic = c->ic, .id = c->id, .ih = c->ih, .iw = c->iw, .oc = c->oc, .od = c->od, .oh = c->oh,
        .ow = c->ow, .kd = c->kd, .kh = c->kh, .kw = c->kw, .sd = c->sd, .sh = c->sh, .sw = c->sw, .pd = c->pd, .ph = c->ph,
        .pw = c->pw, .dd = c->dd, .dh = c->dh, .dw = c->dw, .bias = c->bias, .runs = 1};
    uint64_t inputs = (uint64_t)c->batch * c->id * c->ih * c->iw, outputs = (uint64_t)c->batch * c->od * c->oh * c->ow;
    uint64_t length = (uint64_t)c->kd * c->kh * c->kw * (c->ic / c->groups); /* products of an output */
    actc_kernel_id id = kernels[c->groups > 1 ? 2 : exact][c->pass];
    out->max_elements = greatest(inputs * c->ic, greatest(outputs * c->oc, length * c->oc));
    if (c->pass == ACTC_CONV_BACKWARD_FILTER) {
        lower_filter(c, &params, id, length, outputs, out);
    } else {
        bool forward = c->pass == ACTC_CONV_FORWARD;
        actc_product_launch *l = add_launch(out, id, &params, views);
        l->rows = forward ? outputs : inputs;
        l->columns = forward ? c->oc : c->ic;
        l->products = (double)outputs * c->oc * (double)length;
    }
    if (c->groups > 1) {
        actc_product_launch *l = &out->launches[0];
        l->groups = (l->rows * l->columns * l->copies + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE;
    }
}

void actc_product_lower(const actc_command *command, bool exact, actc_product *out)
{
    *out = (actc_product){.count = 0};
    if (command->type == ACTC_COMMAND_GEMM)
        lower_gemm(&command->u.gemm, exact, out);
    else
        lower_conv(&command->u.conv, exact, out);
}

bool actc_product_fits(const actc_command *command, const actc_product *product, char *why, size_t why_size)
{
    const actc_gemm *g = &command->u.gemm;
    const actc_conv *c = &command->u.conv;
    char what[160];
    if (product->max_elements <= INT32_MAX)
        return true;
    if (command->type == ACTC_COMMAND_GEMM)
        snprintf(what, sizeof what, "matrix product %ux%ux%u%s", g->m, g->n, g->k, g->batch > 1 ? " of a batch" : "");
    else
        snprintf(what, sizeof what, "convolution of %u,%u,%u,%u,%u to %u channels", c->batch, c->ic, c->id, c->ih, c->iw, c->oc);
    snprintf(why, why_size, "%s has an operand of %llu elements, at most %d can be", what,
             (unsigned long long)product->max_elements, INT32_MAX);
    return false;
}
