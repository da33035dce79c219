/* safetensors.h: what reader and writer of the format share.
 *
 * A file is: the length N of the header as 8 little-endian bytes; N bytes of JSON, {"name": {"dtype", "shape",
 * "data_offsets": [begin, end]}, ..., "__metadata__": {"key": "string"}}, padded with spaces; the data, to which
 * the offsets count. Tensors cover the data without a hole or an overlap.
 */
#ifndef ACTC_SAFETENSORS_H
#define ACTC_SAFETENSORS_H

#include <actc/data.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values are read and written as they lie in memory, which must be little-endian as the format is"
#endif

#define ACTC_SAFETENSORS_METADATA "__metadata__"
/* As the format's own implementation: keeps a damaged length from asking for the whole memory. */
#define ACTC_SAFETENSORS_MAX_HEADER ((uint64_t)100000000)

/* The key under which a file's checksum is kept: 8 lower-case hexadecimal digits. */
#define ACTC_SAFETENSORS_CHECKSUM "checksum"

/* Of the tensors and the metadata but the checksum itself (checksum.c): of what is to be written, and of a file. */
uint32_t actc_safetensors_checksum_of(const actc_safetensors_entry *entries, size_t count, const actc_safetensors_pair *metadata,
                                      size_t metadata_count);
uint32_t actc_safetensors_checksum(const actc_safetensors *file);

/* The "format" of a checkpoint's metadata. */
#define ACTC_FORMAT_CHECKPOINT "actc-checkpoint"

/* CORRUPT where the file says a checksum that it has not; one without passes (another program's, or of an old version). */
actc_status actc_safetensors_check_sum(actc_context *context, const actc_safetensors *file, const char *path);

/* Metadata number `index`, in the file's order; false past the last. */
bool actc_safetensors_metadata_at(const actc_safetensors *file, size_t index, actc_safetensors_pair *pair);

/* Whether the bytes are UTF-8, without overlong forms and surrogates. */
bool actc_utf8_valid(const char *text, size_t bytes);

#endif
