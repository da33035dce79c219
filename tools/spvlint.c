/* spvlint: refuses a SPIR-V module that does not keep what its kernel promises.
 *
 * Usage: spvlint [--print] [--subgroup] --kernel NAME IN
 *        spvlint [--print] [--subgroup] --exact|--tolerant --views ACCESS --params BYTES IN
 *
 * NAME is a kernel of src/kernels.def, whose class, views and parameters are then known. Checked for every module:
 * the baseline of the Vulkan backend (capabilities, workgroup of 256, shared memory, 64- and 16-bit types), storage
 * buffers = views, views that are only read declared so, push constants = the kernel's parameters. For EXACT
 * modules also that nothing in them may round differently from device to device. --subgroup: a variant for devices with
 * subgroup broadcasts, which move values and round nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_params.h"
#include "spv.h"

#define MAX_SHARED_BYTES 32768u
#define MAX_VIEWS 8u

static const struct {
    const char *name;
    bool exact;
    const char *access;
    uint32_t params_bytes;
} kernels[] = {
#define EXACT true
#define TOLERANT false
#define ACTC_KERNEL(name, class, access, family, grain) {#name, class, access, (uint32_t)sizeof(struct actc_params_##name)},
#include "kernels.def"
#undef EXACT
#undef TOLERANT
};

typedef struct expected {
    const char *name;
    bool exact;
    const char *access;
    uint32_t params_bytes;
    bool subgroup;
} expected;

/* What is known of an id. */
typedef struct id_info {
    spv_instruction definition; /* type, constant or variable; op 0: none */
    bool no_contraction, non_writable, has_binding, has_set;
    uint32_t binding, set, array_stride;
} id_info;

typedef struct member_info {
    uint32_t structure, member, offset;
    bool non_writable, has_offset;
} member_info;

typedef struct lint {
    const char *path;
    const expected *expected;
    spv_module module;
    id_info *ids;
    uint32_t bound;
    member_info *members;
    size_t n_members, members_capacity;
    uint32_t glsl_std; /* id of the import */
    unsigned faults;
    /* found */
    uint32_t views, view_bindings, params_bytes, shared_bytes, entry_points, local_size[3];
} lint;

static void fault(lint *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "spvlint: %s: %s: ", l->path, l->expected->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    l->faults++;
}

static id_info *info_of(lint *l, uint32_t id)
{
    static id_info none;
    if (id < l->bound)
        return &l->ids[id];
    none = (id_info){0};
    return &none;
}

static member_info *member_of(lint *l, uint32_t structure, uint32_t member)
{
    for (size_t i = 0; i < l->n_members; i++)
        if (l->members[i].structure == structure && l->members[i].member == member)
            return &l->members[i];
    if (l->n_members == l->members_capacity) {
        size_t capacity = l->members_capacity ? 2 * l->members_capacity : 64;
        member_info *grown = realloc(l->members, capacity * sizeof *grown);
        if (!grown) {
            fprintf(stderr, "spvlint: out of memory\n");
            exit(1);
        }
        l->members = grown;
        l->members_capacity = capacity;
    }
    l->members[l->n_members] = (member_info){.structure = structure, .member = member};
    return &l->members[l->n_members++];
}

/* ---- sizes of types ---- */

static uint32_t constant_value(lint *l, uint32_t id)
{
    spv_instruction *d = &info_of(l, id)->definition;
    if (d->op == SPV_OP_CONSTANT && d->count >= 3)
        return d->words[2];
    fault(l, "the length of an array is not a plain constant");
    return 0;
}

