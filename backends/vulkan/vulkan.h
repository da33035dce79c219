/* vulkan.h: inside of the Vulkan backend.
 *
 * Contexts share nothing: every device has its own VkInstance, VkDevice and tables of functions. One queue, one timeline
 * semaphore: submission v waits for v - 1, so that work is done in the order in which it was submitted and everything that
 * an earlier submission wrote is seen by a later one.
 */
#ifndef ACTC_VULKAN_H
#define ACTC_VULKAN_H

#include <stddef.h>

#define VK_NO_PROTOTYPES
#include "volk_names.h" /* volk's names with the library's prefix, made by the build */
#include <volk.h>

#include "../backend.h"
#include "shaders.h"

/* ---- instance.c ---- */

/* Functions of an instance that this backend calls; the last three are there where debug utils are enabled. */
#define ACTC_VK_INSTANCE_FUNCTIONS(X)         \
    X(vkDestroyInstance)                      \
    X(vkEnumeratePhysicalDevices)             \
    X(vkEnumerateDeviceExtensionProperties)   \
    X(vkGetPhysicalDeviceProperties)          \
    X(vkGetPhysicalDeviceProperties2)         \
    X(vkGetPhysicalDeviceFeatures2)           \
    X(vkGetPhysicalDeviceMemoryProperties)    \
    X(vkGetPhysicalDeviceQueueFamilyProperties) \
    X(vkCreateDevice)                         \
    X(vkGetDeviceProcAddr)                    \
    X(vkCreateDebugUtilsMessengerEXT)         \
    X(vkDestroyDebugUtilsMessengerEXT)        \
    X(vkSetDebugUtilsObjectNameEXT)

typedef struct actc_vk_instance {
    actc_context *context;
    VkInstance handle;
    bool validate;
    VkDebugUtilsMessengerEXT messenger;
    char fault[768]; /* first message of the validation layer not yet reported; "" for none */
#define ACTC_VK_MEMBER(name) PFN_##name name;
    ACTC_VK_INSTANCE_FUNCTIONS(ACTC_VK_MEMBER)
#undef ACTC_VK_MEMBER
} actc_vk_instance;

/* The instance must stay where it is: the messenger points to it. On failure nothing is left to destroy; where no
 * Vulkan loader or driver is to be had the status is NOT_FOUND, where those that there are do not work DEVICE. */
actc_status actc_vk_instance_create(actc_context *context, bool validate, actc_vk_instance *instance);
void actc_vk_instance_destroy(actc_vk_instance *instance);
/* The functions of a device. */
void actc_vk_load_device(const actc_vk_instance *instance, VkDevice device, struct VolkDeviceTable *table);

/* `what` as the message, with what the loader says of it and which manifests it was pointed at; returns status. */
actc_status actc_vk_loader_failed(actc_context *context, actc_status status, const char *what);

const char *actc_vk_result_string(VkResult result);
actc_status actc_vk_result_status(VkResult result);

/* ---- physical.c ---- */

#define ACTC_VK_MAX_PHYSICAL 64

/* What is known of a physical device before it is opened. */
typedef struct actc_vk_physical {
    VkPhysicalDevice handle;
    actc_device_info info;
    uint32_t queue_family;
    uint32_t timestamp_bits;    /* of its timestamps; 0: it has none */
    double timestamp_seconds;   /* of a tick */
    bool promises_exact;        /* float controls say so */
    bool executable_properties; /* VK_KHR_pipeline_executable_properties */
    bool portability_subset;
    VkPhysicalDeviceType type;
    VkDriverId driver;
    uint32_t vendor_id, device_id, driver_version;
    uint8_t cache_uuid[VK_UUID_SIZE];
    uint32_t fixed_subgroup;    /* size of its subgroups where it is always the same and they can broadcast, else 0 */
} actc_vk_physical;

/* Fills at most ACTC_VK_MAX_PHYSICAL entries, in the driver's order. OUT_OF_MEMORY: of this process only; what a driver
 * says is NOT_FOUND (there is no device) or DEVICE. */
actc_status actc_vk_physical_list(actc_vk_instance *instance, actc_vk_physical *list, uint32_t *count);

/* ---- device.c ---- */

