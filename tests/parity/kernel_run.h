/* kernel_run.h: one command on one device, through backend.h alone.
 *
 * Buffers have guard zones around every view; what a kernel writes is prefilled with NaN bits, so that what it leaves out
 * shows.
 */
#ifndef ACTC_KERNEL_RUN_H
#define ACTC_KERNEL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../backends/backend.h"

/* Words that nobody may change, and those that a kernel must overwrite. */
#define KERNEL_RUN_GUARD 0xa5c3f00du
#define KERNEL_RUN_UNWRITTEN 0x7fa5a5a5u

/* Opens the first usable device of a backend whose name or driver contains `match` (NULL: any). False with a message. */
bool kernel_run_open(actc_context *context, const actc_backend *backend, const char *match,
                     const actc_device_options *options, actc_device **out, char *message, size_t size);

/* Runs a command whose views have their bytes and access, and no buffer yet (bytes 0: the view is not there). data[i]
 * holds what view i has before ('r' and 'x') and gets what it has afterwards ('w' and 'x'). The workspace of a gemm, conv,
 * pack or unpack is added here. False with a message where a call fails, where something outside the views or in one that
 * is only read has changed, or where a word of a 'w' view was not written (unless the data has that word by chance: it is a
 * NaN that no kernel writes). */
bool kernel_run(actc_device *device, const actc_command *command, void *const *data, char *message, size_t size);

/* Seconds of one run of a command, the best of several measurements of many runs in one program. */
bool kernel_run_time(actc_device *device, const actc_command *command, void *const *data, double *seconds, char *message,
                     size_t size);

/* A KERNEL command of a kernel, its access letters set; views' bytes are the caller's. */
actc_command kernel_run_command(actc_kernel_id id, uint32_t groups, const void *params);

#endif