/* Bytes of a type as it lies in workgroup memory without padding, or by its Offset decorations where it has them. */
static uint64_t type_bytes(lint *l, uint32_t id, int depth)
{
    spv_instruction *d = &info_of(l, id)->definition;
    if (depth > 16)
        return 0;
    switch (d->op) {
    case SPV_OP_TYPE_BOOL: return 4;
    case SPV_OP_TYPE_INT:
    case SPV_OP_TYPE_FLOAT: return d->count >= 2 ? d->words[1] / 8 : 0;
    case SPV_OP_TYPE_VECTOR:
    case SPV_OP_TYPE_MATRIX: return d->count >= 3 ? d->words[2] * type_bytes(l, d->words[1], depth + 1) : 0;
    case SPV_OP_TYPE_ARRAY: {
        if (d->count < 3)
            return 0;
        uint64_t element = type_bytes(l, d->words[1], depth + 1);
        if (info_of(l, id)->array_stride)
            element = info_of(l, id)->array_stride;
        return element * constant_value(l, d->words[2]);
    }
    case SPV_OP_TYPE_STRUCT: {
        uint64_t bytes = 0;
        for (size_t i = 1; i < d->count; i++) {
            member_info *m = member_of(l, id, (uint32_t)i - 1);
            uint64_t begin = m->has_offset ? m->offset : bytes;
            uint64_t end = begin + type_bytes(l, d->words[i], depth + 1);
            bytes = end > bytes ? end : bytes;
        }
        return bytes;
    }
    default: fault(l, "a variable of a type without a size (opcode %u)", d->op); return 0;
    }
}

/* ---- declarations ---- */

static void read_declarations(lint *l)
{
    spv_instruction i;
    for (size_t position = SPV_HEADER_WORDS; spv_next(&l->module, &position, &i);) {
        const uint32_t *w = i.words;
        switch (i.op) {
        case SPV_OP_DECORATE:
            if (i.count < 2)
                break;
            if (w[1] == SPV_DECORATION_NO_CONTRACTION)
                info_of(l, w[0])->no_contraction = true;
            else if (w[1] == SPV_DECORATION_NON_WRITABLE)
                info_of(l, w[0])->non_writable = true;
            else if (w[1] == SPV_DECORATION_ARRAY_STRIDE && i.count >= 3)
                info_of(l, w[0])->array_stride = w[2];
            else if (w[1] == SPV_DECORATION_BINDING && i.count >= 3) {
                info_of(l, w[0])->has_binding = true;
                info_of(l, w[0])->binding = w[2];
            } else if (w[1] == SPV_DECORATION_DESCRIPTOR_SET && i.count >= 3) {
                info_of(l, w[0])->has_set = true;
                info_of(l, w[0])->set = w[2];
            }
            break;
        case SPV_OP_MEMBER_DECORATE:
            if (i.count >= 4 && w[2] == SPV_DECORATION_OFFSET) {
                member_info *m = member_of(l, w[0], w[1]);
                m->offset = w[3];
                m->has_offset = true;
            } else if (i.count >= 3 && w[2] == SPV_DECORATION_NON_WRITABLE) {
                member_of(l, w[0], w[1])->non_writable = true;
            }
            break;
        case SPV_OP_EXT_INST_IMPORT:
            if (i.count >= 5 && !memcmp(&w[1], "GLSL.std.450", sizeof "GLSL.std.450"))
                l->glsl_std = w[0];
            break;
        case SPV_OP_TYPE_BOOL:
        case SPV_OP_TYPE_INT:
        case SPV_OP_TYPE_FLOAT:
        case SPV_OP_TYPE_VECTOR:
        case SPV_OP_TYPE_MATRIX:
        case SPV_OP_TYPE_ARRAY:
        case SPV_OP_TYPE_RUNTIME_ARRAY:
        case SPV_OP_TYPE_STRUCT:
        case SPV_OP_TYPE_POINTER:
            if (i.count >= 1)
                info_of(l, w[0])->definition = i;
            break;
        case SPV_OP_CONSTANT:
        case SPV_OP_SPEC_CONSTANT:
        case SPV_OP_VARIABLE:
            if (i.count >= 2)
                info_of(l, w[1])->definition = i;
            break;
        case SPV_OP_ENTRY_POINT: l->entry_points++; break;
        case SPV_OP_EXECUTION_MODE:
            if (i.count >= 5 && w[1] == SPV_EXECUTION_MODE_LOCAL_SIZE)
                memcpy(l->local_size, &w[2], sizeof l->local_size);
            break;
        case SPV_OP_CAPABILITY:
            if (l->expected->subgroup && i.count >= 1 &&
                (w[0] == SPV_CAPABILITY_GROUP_NON_UNIFORM || w[0] == SPV_CAPABILITY_GROUP_NON_UNIFORM_BALLOT))
                break;
            if (i.count >= 1 && w[0] != SPV_CAPABILITY_SHADER && w[0] != SPV_CAPABILITY_MATRIX)
                fault(l, "capability %u is beyond the baseline, which has Shader only", w[0]);
            break;
        default: break;
        }
    }
}

