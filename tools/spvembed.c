/* spvembed: writes SPIR-V modules as C arrays.
 *
 * Usage: spvembed OUT.c NAME=FILE...
 *
 * Defines actc_vk_shaders and actc_vk_shader_count of backends/vulkan/shaders.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spv.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: spvembed OUT.c NAME=FILE...\n");
        return 2;
    }
    FILE *out = fopen(argv[1], "w");
    if (!out) {
        fprintf(stderr, "spvembed: cannot write %s\n", argv[1]);
        return 1;
    }
    bool good = true;
    fprintf(out, "/* Made by spvembed from shaders/. */\n#include \"shaders.h\"\n");
    for (int i = 2; i < argc && good; i++) {
        char *path = strchr(argv[i], '=');
        spv_module module;
        if (!path) {
            fprintf(stderr, "spvembed: %s is not NAME=FILE\n", argv[i]);
            good = false;
            break;
        }
        *path++ = '\0';
        if (!spv_read("spvembed", path, &module)) {
            good = false;
            break;
        }
        fprintf(out, "\nstatic const uint32_t %s[%zu] = {", argv[i], module.count);
        for (size_t w = 0; w < module.count; w++)
            fprintf(out, "%s0x%08x,", w % 8 ? " " : "\n    ", (unsigned)module.words[w]);
        fprintf(out, "\n};\n");
        free(module.words);
    }
    fprintf(out, "\nconst actc_vk_shader actc_vk_shaders[] = {\n");
    for (int i = 2; i < argc && good; i++)
        fprintf(out, "    {\"%s\", %s, sizeof %s},\n", argv[i], argv[i], argv[i]);
    fprintf(out, "};\nconst size_t actc_vk_shader_count = sizeof actc_vk_shaders / sizeof *actc_vk_shaders;\n");
    if (ferror(out))
        good = false;
    if (fclose(out))
        good = false;
    if (!good) {
        fprintf(stderr, "spvembed: %s was not written\n", argv[1]);
        remove(argv[1]);
    }
    return good ? 0 : 1;
}
