/* selftest.c: whether a device computes EXACT arithmetic where its driver does not promise it.
 *
 * The expressions of shaders/include/vk_selftest.h are evaluated by a shader and here, on values at which a wrong
 * rounding, a contracted or reordered sum, a lost signed zero or an assumed-away NaN shows.
 */
#include <stdio.h>

#include "../../src/exact/exact.h"
#include "vulkan.h"

#include "../../shaders/include/vk_selftest.h"

#define CASES 4096u

/* The shader's parameters. */
struct selftest_params {
    uint32_t groups, n;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state;
}

/* No subnormals and nothing below 2^-60: kernels read such as +0 before they compute. */
static uint32_t case_value(uint32_t index, uint32_t *state)
{
    static const uint32_t special[] = {
        0x00000000u, 0x80000000u, 0x3f800000u, 0xbf800000u, /* +-0, +-1 */
        0x3f800001u, 0x3f7fffffu, 0x33800000u, 0xb3800000u, /* neighbours of 1, +-2^-24: half an ulp of 1 */
        0x33800001u, 0x4b800000u, 0x4b800001u, 0x40490fdbu, /* 2^24 and its neighbour, pi */
        0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f7fffffu, /* +-Inf, NaN, the largest number */
        0x21800000u, 0xa1800000u, 0x26800000u, 0x3eaaaaabu, /* +-2^-60, 2^-50, 1/3 */
    };
    const uint32_t n = sizeof special / sizeof *special;
    if (index < 3 * n * n) { /* a and b in all pairs, c in turn */
        uint32_t pair = index / 3;
        return special[index % 3 == 0 ? pair % n : index % 3 == 1 ? pair / n : (pair * 7 + 3) % n];
    }
    uint32_t bits = next_random(state);
    uint32_t exponent = 127u - 16u + (next_random(state) >> 16) % 32u;
    return (bits & 0x807fffffu) | exponent << 23;
}

static void expected_results(const uint32_t *values, uint32_t *results)
{
    uint32_t a_bits = values[0], b_bits = values[1], c_bits = values[2];
    float a = ACTC_BITS_F32(a_bits), b = ACTC_BITS_F32(b_bits), c = ACTC_BITS_F32(c_bits);
    (void)b_bits;
    (void)c_bits;
#define VK_SELFTEST_RESULT(k, bits) results[k] = (bits);
    VK_SELFTEST_ALL
#undef VK_SELFTEST_RESULT
}

/* Runs the shader on cases in `in`, results to `out`. */
static actc_status run_shader(actc_vk_device *d, const actc_buffer *in, const actc_buffer *out)
{
    actc_status status;
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkDescriptorPool pool = VK_NULL_HANDLE;
    VkDescriptorSet set;
    const actc_vk_shader *shader = actc_vk_find_shader("vk_selftest");
    if (!shader)
        return actc_fail(d->base.context, ACTC_ERROR_INTERNAL, "this build has no self-test shader");
    status = actc_vk_pipeline_create(d, shader, true, NULL, 0, &pipeline);
    if (status != ACTC_OK)
        return status;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, ACTC_MAX_VIEWS};
    VkDescriptorPoolCreateInfo pool_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &size};
    VK_CREATE(pool, d->vk.vkCreateDescriptorPool(d->handle, &pool_info, NULL, &pool));
    VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = pool,
        .descriptorSetCount = 1,
        .pSetLayouts = &d->set_layout,
    };
    VK(d->vk.vkAllocateDescriptorSets(d->handle, &allocate, &set));
    VkDescriptorBufferInfo infos[2] = {{in->handle, 0, in->bytes}, {out->handle, 0, out->bytes}};
    VkWriteDescriptorSet writes[2];
    for (uint32_t i = 0; i < 2; i++)
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &infos[i],
        };
    d->vk.vkUpdateDescriptorSets(d->handle, 2, writes, 0, NULL);

    struct selftest_params params = {(CASES + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS, CASES};
    VkCommandBuffer commands = d->transfer_commands;
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VK(d->vk.vkBeginCommandBuffer(commands, &begin));
    d->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    d->vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline_layout, 0, 1, &set, 0, NULL);
    d->vk.vkCmdPushConstants(commands, d->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof params, &params);
    d->vk.vkCmdDispatch(commands, params.groups, 1, 1);
    actc_vk_barrier_all(d, commands, true);
    VK(d->vk.vkEndCommandBuffer(commands));
    status = actc_vk_submit(d, commands);
    if (status == ACTC_OK)
        status = actc_vk_wait(d, d->submitted);
fail:
    d->vk.vkDestroyDescriptorPool(d->handle, pool, NULL);
    d->vk.vkDestroyPipeline(d->handle, pipeline, NULL);
    return status;
}

/* Compares, and says in the device's exact_evidence what came out. */
static bool compare(actc_vk_device *d, const uint32_t *values, const uint32_t *results)
{
    char *evidence = d->base.info.exact_evidence;
    size_t size = sizeof d->base.info.exact_evidence;
    for (uint32_t i = 0; i < CASES; i++) {
        uint32_t expected[VK_SELFTEST_RESULTS];
        expected_results(values + 3 * (size_t)i, expected);
        for (uint32_t k = 0; k < VK_SELFTEST_RESULTS; k++) {
            uint32_t got = results[VK_SELFTEST_RESULTS * (size_t)i + k];
            if (got == expected[k])
                continue;
            snprintf(evidence, size, "self-test failed: result %u of (%08x, %08x, %08x) is %08x, not %08x", k,
                     values[3 * (size_t)i], values[3 * (size_t)i + 1], values[3 * (size_t)i + 2], got, expected[k]);
            return false;
        }
    }
    snprintf(evidence, size, "self-test passed when opened: rounding, contraction, signed zeros, NaN%s",
             d->physical.promises_exact ? "; driver reports float controls" : "");
    return true;
}

actc_status actc_vk_selftest(actc_vk_device *d, bool *passed)
{
    actc_device *device = &d->base;
    actc_buffer *in = NULL, *out = NULL;
    const size_t in_bytes = 3 * CASES * sizeof(uint32_t), out_bytes = VK_SELFTEST_RESULTS * CASES * sizeof(uint32_t);
    uint32_t *values = actc_malloc(in_bytes), *results = actc_malloc(out_bytes);
    uint32_t random = 1;
    *passed = false;
    d->label = "self-test";
    actc_status status = values && results ? ACTC_OK
                                           : actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY,
                                                       "out of host memory: self-test of a device");
    if (status == ACTC_OK)
        status = actc_vk_buffer_create(device, actc_align(in_bytes, ACTC_VIEW_ALIGNMENT), &in);
    if (status == ACTC_OK)
        status = actc_vk_buffer_create(device, actc_align(out_bytes, ACTC_VIEW_ALIGNMENT), &out);
    if (status == ACTC_OK) {
        for (uint32_t i = 0; i < 3 * CASES; i++)
            values[i] = case_value(i, &random);
        status = actc_vk_upload(device, in, 0, values, in_bytes);
    }
    if (status == ACTC_OK)
        status = run_shader(d, in, out);
    if (status == ACTC_OK)
        status = actc_vk_download(device, out, 0, results, out_bytes);
    if (status == ACTC_OK)
        *passed = compare(d, values, results);
    actc_vk_buffer_destroy(device, in);
    actc_vk_buffer_destroy(device, out);
    actc_vk_staging_free(d); /* nothing of the device's memory stays taken */
    actc_free(values);
    actc_free(results);
    d->label = NULL;
    return status;
}