/* The type that a variable's pointer points to. */
static uint32_t pointed_type(lint *l, const spv_instruction *variable)
{
    spv_instruction *pointer = &info_of(l, variable->words[0])->definition;
    return pointer->op == SPV_OP_TYPE_POINTER && pointer->count >= 3 ? pointer->words[2] : 0;
}

static void check_view(lint *l, uint32_t variable_id, uint32_t type)
{
    id_info *v = info_of(l, variable_id);
    size_t expected_views = strlen(l->expected->access);
    l->views++;
    if (!v->has_binding || !v->has_set || v->set != 0 || v->binding >= expected_views) {
        fault(l, "storage buffer at set %u binding %u; views are set 0, bindings 0 to %zu", v->set, v->binding,
              expected_views - 1);
        return;
    }
    if (l->view_bindings & 1u << v->binding)
        fault(l, "two storage buffers at binding %u", v->binding);
    l->view_bindings |= 1u << v->binding;
    spv_instruction *structure = &info_of(l, type)->definition;
    bool read_only = v->non_writable;
    if (!read_only && structure->op == SPV_OP_TYPE_STRUCT) {
        read_only = true;
        for (size_t i = 1; i < structure->count; i++)
            read_only &= member_of(l, type, (uint32_t)i - 1)->non_writable;
    }
    char access = l->expected->access[v->binding];
    if (access == 'r' && !read_only)
        fault(l, "view %u is 'r' in kernels.def, but the buffer is not readonly", v->binding);
    if (access != 'r' && read_only)
        fault(l, "view %u is '%c' in kernels.def, but the buffer is readonly", v->binding, access);
}

static void check_declarations(lint *l)
{
    for (uint32_t id = 0; id < l->bound; id++) {
        spv_instruction *d = &l->ids[id].definition;
        if (d->op == SPV_OP_TYPE_INT || d->op == SPV_OP_TYPE_FLOAT) {
            if (d->count < 2 || d->words[1] != 32)
                fault(l, "a number type of %u bits; the baseline has 32 only", d->count >= 2 ? d->words[1] : 0);
        } else if (d->op == SPV_OP_VARIABLE && d->count >= 3) {
            uint32_t type = pointed_type(l, d);
            if (d->words[2] == SPV_STORAGE_STORAGE_BUFFER)
                check_view(l, id, type);
            else if (d->words[2] == SPV_STORAGE_PUSH_CONSTANT)
                l->params_bytes += (uint32_t)type_bytes(l, type, 0);
            else if (d->words[2] == SPV_STORAGE_WORKGROUP)
                l->shared_bytes += (uint32_t)type_bytes(l, type, 0);
        }
    }
    if (l->entry_points != 1)
        fault(l, "%u entry points; there must be one", l->entry_points);
    if (l->local_size[0] != ACTC_GROUP_SIZE || l->local_size[1] != 1 || l->local_size[2] != 1)
        fault(l, "workgroup of %ux%ux%u; it must be %ux1x1", l->local_size[0], l->local_size[1], l->local_size[2],
              ACTC_GROUP_SIZE);
    if (l->views != strlen(l->expected->access))
        fault(l, "%u storage buffers; kernels.def has %zu views (\"%s\")", l->views, strlen(l->expected->access),
              l->expected->access);
    if (l->params_bytes != l->expected->params_bytes)
        fault(l, "%u bytes of push constants; its parameters in kernel_params.h have %u", l->params_bytes,
              l->expected->params_bytes);
    if (l->params_bytes > ACTC_MAX_PARAMS_BYTES)
        fault(l, "%u bytes of push constants; at most %d are portable", l->params_bytes, ACTC_MAX_PARAMS_BYTES);
    if (l->shared_bytes > MAX_SHARED_BYTES)
        fault(l, "%u bytes of shared memory; the baseline has %u", l->shared_bytes, MAX_SHARED_BYTES);
}

