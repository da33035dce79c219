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

/* Whether the bytes are UTF-8, without overlong forms and surrogates. */
bool actc_utf8_valid(const char *text, size_t bytes);

#endif
