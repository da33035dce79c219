/* shaders.h: the SPIR-V modules that the build embeds (tools/spvembed.c writes their definitions). */
#ifndef ACTC_VULKAN_SHADERS_H
#define ACTC_VULKAN_SHADERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct actc_vk_shader {
    const char *name; /* of the kernel */
    const uint32_t *words;
    size_t bytes;
} actc_vk_shader;

extern const actc_vk_shader actc_vk_shaders[];
extern const size_t actc_vk_shader_count;

#endif
