/* pipeline.c: pipelines from the embedded SPIR-V, and their layouts. */
#include <stdio.h>
#include <string.h>

#include "vulkan.h"

enum {
    SPV_OP_ENTRY_POINT = 15,
    SPV_OP_EXECUTION_MODE = 16,
    SPV_OP_CAPABILITY = 17,
    SPV_HEADER_WORDS = 5,
    SPV_MODE_SIGNED_ZERO_INF_NAN_PRESERVE = 4461,
    SPV_MODE_ROUNDING_RTE = 4462,
    SPV_CAPABILITY_SIGNED_ZERO_INF_NAN_PRESERVE = 4466,
    SPV_CAPABILITY_ROUNDING_RTE = 4467,
    PATCH_WORDS = 2 * 2 + 2 * 4
};

const actc_vk_shader *actc_vk_find_shader(const char *name)
{
    for (size_t i = 0; i < actc_vk_shader_count; i++)
        if (!strcmp(actc_vk_shaders[i].name, name))
            return &actc_vk_shaders[i];
    return NULL;
}

actc_status actc_vk_layouts_create(actc_vk_device *d)
{
    actc_status status;
    VkDescriptorSetLayoutBinding bindings[ACTC_MAX_VIEWS];
    for (uint32_t i = 0; i < ACTC_MAX_VIEWS; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = ACTC_MAX_VIEWS,
        .pBindings = bindings,
    };
    VK_CREATE(d->set_layout, d->vk.vkCreateDescriptorSetLayout(d->handle, &set, NULL, &d->set_layout));
    VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = ACTC_MAX_PARAMS_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &d->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    VK_CREATE(d->pipeline_layout, d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, &d->pipeline_layout));
    return ACTC_OK;
fail:
    return status;
}

/* Copies the module with the execution modes that make a driver keep round-to-nearest-even and signed zeros, NaN and
 * infinities for 32 bits; the modes are core in SPIR-V 1.4 and later, which the shader build writes. Returns words. */
static size_t patch(const uint32_t *in, size_t words, uint32_t *out)
{
    static const uint32_t capabilities[] = {SPV_CAPABILITY_SIGNED_ZERO_INF_NAN_PRESERVE, SPV_CAPABILITY_ROUNDING_RTE};
    static const uint32_t modes[] = {SPV_MODE_SIGNED_ZERO_INF_NAN_PRESERVE, SPV_MODE_ROUNDING_RTE};
    size_t n = 0;
    memcpy(out, in, SPV_HEADER_WORDS * sizeof *out);
    n = SPV_HEADER_WORDS;
    for (size_t i = 0; i < 2; i++) {
        out[n++] = 2u << 16 | SPV_OP_CAPABILITY;
        out[n++] = capabilities[i];
    }
    for (size_t position = SPV_HEADER_WORDS; position < words;) {
        uint32_t op = in[position] & 0xffffu, length = in[position] >> 16;
        memcpy(out + n, in + position, length * sizeof *out);
        n += length;
        if (op == SPV_OP_ENTRY_POINT) /* there is one, and modes follow entry points */
            for (size_t i = 0; i < 2; i++) {
                out[n++] = 4u << 16 | SPV_OP_EXECUTION_MODE;
                out[n++] = in[position + 2];
                out[n++] = modes[i];
                out[n++] = 32;
            }
        position += length;
    }
    return n;
}

actc_status actc_vk_pipeline_create(actc_vk_device *d, const actc_vk_shader *shader, bool exact, const actc_vk_tile *tile,
                                    VkPipelineCreateFlags flags, VkPipeline *out)
{
    actc_status status;
    uint32_t *patched = NULL;
    VkShaderModule module = VK_NULL_HANDLE;
    *out = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = shader->bytes,
        .pCode = shader->words,
    };
    if (exact && d->physical.promises_exact) {
        patched = actc_malloc(shader->bytes + PATCH_WORDS * sizeof *patched);
        if (!patched)
            return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: shader %s", shader->name);
        module_info.codeSize = patch(shader->words, shader->bytes / 4, patched) * sizeof *patched;
        module_info.pCode = patched;
    }
    VK_CREATE(module, d->vk.vkCreateShaderModule(d->handle, &module_info, NULL, &module));
    uint32_t constants[3] = {tile ? tile->m : 0, tile ? tile->n : 0, d->subgroup};
    VkSpecializationMapEntry entries[3];
    for (uint32_t i = 0; i < 3; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = i * 4, .size = 4};
    VkSpecializationInfo specialization = {
        .mapEntryCount = d->subgroup ? 3 : 2,
        .pMapEntries = entries,
        .dataSize = sizeof constants,
        .pData = constants,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = flags,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = tile ? &specialization : NULL,
            },
        .layout = d->pipeline_layout,
    };
    VK_CREATE(*out, d->vk.vkCreateComputePipelines(d->handle, d->cache, 1, &info, NULL, out));
    d->cache_grown = true;
    actc_vk_name(d, VK_OBJECT_TYPE_PIPELINE, (uint64_t)*out, shader->name);
fail:
    if (status != ACTC_OK && *out) {
        d->vk.vkDestroyPipeline(d->handle, *out, NULL);
        *out = VK_NULL_HANDLE;
    }
    d->vk.vkDestroyShaderModule(d->handle, module, NULL);
    actc_free(patched);
    return status;
}

actc_status actc_vk_kernel_create(actc_vk_device *d, actc_kernel_id id, uint32_t tile, VkPipelineCreateFlags flags,
                                  VkPipeline *out)
{
    const actc_kernel_info *kernel = &actc_kernel_infos[id];
    char name[64];
    const actc_vk_shader *shader = actc_vk_find_shader(actc_vk_shader_name(d, id, name));
    if (!shader)
        return actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "this build has no shader for the kernel %s", kernel->name);
    return actc_vk_pipeline_create(d, shader, kernel->parity == ACTC_PARITY_EXACT, actc_vk_tile_of(d, id, tile), flags, out);
}

actc_status actc_vk_kernel_pipeline(actc_vk_device *d, actc_kernel_id id, uint32_t tile, VkPipeline *out)
{
    VkPipeline *made = &d->pipelines[id][tile];
    actc_status status = *made ? ACTC_OK : actc_vk_kernel_create(d, id, tile, 0, made);
    *out = *made;
    return status;
}