/* ---- code of EXACT modules ---- */

/* GLSL.std.450 instructions with one possible result on every device: integers, and floats without rounding. min, max
 * and clamp of floats are not here: what they give for NaN and signed zeros is the device's. */
static const char *inexact_glsl(uint32_t instruction)
{
    static const struct {
        uint32_t number;
        const char *name;
    } named[] = {
        {1, "Round (use roundEven)"}, {11, "Radians"}, {12, "Degrees"}, {13, "Sin"}, {14, "Cos"}, {15, "Tan"},
        {16, "Asin"}, {17, "Acos"}, {18, "Atan"}, {19, "Sinh"}, {20, "Cosh"}, {21, "Tanh"}, {22, "Asinh"},
        {23, "Acosh"}, {24, "Atanh"}, {25, "Atan2"}, {26, "Pow"}, {27, "Exp"}, {28, "Log"}, {29, "Exp2"},
        {30, "Log2"}, {31, "Sqrt"}, {32, "InverseSqrt"}, {37, "FMin"}, {40, "FMax"}, {43, "FClamp"}, {46, "FMix"},
        {49, "SmoothStep"}, {50, "Fma"}, {54, "PackSnorm4x8"}, {55, "PackUnorm4x8"}, {56, "PackSnorm2x16"},
        {57, "PackUnorm2x16"}, {58, "PackHalf2x16"}, {62, "UnpackHalf2x16"}, {66, "Length"}, {67, "Distance"},
        {69, "Normalize"}, {79, "NMin"}, {80, "NMax"}, {81, "NClamp"},
    };
    static const uint32_t allowed[] = {2, 3, 4, 5, 7, 8, 9, 38, 39, 41, 42, 44, 45, 73, 74, 75};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (allowed[i] == instruction)
            return NULL;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i].number == instruction)
            return named[i].name;
    return "an instruction that is not on the list of exact ones";
}

/* Core and extension instructions that round, or whose order or precision is the device's; NULL for others. */
static const char *inexact_op(uint32_t op)
{
    switch (op) {
    case 136: return "FDiv";
    case 140: return "FRem";
    case 141: return "FMod";
    case 143: return "MatrixTimesScalar";
    case 144: return "VectorTimesMatrix";
    case 145: return "MatrixTimesVector";
    case 146: return "MatrixTimesMatrix";
    case 147: return "OuterProduct";
    case 148: return "Dot";
    case 115: return "FConvert";
    case 116: return "QuantizeToF16";
    case 156: return "IsNan (compare the bits)";
    case 157: return "IsInf (compare the bits)";
    case 265: return "GroupFAdd";
    case 266: return "GroupFMin";
    case 269: return "GroupFMax";
    case 350: return "GroupNonUniformFAdd";
    case 352: return "GroupNonUniformFMul";
    case 355: return "GroupNonUniformFMin";
    case 358: return "GroupNonUniformFMax";
    case 4428: return "FmaKHR";
    case 4459: return "CooperativeMatrixMulAddKHR";
    case 5361: return "CooperativeMatrixMulAddNV";
    case 5614: return "AtomicFMinEXT";
    case 5615: return "AtomicFMaxEXT";
    case 6035: return "AtomicFAddEXT";
    default: return NULL;
    }
}

