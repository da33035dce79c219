/* plan_internal.h: the parts of a codec plan's making. */
#ifndef ACTC_PLAN_INTERNAL_H
#define ACTC_PLAN_INTERNAL_H

#include "../util/util.h"
#include "codec_internal.h"
#include "wavelets.h"

/* Fills plan->constants (constants.c). */
actc_status actc_codec_constants(actc_context *context, actc_codec_plan *plan);

#endif
