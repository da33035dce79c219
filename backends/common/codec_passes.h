/* codec_passes.h: pack and unpack as lists of launches, for backends that run kernels only.
 *
 * The list is a function of the command and of max_view_bytes alone. Its views are ranges of the command's views, at
 * offsets of 256 bytes and none longer than max_view_bytes, but for those of fills and copies, which are any
 * multiples of 4. Commands depend on those before them wherever their views share bytes.
 */
#ifndef ACTC_CODEC_PASSES_H
#define ACTC_CODEC_PASSES_H

#include "../backend.h"

typedef struct actc_codec_passes {
    actc_command *commands; /* KERNEL, FILL and COPY; labels are the command's */
    uint32_t count;
} actc_codec_passes;

/* Bytes of the workspace view. *why is a static text where the status is not ACTC_OK: UNSUPPORTED where a single block
 * row, or sample of a wavelet transform, exceeds max_view_bytes, or a payload 4 GiB. */
actc_status actc_codec_passes_workspace(const actc_codec_work_desc *work, bool unpack, uint64_t max_view_bytes,
                                        uint64_t *bytes, const char **why);

/* command: a PACK or UNPACK whose views are resolved. The caller frees with actc_codec_passes_free. */
actc_status actc_codec_passes_expand(const actc_command *command, uint64_t max_view_bytes, actc_codec_passes *passes,
                                     const char **why);
void actc_codec_passes_free(actc_codec_passes *passes);

#endif