static void check_exact(lint *l)
{
    spv_instruction i;
    for (size_t position = SPV_HEADER_WORDS; spv_next(&l->module, &position, &i);) {
        const char *name = inexact_op(i.op);
        if (name) {
            fault(l, "EXACT kernel with %s", name);
        } else if (i.op == SPV_OP_EXT_INST && i.count >= 4) {
            if (i.words[2] != l->glsl_std)
                fault(l, "EXACT kernel with an unknown instruction set");
            else if ((name = inexact_glsl(i.words[3])))
                fault(l, "EXACT kernel with GLSL.std.450 %u: %s", i.words[3], name);
        } else if ((name = spv_float_arithmetic(i.op))) {
            if (i.count < 2 || !info_of(l, i.words[1])->no_contraction)
                fault(l, "EXACT kernel with %s not decorated NoContraction", name);
        } else if (i.op == SPV_OP_SPEC_CONSTANT_OP && i.count >= 3 && spv_float_arithmetic(i.words[2])) {
            fault(l, "EXACT kernel with float arithmetic on specialization constants");
        }
    }
}

/* ---- command line ---- */

static int usage(void)
{
    fprintf(stderr, "usage: spvlint [--print] [--subgroup] --kernel NAME IN\n"
                    "       spvlint [--print] [--subgroup] --exact|--tolerant --views ACCESS --params BYTES IN\n");
    return 2;
}

int main(int argc, char **argv)
{
    expected e = {.name = NULL};
    bool print = false, class_given = false;
    const char *params = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        bool more = at + 1 < argc;
        if (!strcmp(argv[at], "--print")) {
            print = true;
        } else if (!strcmp(argv[at], "--subgroup")) {
            e.subgroup = true;
        } else if (!strcmp(argv[at], "--exact") || !strcmp(argv[at], "--tolerant")) {
            e.exact = !strcmp(argv[at], "--exact");
            class_given = true;
        } else if (!strcmp(argv[at], "--views") && more) {
            e.access = argv[++at];
        } else if (!strcmp(argv[at], "--params") && more) {
            params = argv[++at];
        } else if (!strcmp(argv[at], "--kernel") && more) {
            e.name = argv[++at];
        } else {
            return usage();
        }
    }
    if (at + 1 != argc)
        return usage();
    if (e.name) {
        size_t i = 0;
        while (i < sizeof kernels / sizeof *kernels && strcmp(kernels[i].name, e.name))
            i++;
        if (i == sizeof kernels / sizeof *kernels) {
            fprintf(stderr, "spvlint: %s is not in kernels.def\n", e.name);
            return 2;
        }
        e.exact = kernels[i].exact;
        e.access = kernels[i].access;
        e.params_bytes = kernels[i].params_bytes;
    } else {
        if (!class_given || !e.access || !params)
            return usage();
        e.name = e.exact ? "exact" : "tolerant";
        e.params_bytes = (uint32_t)strtoul(params, NULL, 10);
    }
    if (strlen(e.access) > MAX_VIEWS) {
        fprintf(stderr, "spvlint: %s: %zu views; at most %u are portable\n", e.name, strlen(e.access), MAX_VIEWS);
        return 1;
    }

    lint l = {.path = argv[at], .expected = &e};
    if (!spv_read("spvlint", argv[at], &l.module))
        return 1;
    l.bound = spv_bound(&l.module);
    l.ids = calloc(l.bound, sizeof *l.ids);
    if (!l.ids) {
        fprintf(stderr, "spvlint: out of memory\n");
        return 1;
    }
    read_declarations(&l);
    check_declarations(&l);
    if (e.exact)
        check_exact(&l);
    if (print)
        printf("%s: %s, views %s, %u bytes of parameters, %u invocations, %u bytes of shared memory, %zu words\n", e.name,
               e.exact ? "EXACT" : "TOLERANT", e.access, l.params_bytes,
               l.local_size[0] * l.local_size[1] * l.local_size[2], l.shared_bytes, l.module.count);
    free(l.ids);
    free(l.members);
    free(l.module.words);
    return l.faults ? 1 : 0;
}
