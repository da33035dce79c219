/* spv.h: reading and writing SPIR-V modules, for the programs of the shader build.
 *
 * These programs run on the machine that builds. They print to stderr and exit, as tools do; nothing of this is
 * part of libactc. Numbers are from the SPIR-V specification 1.6 and its registered extensions.
 */
#ifndef ACTC_TOOLS_SPV_H
#define ACTC_TOOLS_SPV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPV_MAGIC = 0x07230203,
    SPV_HEADER_WORDS = 5,

    SPV_OP_SOURCE_CONTINUED = 2,
    SPV_OP_SOURCE = 3,
    SPV_OP_SOURCE_EXTENSION = 4,
    SPV_OP_NAME = 5,
    SPV_OP_MEMBER_NAME = 6,
    SPV_OP_STRING = 7,
    SPV_OP_LINE = 8,
    SPV_OP_EXTENSION = 10,
    SPV_OP_EXT_INST_IMPORT = 11,
    SPV_OP_EXT_INST = 12,
    SPV_OP_MEMORY_MODEL = 14,
    SPV_OP_ENTRY_POINT = 15,
    SPV_OP_EXECUTION_MODE = 16,
    SPV_OP_CAPABILITY = 17,
    SPV_OP_TYPE_BOOL = 20,
    SPV_OP_TYPE_INT = 21,
    SPV_OP_TYPE_FLOAT = 22,
    SPV_OP_TYPE_VECTOR = 23,
    SPV_OP_TYPE_MATRIX = 24,
    SPV_OP_TYPE_ARRAY = 28,
    SPV_OP_TYPE_RUNTIME_ARRAY = 29,
    SPV_OP_TYPE_STRUCT = 30,
    SPV_OP_TYPE_POINTER = 32,
    SPV_OP_CONSTANT = 43,
    SPV_OP_SPEC_CONSTANT = 50,
    SPV_OP_SPEC_CONSTANT_OP = 52,
    SPV_OP_FUNCTION = 54,
    SPV_OP_VARIABLE = 59,
    SPV_OP_DECORATE = 71,
    SPV_OP_MEMBER_DECORATE = 72,
    SPV_OP_DECORATION_GROUP = 73,
    SPV_OP_GROUP_DECORATE = 74,
    SPV_OP_GROUP_MEMBER_DECORATE = 75,
    SPV_OP_FNEGATE = 127,
    SPV_OP_MODULE_PROCESSED = 330,
    SPV_OP_EXECUTION_MODE_ID = 331,
    SPV_OP_DECORATE_ID = 332,
    SPV_OP_DECORATE_STRING = 5632,
    SPV_OP_MEMBER_DECORATE_STRING = 5633,
    SPV_OP_NO_LINE = 317,

    SPV_DECORATION_BLOCK = 2,
    SPV_DECORATION_ARRAY_STRIDE = 6,
    SPV_DECORATION_NON_WRITABLE = 24,
    SPV_DECORATION_BINDING = 33,
    SPV_DECORATION_DESCRIPTOR_SET = 34,
    SPV_DECORATION_OFFSET = 35,
    SPV_DECORATION_NO_CONTRACTION = 42,

    SPV_STORAGE_WORKGROUP = 4,
    SPV_STORAGE_PUSH_CONSTANT = 9,
    SPV_STORAGE_STORAGE_BUFFER = 12,

    SPV_EXECUTION_MODE_LOCAL_SIZE = 17,
    SPV_CAPABILITY_MATRIX = 0,
    SPV_CAPABILITY_SHADER = 1,
    SPV_CAPABILITY_GROUP_NON_UNIFORM = 61,
    SPV_CAPABILITY_GROUP_NON_UNIFORM_BALLOT = 64
};

typedef struct spv_module {
    uint32_t *words;
    size_t count; /* words */
} spv_module;

/* One instruction; words[0] is its first operand. */
typedef struct spv_instruction {
    uint32_t op;
    size_t position; /* of its first word in the module */
    const uint32_t *words;
    size_t count; /* operands */
} spv_instruction;

/* Read and write a file; false after a message on stderr. The module has been checked: header, instruction lengths,
 * ids below the bound are the reader's to check where it uses them. */
bool spv_read(const char *program, const char *path, spv_module *module);
bool spv_write(const char *program, const char *path, const uint32_t *words, size_t count);

/* Steps through a module: position starts at SPV_HEADER_WORDS; false at the end. */
bool spv_next(const spv_module *module, size_t *position, spv_instruction *instruction);

/* The name of an opcode that computes on floats (an arithmetic instruction of SPIR-V that rounds), or NULL. These
 * are what NoContraction may decorate. Operands: result type, result id. */
const char *spv_float_arithmetic(uint32_t op);

/* Whether the instruction belongs to the sections that come before types, constants and variables. */
bool spv_before_types(uint32_t op);

uint32_t spv_bound(const spv_module *module);

#endif
