/* kernel_case.c: cases of one command. */
#include "kernel_case.h"

#include "reference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- building ---- */

void kernel_begin(kernel_builder *b, actc_kernel_id id, uint64_t groups, const void *params)
{
    b->spec = (kernel_spec){.command = kernel_run_command(id, (uint32_t)groups, params)};
}

void kernel_view(kernel_builder *b, uint32_t index, size_t words, int fill)
{
    b->spec.command.views[index].bytes = 4 * (uint64_t)words;
    b->spec.fill[index] = (uint8_t)fill;
}

parity_case *kernel_end(kernel_builder *b, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    actc_kernel_id id = b->spec.command.u.kernel.id;
    const actc_kernel_info *info = &actc_kernel_infos[id];
    parity_case *c = parity_add(b->list, PARITY_KERNEL, info->parity, kernel_case_run, &b->spec, sizeof b->spec, "%s%s",
                                b->name ? b->name : info->name, text);
    b->name = NULL;
    c->kernel = (int)id;
    c->bench = kernel_case_bench;
    c->full = b->full;
    return c;
}

/* ---- data ---- */

static void fill_step(const kernel_spec *spec, uint32_t *step)
{
    float lr = spec->learning_rate;
    step[ACTC_STEP_ROWS] = spec->rows;
    for (int i = 0; i < (int)ACTC_STEP_VALUES; i++)
        step[ACTC_STEP_NORM + i] = float_bits(spec->rows ? 1.0f / (float)(spec->rows + (uint32_t)i) : 0.0f);
    step[ACTC_STEP_GRAD_SCALE] = float_bits(0.5f);
    step[ACTC_STEP_STEP_SIZE] = float_bits(lr / (1.0f - 0.9f));
    step[ACTC_STEP_ROOT] = float_bits(1.0f / sqrtf(1.0f - 0.999f));
    step[ACTC_STEP_SHRINK] = float_bits(1.0f - lr * 0.01f);
    step[ACTC_STEP_FIRST] = spec->first;
}

static void fill_view(const kernel_spec *spec, uint32_t index, uint64_t seed, uint32_t *words)
{
    uint64_t n = (spec->command.views[index].bytes + 3) / 4;
    test_rng rng = {seed + index * 0xd1342543de82ef95u};
    int fill = spec->fill[index];
    bool positive = fill & KERNEL_FILL_POSITIVE;
    fill &= ~KERNEL_FILL_POSITIVE;
    for (uint64_t i = 0; i < n; i++)
        words[i] = fill_value(&rng, fill >= KERNEL_FILL_STEP ? FILL_BITS : (fill_kind)fill) & (positive ? 0x7fffffffu : ~0u);
    if (fill == KERNEL_FILL_STEP)
        fill_step(spec, words);
    if (fill == KERNEL_FILL_RESULT)
        words[ACTC_RESULT_BAD] = spec->bad;
    for (uint64_t i = 0; i < n && fill == KERNEL_FILL_LABELS; i++)
        words[i] = words[i] % 8 == 0    ? UINT32_MAX
                   : words[i] % 16 == 1 ? spec->classes + words[i] % 7
                                        : words[i] % spec->classes;
    for (uint64_t i = 0; i < 4 * n && fill == KERNEL_FILL_PLACES; i++)
        ((uint8_t *)words)[i] = (uint8_t)(((uint8_t *)words)[i] % spec->places);
}

bool kernel_data_make(const kernel_spec *spec, uint64_t seed, void **data)
{
    bool good = true;
    for (uint32_t i = 0; i < ACTC_MAX_VIEWS; i++) {
        uint64_t bytes = i < spec->command.n_views ? spec->command.views[i].bytes : 0;
        data[i] = bytes ? calloc(1, (size_t)(bytes + 3)) : NULL;
        good &= !bytes || data[i];
        if (data[i] && spec->command.access[i] != 'w')
            fill_view(spec, i, seed, data[i]);
    }
    if (!good)
        kernel_data_free(data);
    return good;
}

void kernel_data_free(void **data)
{
    for (uint32_t i = 0; i < ACTC_MAX_VIEWS; i++) {
        free(data[i]);
        data[i] = NULL;
    }
}

/* ---- running ---- */

#define REFERENCE_WORDS (1u << 22) /* of all views, at most: float64 takes five times as much */

/* Whether the kernel's result on the reference backend is compared with float64. Not where values are special: a sum of the
 * largest numbers overflows in float32 on its way. */
static bool has_reference(const kernel_spec *spec, const parity_run *run)
{
    const actc_command *command = &spec->command;
    uint64_t words = 0;
    for (uint32_t i = 0; i < command->n_views; i++) {
        words += command->views[i].bytes / 4;
        if (command->views[i].bytes && command->access[i] != 'w' && (spec->fill[i] & ~KERNEL_FILL_POSITIVE) == FILL_SPECIAL)
            return false;
    }
    return run->device == run->reference && command->type == ACTC_COMMAND_KERNEL && words <= REFERENCE_WORDS &&
           reference_of(command->u.kernel.id);
}

bool kernel_case_run(const parity_case *c, parity_run *run)
{
    const kernel_spec *spec = c->data;
    reference_view views[ACTC_MAX_VIEWS] = {{0}};
    void *data[ACTC_MAX_VIEWS];
    char message[1200], why[256] = "";
    const actc_backend *backend = run->device->backend;
    if (backend->supports && !backend->supports(run->device, &spec->command, why, sizeof why))
        return parity_skip(run, "not supported: %s", why);
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    const bool reference = has_reference(spec, run);
    if (reference && !reference_views_make(&spec->command, data, views)) {
        kernel_data_free(data);
        return parity_fail(run, "out of memory");
    }
    bool good = kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message);
    if (reference && good) {
        reference_of(spec->command.u.kernel.id)(spec->command.u.kernel.params.bytes, views);
        good = reference_agrees(&spec->command, views, data, message, sizeof message) || parity_fail(run, "%s", message);
    }
    reference_views_free(views);
    for (uint32_t i = 0; good && i < spec->command.n_views; i++) {
        char label[24];
        snprintf(label, sizeof label, "view %u", i);
        if (data[i] && spec->command.access[i] != 'r')
            parity_exact(run, label, data[i], (size_t)spec->command.views[i].bytes);
    }
    kernel_data_free(data);
    return good;
}

static double operations(const actc_command *command)
{
    const actc_conv *v = &command->u.conv;
    if (command->type == ACTC_COMMAND_GEMM)
        return 2.0 * command->u.gemm.batch * command->u.gemm.m * command->u.gemm.n * command->u.gemm.k;
    if (command->type == ACTC_COMMAND_CONV)
        return 2.0 * v->batch * v->od * v->oh * v->ow * v->oc * v->kd * v->kh * v->kw * v->ic / v->groups;
    return 0;
}

bool kernel_case_bench(const parity_case *c, parity_run *run, parity_speed *speed)
{
    const kernel_spec *spec = c->data;
    void *data[ACTC_MAX_VIEWS];
    char message[1200];
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    bool good = kernel_run_time(run->device, &spec->command, data, &speed->seconds, message, sizeof message) ||
                parity_fail(run, "%s", message);
    kernel_data_free(data);
    for (uint32_t i = 0; i < spec->command.n_views; i++)
        speed->bytes += (double)spec->command.views[i].bytes * (spec->command.access[i] == 'x' ? 2 : 1);
    speed->flops = operations(&spec->command);
    return good;
}
