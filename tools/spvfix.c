/* spvfix: decorates every float arithmetic instruction of a SPIR-V module NoContraction.
 *
 * Usage: spvfix IN OUT
 *
 * GLSL's `precise` does not reach into functions that are called, so exactness cannot be written in the source;
 * it is put into the module of every EXACT kernel before spirv-opt sees it. Without it a compiler may turn x*y+z
 * into a fused multiply-add, reassociate, or fold constants in another precision.
 */
#include <stdio.h>
#include <stdlib.h>

#include "spv.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: spvfix IN OUT\n");
        return 2;
    }
    spv_module module;
    if (!spv_read("spvfix", argv[1], &module))
        return 1;

    uint32_t bound = spv_bound(&module);
    bool *decorated = calloc(bound, sizeof *decorated);
    uint32_t *out = malloc((module.count + 3 * (size_t)bound) * sizeof *out);
    int result = 1;
    if (!decorated || !out) {
        fprintf(stderr, "spvfix: %s: out of memory\n", argv[1]);
        goto done;
    }

    /* Annotations come after everything that spv_before_types knows and before all else. */
    size_t insert_at = module.count;
    spv_instruction instruction;
    for (size_t position = SPV_HEADER_WORDS; spv_next(&module, &position, &instruction);) {
        if (!spv_before_types(instruction.op)) {
            insert_at = instruction.position;
            break;
        }
        if (instruction.op == SPV_OP_DECORATE && instruction.count >= 2 && instruction.words[0] < bound &&
            instruction.words[1] == SPV_DECORATION_NO_CONTRACTION)
            decorated[instruction.words[0]] = true;
    }

    size_t count = 0;
    for (; count < insert_at; count++)
        out[count] = module.words[count];
    for (size_t position = insert_at; spv_next(&module, &position, &instruction);) {
        if (!spv_float_arithmetic(instruction.op) || instruction.count < 2)
            continue;
        uint32_t id = instruction.words[1];
        if (id >= bound) {
            fprintf(stderr, "spvfix: %s: id %u is not below the bound %u\n", argv[1], id, bound);
            goto done;
        }
        if (decorated[id])
            continue;
        decorated[id] = true;
        out[count++] = 3u << 16 | SPV_OP_DECORATE;
        out[count++] = id;
        out[count++] = SPV_DECORATION_NO_CONTRACTION;
    }
    for (size_t i = insert_at; i < module.count; i++)
        out[count++] = module.words[i];
    result = spv_write("spvfix", argv[2], out, count) ? 0 : 1;
done:
    free(decorated);
    free(out);
    free(module.words);
    return result;
}
