/* cache.c: the pipeline cache on disk.
 *
 * One file a device and build: $XDG_CACHE_HOME/actc or ~/.cache/actc, named by a hash of the driver, the device and the
 * SPIR-V. It is written to a temporary file and renamed. A missing, damaged or unwritable file costs compile time and is
 * a log line, never an error. ACTC_VK_NO_CACHE=1 leaves the disk alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vulkan.h"

#define CACHE_MAGIC 0x5643544143415631ull /* version of this file's form */
#define MAX_CACHE_BYTES (256u << 20)

typedef struct cache_header {
    uint64_t magic, key, bytes, checksum;
} cache_header;

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3ull; /* FNV-1a */
    return h;
}

#define HASH_START 0xcbf29ce484222325ull

static uint64_t cache_key(const actc_vk_device *d)
{
    const actc_vk_physical *p = &d->physical;
    uint64_t h = hash(HASH_START, p->cache_uuid, sizeof p->cache_uuid);
    h = hash(h, p->info.driver, strlen(p->info.driver));
    h = hash(h, p->info.name, strlen(p->info.name));
    h = hash(h, &p->vendor_id, sizeof p->vendor_id);
    h = hash(h, &p->device_id, sizeof p->device_id);
    h = hash(h, &p->driver_version, sizeof p->driver_version);
    for (size_t i = 0; i < actc_vk_shader_count; i++)
        h = hash(h, actc_vk_shaders[i].words, actc_vk_shaders[i].bytes);
    return h;
}

/* The folder, or false where the environment names none. */
static bool find_folder(char *folder, size_t size)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length;
    if (xdg && xdg[0] == '/')
        length = snprintf(folder, size, "%s/actc", xdg);
    else if (home && home[0] == '/')
        length = snprintf(folder, size, "%s/.cache/actc", home);
    else
        return false;
    return length > 0 && (size_t)length < size;
}

static bool cache_path(const actc_vk_device *d, char *path, size_t size)
{
    if (!d->cache_folder[0])
        return false;
    int length = snprintf(path, size, "%s/vulkan-%016llx.bin", d->cache_folder, (unsigned long long)cache_key(d));
    return length > 0 && (size_t)length < size;
}

/* The file's data, or NULL; the caller frees it. */
static void *read_cache(actc_vk_device *d, const char *path, uint64_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL; /* the first time */
    cache_header header;
    void *data = NULL;
    bool good = fread(&header, sizeof header, 1, file) == 1 && header.magic == CACHE_MAGIC && header.key == cache_key(d) &&
                header.bytes <= MAX_CACHE_BYTES;
    if (good) {
        data = actc_malloc((size_t)header.bytes);
        good = data && fread(data, 1, (size_t)header.bytes, file) == header.bytes && fgetc(file) == EOF &&
               hash(HASH_START, data, (size_t)header.bytes) == header.checksum;
    }
    fclose(file);
    if (!good) {
        actc_log_message(d->base.context, ACTC_LOG_INFO, "pipeline cache %s is damaged and not used", path);
        actc_free(data);
        return NULL;
    }
    *bytes = header.bytes;
    return data;
}

actc_status actc_vk_cache_open(actc_vk_device *d)
{
    actc_status status;
    char path[1100];
    uint64_t bytes = 0;
    void *data = NULL;
    if (!actc_vk_knob("ACTC_VK_NO_CACHE") && !find_folder(d->cache_folder, sizeof d->cache_folder)) {
        d->cache_folder[0] = '\0';
        actc_log_message(d->base.context, ACTC_LOG_INFO, "no pipeline cache: neither XDG_CACHE_HOME nor HOME is a folder");
    }
    if (cache_path(d, path, sizeof path))
        data = read_cache(d, path, &bytes);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = (size_t)bytes,
        .pInitialData = data,
    };
    VkResult result = d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &d->cache);
    if (result != VK_SUCCESS && data) { /* the driver does not like what it once wrote */
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &d->cache);
    }
    actc_free(data);
    if (result != VK_SUCCESS)
        d->cache = VK_NULL_HANDLE;
    status = actc_vk_check(d, result, "vkCreatePipelineCache");
    return status;
}

/* Makes the folder and the one above it. */
static bool make_folders(char *folder)
{
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    bool made = mkdir(folder, 0700) == 0 || errno == EEXIST;
    *slash = '/';
    return made && (mkdir(folder, 0700) == 0 || errno == EEXIST);
}

static bool write_cache(const actc_vk_device *d, const char *path, const void *data, size_t bytes)
{
    char temporary[1200];
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int descriptor = mkstemp(temporary);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file) {
        if (descriptor >= 0) {
            close(descriptor);
            unlink(temporary);
        }
        return false;
    }
    cache_header header = {CACHE_MAGIC, cache_key(d), bytes, hash(HASH_START, data, bytes)};
    bool written = fwrite(&header, sizeof header, 1, file) == 1 && fwrite(data, 1, bytes, file) == bytes;
    written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        unlink(temporary);
        return false;
    }
    return true;
}

void actc_vk_cache_save(actc_vk_device *d)
{
    char path[1100];
    if (!d->cache || !d->cache_grown || !cache_path(d, path, sizeof path))
        return;
    d->cache_grown = false;
    size_t bytes = 0;
    if (d->vk.vkGetPipelineCacheData(d->handle, d->cache, &bytes, NULL) != VK_SUCCESS || bytes == 0 ||
        bytes > MAX_CACHE_BYTES)
        return;
    void *data = actc_malloc(bytes);
    VkResult result = data ? d->vk.vkGetPipelineCacheData(d->handle, d->cache, &bytes, data) : VK_ERROR_OUT_OF_HOST_MEMORY;
    if (result != VK_SUCCESS || !make_folders(d->cache_folder) || !write_cache(d, path, data, bytes))
        actc_log_message(d->base.context, ACTC_LOG_INFO, "pipeline cache %s was not written", path);
    actc_free(data);
}
