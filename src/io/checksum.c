/* checksum.c: of what a safetensors file says: its metadata and its tensors.
 *
 * The sum, modulo 2^32, of the CRC-32 of every item with its name, but for the metadata "checksum", which holds it. It is
 * over what a reader gets, not over the file's bytes: a program that reads the tensors and writes them anew in another
 * order, with the same metadata, leaves it right. One damaged item changes one CRC-32, and with it the sum. Integer tensors,
 * which readers pass over, are left out.
 */
#include <string.h>
#include <zlib.h>

#include "safetensors.h"

static uint32_t of_pair(const actc_safetensors_pair *pair)
{
    if (strcmp(pair->key, ACTC_SAFETENSORS_CHECKSUM) == 0)
        return 0;
    uLong crc = crc32_z(0, (const Bytef *)"m", 1);
    crc = crc32_z(crc, (const Bytef *)pair->key, strlen(pair->key) + 1);
    return (uint32_t)crc32_z(crc, (const Bytef *)pair->value, strlen(pair->value) + 1);
}

static uint32_t of_tensor(const actc_safetensors_entry *entry)
{
    uLong crc = crc32_z(0, (const Bytef *)"t", 1);
    crc = crc32_z(crc, (const Bytef *)entry->name, strlen(entry->name) + 1);
    crc = crc32_z(crc, (const Bytef *)entry->shape.dims, (size_t)entry->shape.ndim * sizeof entry->shape.dims[0]);
    return (uint32_t)crc32_z(crc, (const Bytef *)entry->values, (size_t)actc_shape_elements(&entry->shape) * sizeof(float));
}

uint32_t actc_safetensors_checksum_of(const actc_safetensors_entry *entries, size_t count, const actc_safetensors_pair *metadata,
                                      size_t metadata_count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < metadata_count; i++)
        sum += of_pair(&metadata[i]);
    for (size_t i = 0; i < count; i++)
        sum += entries[i].integers ? 0 : of_tensor(&entries[i]);
    return sum;
}

uint32_t actc_safetensors_checksum(const actc_safetensors *file)
{
    uint32_t sum = 0;
    actc_safetensors_pair pair;
    for (size_t i = 0; actc_safetensors_metadata_at(file, i, &pair); i++)
        sum += of_pair(&pair);
    for (size_t i = 0; i < actc_safetensors_count(file); i++) {
        actc_safetensors_entry entry;
        if (actc_safetensors_get(file, i, &entry.name, &entry.shape, &entry.values) == ACTC_OK)
            sum += of_tensor(&entry);
    }
    return sum;
}
