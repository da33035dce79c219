/* spv.c: reading and writing SPIR-V modules. */
#include "spv.h"

#include <stdio.h>
#include <stdlib.h>

/* No shader of this project comes near it; stops at damage rather than at the end of memory. */
#define MAX_FILE_BYTES (64l << 20)
#define MAX_BOUND 0x3fffffu /* the specification's universal limit on ids */

bool spv_read(const char *program, const char *path, spv_module *module)
{
    *module = (spv_module){0};
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot open %s\n", program, path);
        return false;
    }
    long bytes = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    if (bytes < (long)(SPV_HEADER_WORDS * 4) || bytes % 4 || bytes > MAX_FILE_BYTES || fseek(file, 0, SEEK_SET)) {
        fprintf(stderr, "%s: %s: %ld bytes are not a SPIR-V module\n", program, path, bytes);
        fclose(file);
        return false;
    }
    module->count = (size_t)bytes / 4;
    module->words = malloc((size_t)bytes);
    bool read = module->words && fread(module->words, 4, module->count, file) == module->count;
    fclose(file);
    if (!read || module->words[0] != SPV_MAGIC) {
        fprintf(stderr, "%s: %s: not a SPIR-V module of this machine's byte order\n", program, path);
        goto fail;
    }
    if (module->words[3] > MAX_BOUND) {
        fprintf(stderr, "%s: %s: id bound %u is over the limit %u\n", program, path, module->words[3], MAX_BOUND);
        goto fail;
    }
    for (size_t position = SPV_HEADER_WORDS; position < module->count;) {
        uint32_t length = module->words[position] >> 16;
        if (length == 0 || length > module->count - position) {
            fprintf(stderr, "%s: %s: instruction at word %zu runs past the end\n", program, path, position);
            goto fail;
        }
        position += length;
    }
    return true;
fail:
    free(module->words);
    *module = (spv_module){0};
    return false;
}

bool spv_write(const char *program, const char *path, const uint32_t *words, size_t count)
{
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(words, 4, count, file) == count;
    if (file && fclose(file))
        written = false;
    if (!written)
        fprintf(stderr, "%s: cannot write %s\n", program, path);
    return written;
}

bool spv_next(const spv_module *module, size_t *position, spv_instruction *instruction)
{
    if (*position >= module->count)
        return false;
    uint32_t first = module->words[*position];
    *instruction = (spv_instruction){
        .op = first & 0xffffu,
        .position = *position,
        .words = module->words + *position + 1,
        .count = (first >> 16) - 1,
    };
    *position += first >> 16;
    return true;
}

uint32_t spv_bound(const spv_module *module)
{
    return module->words[3];
}

const char *spv_float_arithmetic(uint32_t op)
{
    switch (op) {
    case SPV_OP_FNEGATE: return "FNegate";
    case 129: return "FAdd";
    case 131: return "FSub";
    case 133: return "FMul";
    case 136: return "FDiv";
    case 140: return "FRem";
    case 141: return "FMod";
    case 142: return "VectorTimesScalar";
    case 143: return "MatrixTimesScalar";
    case 144: return "VectorTimesMatrix";
    case 145: return "MatrixTimesVector";
    case 146: return "MatrixTimesMatrix";
    case 147: return "OuterProduct";
    case 148: return "Dot";
    default: return NULL;
    }
}

bool spv_before_types(uint32_t op)
{
    switch (op) {
    case SPV_OP_SOURCE_CONTINUED:
    case SPV_OP_SOURCE:
    case SPV_OP_SOURCE_EXTENSION:
    case SPV_OP_NAME:
    case SPV_OP_MEMBER_NAME:
    case SPV_OP_STRING:
    case SPV_OP_LINE:
    case SPV_OP_NO_LINE:
    case SPV_OP_EXTENSION:
    case SPV_OP_EXT_INST_IMPORT:
    case SPV_OP_MEMORY_MODEL:
    case SPV_OP_ENTRY_POINT:
    case SPV_OP_EXECUTION_MODE:
    case SPV_OP_EXECUTION_MODE_ID:
    case SPV_OP_CAPABILITY:
    case SPV_OP_MODULE_PROCESSED:
    case SPV_OP_DECORATE:
    case SPV_OP_MEMBER_DECORATE:
    case SPV_OP_DECORATION_GROUP:
    case SPV_OP_GROUP_DECORATE:
    case SPV_OP_GROUP_MEMBER_DECORATE:
    case SPV_OP_DECORATE_ID:
    case SPV_OP_DECORATE_STRING:
    case SPV_OP_MEMBER_DECORATE_STRING: return true;
    default: return false;
    }
}