/* A tile of gemm and the convolutions (shaders/include/tile.glsl), or of attention (attention.glsl): m x n outputs an invocation.
 * Kernels without tiles use number 0. */
typedef struct actc_vk_tile {
    uint32_t m, n;
} actc_vk_tile;
#define ACTC_VK_TILES 5

struct actc_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint64_t bytes, memory_bytes;
    void *mapped; /* NULL: device memory that the host does not see */
};

typedef struct actc_vk_device {
    actc_device base;
    actc_vk_instance instance;
    actc_vk_physical physical;
    VkPhysicalDeviceMemoryProperties memory;
    VkDevice handle;
    struct VolkDeviceTable vk;
    VkQueue queue;
    VkSemaphore timeline;
    uint64_t submitted; /* value that the last submission signals */
    VkCommandPool transfer_pool;
    VkCommandBuffer transfer_commands; /* of upload, download and zeroing */
    bool mapped;   /* arenas are mapped: no staging */
    bool serialize, no_barriers; /* knobs */
    uint32_t subgroup; /* tiles are a subgroup's, which has so many invocations; 0: they are a workgroup's */
    const char *label; /* what is being done, for messages; may be NULL */

    /* staging: the newest block is in use, older ones stay for executables that were recorded with them; all of it until
     * the last buffer goes */
    actc_buffer **staging;
    size_t n_staging, n_buffers;

    VkDescriptorSetLayout set_layout;
    VkPipelineLayout pipeline_layout;
    VkPipelineCache cache;
    bool cache_grown; /* pipelines were made since it was written */
    char cache_folder[1024]; /* where it lies on the disk; "": nowhere */
    VkPipeline pipelines[ACTC_KERNEL_COUNT][ACTC_VK_TILES];
} actc_vk_device;

/* For functions with `d` (the device), `status` and a label `fail`: calls, and on an error or a message of the
 * validation layer keeps the message and jumps. */
