/* safetensors_write.c: tensors into one file.
 *
 * The bytes depend on the arguments only: metadata first, then the tensors, each in the order given; no dates, no
 * hash order. The header is padded with spaces so that the data begin at a multiple of 8.
 */
#include <cjson/cJSON.h>
#include <string.h>

#include "../util/util.h"
#include "file.h"
#include "safetensors.h"

static actc_status check_name(actc_context *context, const char *what, const char *name)
{
    if (!name)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: %s without a name", what);
    if (!actc_utf8_valid(name, strlen(name)))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: %s whose name is not UTF-8", what);
    return ACTC_OK;
}

static uint64_t element_bytes(const actc_safetensors_entry *entry)
{
    return entry->integers ? sizeof *entry->integers : sizeof *entry->values;
}

static actc_status check_entry(actc_context *context, const actc_safetensors_entry *entry, uint64_t *bytes)
{
    ACTC_RETURN_IF_ERROR(check_name(context, "a tensor", entry->name));
    if (strcmp(entry->name, ACTC_SAFETENSORS_METADATA) == 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: \"%s\" cannot be a tensor's name", entry->name);
    if (entry->shape.ndim < 0 || entry->shape.ndim > ACTC_MAX_DIMS)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: tensor \"%s\" of %d dimensions; 0 to %d are accepted",
                         entry->name, entry->shape.ndim, ACTC_MAX_DIMS);
    if (entry->values && entry->integers)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: tensor \"%s\" has both values and integers", entry->name);
    *bytes = element_bytes(entry);
    for (int i = 0; i < entry->shape.ndim; i++) {
        int64_t dim = entry->shape.dims[i];
        /* 2^53: JSON readers that hold numbers as doubles must get the same number */
        if (dim < 0 || !actc_mul_u64(*bytes, (uint64_t)dim, bytes) || *bytes > (uint64_t)1 << 53)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: dimension %d of tensor \"%s\" is %lld", i,
                             entry->name, (long long)dim);
    }
    if (*bytes > 0 && !entry->values && !entry->integers)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: tensor \"%s\" has no values", entry->name);
    return ACTC_OK;
}

static bool add_tensor(cJSON *header, const actc_safetensors_entry *entry, uint64_t begin, uint64_t end)
{
    cJSON *tensor = cJSON_AddObjectToObject(header, entry->name);
    if (!tensor || !cJSON_AddStringToObject(tensor, "dtype", entry->integers ? "I64" : "F32"))
        return false;
    cJSON *shape = cJSON_AddArrayToObject(tensor, "shape");
    if (!shape)
        return false;
    for (int i = 0; i < entry->shape.ndim; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)entry->shape.dims[i])))
            return false;
    cJSON *offsets = cJSON_AddArrayToObject(tensor, "data_offsets");
    return offsets && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
}

/* Fails on a name that is there already: names are compared byte by byte. The quadratic search is over a network's
 * tensors, of which there are hundreds. */
static actc_status check_unique(actc_context *context, const cJSON *object, const char *name)
{
    if (cJSON_GetObjectItemCaseSensitive(object, name))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: the name \"%s\" is given twice", name);
    return ACTC_OK;
}

static actc_status make_header(actc_context *context, cJSON *header, const actc_safetensors_entry *entries, size_t count,
                               const actc_safetensors_pair *metadata, size_t metadata_count, actc_file_part *parts)
{
    if (metadata_count) {
        cJSON *object = cJSON_AddObjectToObject(header, ACTC_SAFETENSORS_METADATA);
        if (!object)
            return actc_out_of_memory(context, 64, "a safetensors header");
        for (size_t i = 0; i < metadata_count; i++) {
            ACTC_RETURN_IF_ERROR(check_name(context, "metadata", metadata[i].key));
            ACTC_RETURN_IF_ERROR(check_name(context, "metadata of a value", metadata[i].value));
            ACTC_RETURN_IF_ERROR(check_unique(context, object, metadata[i].key));
            if (!cJSON_AddStringToObject(object, metadata[i].key, metadata[i].value))
                return actc_out_of_memory(context, 64, "a safetensors header");
        }
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes;
        ACTC_RETURN_IF_ERROR(check_entry(context, &entries[i], &bytes));
        ACTC_RETURN_IF_ERROR(check_unique(context, header, entries[i].name));
        if (!add_tensor(header, &entries[i], offset, offset + bytes))
            return actc_out_of_memory(context, 64, "a safetensors header");
        parts[i] = (actc_file_part){entries[i].integers ? (const void *)entries[i].integers : entries[i].values, bytes};
        offset += bytes;
    }
    return ACTC_OK;
}

static actc_status write_file(actc_context *context, const char *path, const char *json, actc_file_part *parts, size_t count)
{
    static const char spaces[8] = "        ";
    uint64_t length = strlen(json), padding = (8 - length % 8) % 8, total = length + padding;
    if (total > ACTC_SAFETENSORS_MAX_HEADER)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: header of %llu bytes, at most %llu are accepted",
                         (unsigned long long)total, (unsigned long long)ACTC_SAFETENSORS_MAX_HEADER);
    parts[0] = (actc_file_part){&total, sizeof total};
    parts[1] = (actc_file_part){json, length};
    parts[2] = (actc_file_part){spaces, padding};
    return actc_file_write(context, path, parts, count + 3);
}

actc_status actc_safetensors_write(actc_context *context, const char *path, const actc_safetensors_entry *entries,
                                   size_t count, const actc_safetensors_pair *metadata, size_t metadata_count)
{
    ACTC_OWN_MODES;
    if (!context)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!path || (count && !entries) || (metadata_count && !metadata))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: path, entries and metadata must not be NULL");
    actc_file_part *parts = actc_calloc(count + 3, sizeof *parts);
    cJSON *header = cJSON_CreateObject();
    char *json = NULL;
    actc_status status = parts && header ? make_header(context, header, entries, count, metadata, metadata_count, parts + 3)
                                         : actc_out_of_memory(context, (count + 3) * sizeof *parts, "a safetensors header");
    if (status == ACTC_OK) {
        json = cJSON_PrintUnformatted(header);
        status = json ? write_file(context, path, json, parts, count)
                      : actc_out_of_memory(context, 64 * count, "a safetensors header");
    }
    cJSON_free(json);
    cJSON_Delete(header);
    actc_free(parts);
    return status;
}
