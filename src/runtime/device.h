/* device.h: what the rest of src/runtime asks of a device beside backend.h. */
#ifndef ACTC_RUNTIME_DEVICE_H
#define ACTC_RUNTIME_DEVICE_H

#include <actc/context.h>

/* A failure where the device was opened to compile only, or is that of a parent process. */
actc_status actc_device_runs(const actc_device *device);
actc_status actc_device_is_ours(const actc_device *device); /* the latter alone */

#endif