#define VK(call)                                            \
    do {                                                    \
        status = actc_vk_check(d, (call), #call);           \
        if (status != ACTC_OK)                              \
            goto fail;                                      \
    } while (0)

/* The same for a call that makes `handle`, which is none where it failed. */
#define VK_CREATE(handle, call)                             \
    do {                                                    \
        VkResult result_ = (call);                          \
        if (result_ != VK_SUCCESS)                          \
            (handle) = VK_NULL_HANDLE;                      \
        status = actc_vk_check(d, result_, #call);          \
        if (status != ACTC_OK)                              \
            goto fail;                                      \
    } while (0)

actc_status actc_vk_check(actc_vk_device *d, VkResult result, const char *call);
/* Takes a message of the validation layer as a failure; for calls that return nothing. */
actc_status actc_vk_check_fault(actc_vk_device *d);
/* A name for tools and messages; only where validation is on. */
void actc_vk_name(actc_vk_device *d, VkObjectType type, uint64_t handle, const char *name);

/* Submits after all that was submitted before; waits for a submission. */
actc_status actc_vk_submit(actc_vk_device *d, VkCommandBuffer commands);
actc_status actc_vk_wait(actc_vk_device *d, uint64_t value);

/* Environment knobs, listed in README.md. */
bool actc_vk_knob(const char *name);
uint64_t actc_vk_knob_number(const char *name, uint64_t otherwise);

/* ---- memory.c ---- */

actc_status actc_vk_buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out);
void actc_vk_buffer_destroy(actc_device *device, actc_buffer *buffer);
uint64_t actc_vk_buffer_bytes(actc_device *device, uint64_t bytes);
uint64_t actc_vk_overhead_bytes(actc_device *device, uint64_t transfer);
actc_status actc_vk_reserve(actc_device *device, uint64_t transfer);
actc_status actc_vk_upload(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
actc_status actc_vk_download(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes);
/* Staging memory of at least `bytes`: the newest block, made larger where it is not. */
actc_status actc_vk_staging(actc_vk_device *d, uint64_t bytes, actc_buffer **out);
void actc_vk_staging_free(actc_vk_device *d);
/* Whether arenas can be mapped on this device. */
bool actc_vk_can_map(const actc_vk_device *d);

/* ---- pipeline.c, cache.c, selftest.c ---- */

const actc_vk_shader *actc_vk_find_shader(const char *name);
/* Makes the layouts that all kernels share. */
actc_status actc_vk_layouts_create(actc_vk_device *d);
/* The pipeline of a shader, with the execution modes that the device has put in where `exact`. tile: NULL for none. flags:
 * of creation. */
actc_status actc_vk_pipeline_create(actc_vk_device *d, const actc_vk_shader *shader, bool exact, const actc_vk_tile *tile,
                                    VkPipelineCreateFlags flags, VkPipeline *out);
/* The pipeline of a kernel, made at the first call; it belongs to the device. tile: a number for actc_vk_tile_of. */
actc_status actc_vk_kernel_pipeline(actc_vk_device *d, actc_kernel_id id, uint32_t tile, VkPipeline *out);
/* The pipeline of a kernel, with flags of creation; the caller's. */
actc_status actc_vk_kernel_create(actc_vk_device *d, actc_kernel_id id, uint32_t tile, VkPipelineCreateFlags flags,
                                  VkPipeline *out);

/* statistics.c */
actc_status actc_vk_compile_all(actc_device *device, actc_kernel_report_fn report, void *user);

/* Reads the cache from disk where there is a good one, and makes an empty one where not. */
actc_status actc_vk_cache_open(actc_vk_device *d);
/* Writes it where it has grown; failures are log lines. */
void actc_vk_cache_save(actc_vk_device *d);

/* Runs the self-test; *passed false with the reason in the device's exact_evidence. */
actc_status actc_vk_selftest(actc_vk_device *d, bool *passed);

/* ---- expand.c ---- */

/* A command that is one Vulkan command: KERNEL, COPY, FILL or HOST. */
typedef struct actc_vk_work {
    actc_command command;
    const actc_command *source; /* the program's command that it came from */
    uint32_t tile; /* number for actc_vk_tile_of */
} actc_vk_work;

typedef struct actc_vk_work_list {
    actc_vk_work *items;
    size_t count, capacity;
} actc_vk_work_list;

/* Tiles that a kernel has, 0 where it has none, and at most ACTC_VK_TILES; one of them, or NULL where there are none. */
uint32_t actc_vk_kernel_tiles(actc_kernel_id id);
const actc_vk_tile *actc_vk_tile_of(const actc_vk_device *d, actc_kernel_id id, uint32_t number);
/* Invocations along a side of a tile. */
uint32_t actc_vk_tile_side(const actc_vk_device *d, actc_kernel_id id);
/* "gemm_subgroup": of the shader that the device runs; at most 64 characters. */
const char *actc_vk_shader_name(const actc_vk_device *d, actc_kernel_id id, char name[64]);
/* Appends what a command of a program comes to. */
actc_status actc_vk_expand(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list);
bool actc_vk_supports(actc_device *device, const actc_command *command, char *why, size_t why_size);
actc_status actc_vk_workspace_bytes(actc_device *device, const actc_command *command, uint64_t *bytes);

/* ---- hazards.c ---- */

typedef struct actc_vk_access {
    VkBuffer buffer;
    uint64_t begin, end;
    bool write;
    bool transfer; /* by a copy or fill, else by a kernel */
} actc_vk_access;

/* What has been recorded since the last barrier. */
typedef struct actc_vk_hazards {
    actc_vk_access *pending;
    size_t count, capacity;
} actc_vk_hazards;

/* Records a barrier if one of the accesses must wait for a pending one, then makes them pending. False: no memory. */
bool actc_vk_hazards_next(actc_vk_device *d, actc_vk_hazards *hazards, VkCommandBuffer commands,
                          const actc_vk_access *accesses, size_t count);
/* A barrier against everything before, the host included. */
void actc_vk_barrier_all(actc_vk_device *d, VkCommandBuffer commands, bool host);

/* ---- program.c ---- */

actc_status actc_vk_prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                            uint32_t n_buffers, actc_executable **out);
void actc_vk_executable_destroy(actc_device *device, actc_executable *executable);
actc_status actc_vk_run(actc_device *device, actc_executable *executable);
actc_status actc_vk_times(actc_device *device, actc_executable *executable, double *seconds);
uint32_t actc_vk_segments(const actc_executable *executable);

#endif
