/* fuse.c: operators that follow a batch norm in place become part of its command: bn_apply adds a residual and clips as well, with the
 * bits of the kernels one after the other (kernel_params.h), and saves them a pass over memory each. */
#include <string.h>

#include "lower.h"

enum { RESIDUAL = 4, OUTPUT = 5, MASK = 6 }; /* of bn_apply's views */

/* The command before, where it is a bn_apply that wrote this view and has not clipped it yet. */
static actc_command *norm_before(actc_lower *lower, actc_view y)
{
    actc_program *program = &lower->build->programs[lower->program];
    if (lower->status != ACTC_OK || !program->n_commands)
        return NULL;
    actc_command *command = &program->commands[program->n_commands - 1];
    if (command->type != ACTC_COMMAND_KERNEL || command->u.kernel.id != ACTC_KERNEL_bn_apply)
        return NULL;
    struct actc_params_bn_apply params;
    memcpy(&params, command->u.kernel.params.bytes, sizeof params);
    return actc_same_place(command->views[OUTPUT], y) && !params.relu ? command : NULL;
}

/* Puts a view there; the backend answered for the command without it, and for the kernel that it takes the place of. */
static void set(actc_command *command, uint32_t index, actc_view view)
{
    view.bytes = actc_align(view.bytes, 4);
    command->views[index] = view;
}

bool actc_emit_fused_add(actc_lower *lower, actc_view other, actc_view y)
{
    actc_command *command = norm_before(lower, y);
    if (!command)
        return false;
    struct actc_params_bn_apply params;
    memcpy(&params, command->u.kernel.params.bytes, sizeof params);
    if (params.residual || other.buffer == y.buffer)
        return false;
    params.residual = 1;
    memcpy(command->u.kernel.params.bytes, &params, sizeof params);
    set(command, RESIDUAL, other);
    return true;
}

bool actc_emit_fused_relu(actc_lower *lower, actc_view y, actc_view mask, float cap)
{
    actc_command *command = norm_before(lower, y);
    if (!command)
        return false;
    struct actc_params_bn_apply params;
    memcpy(&params, command->u.kernel.params.bytes, sizeof params);
    params.relu = 1;
    params.mask = mask.bytes != 0;
    params.cap = cap;
    memcpy(command->u.kernel.params.bytes, &params, sizeof params);
    set(command, MASK, mask);
    return true;
}
