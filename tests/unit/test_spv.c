/* test_spv.c: the programs of the shader build on GLSL that they must accept or refuse.
 *
 * Usage: test_spv GLSLC SPIRV_OPT SPIRV_VAL SPVFIX SPVLINT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *glslc, *spirv_opt, *spirv_val, *spvfix, *spvlint;
static char folder[] = "/tmp/actc-spv-XXXXXX";

/* Runs a command; what it prints goes to `output`. Returns its exit status, or -1 where it died. */
static int run(char *output, size_t size, const char *format, ...)
{
    char command[2048];
    va_list args;
    int used = snprintf(command, sizeof command, "cd %s && { ", folder);
    va_start(args, format);
    used += vsnprintf(command + used, sizeof command - (size_t)used, format, args);
    va_end(args);
    assert_true((size_t)used + 16 < sizeof command);
    strcat(command, "; } 2>&1");
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, size - 1, pipe);
    output[length] = '\0';
    while (fgetc(pipe) != EOF)
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_file(const char *name, const void *data, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* A shader whose main has `body`: views x, y ('r', 'w'), parameters of two words, or PARAMS. */
static void compile(const char *declarations, const char *body, const char *flags)
{
    char source[4096], output[4096];
    int length = snprintf(source, sizeof source,
                          "#version 450\n%s\n"
                          "#ifndef OWN_LAYOUT\n"
                          "layout(local_size_x = 256) in;\n"
                          "#ifndef PARAMS\n"
                          "#define PARAMS uint groups, n;\n"
                          "#endif\n"
                          "layout(push_constant) uniform push { PARAMS } p;\n"
                          "layout(set = 0, binding = 0) readonly buffer bx { uint x[]; };\n"
                          "layout(set = 0, binding = 1) buffer by { uint y[]; };\n"
                          "#endif\n"
                          "float f(uint i) { return uintBitsToFloat(x[i]); }\n"
                          "float fused(float a, float b, float c) { return a * b + c; }\n"
                          "void main() { uint i = gl_GlobalInvocationID.x; if (i < p.n) { %s } }\n",
                          declarations, body);
    write_file("case.comp", source, (size_t)length);
    if (run(output, sizeof output, "%s --target-env=vulkan1.2 %s -o case.spv case.comp", glslc, flags) != 0)
        fail_msg("glslc: %s", output);
}

static const char exact_arguments[] = "--exact --views rw --params 8";

static void expect_refusal(const char *arguments, const char *file, const char *message)
{
    char output[8192];
    int status = run(output, sizeof output, "%s %s %s", spvlint, arguments, file);
    if (status != 1 || !strstr(output, message))
        fail_msg("spvlint %s gave %d and \"%s\", not 1 and \"%s\"", arguments, status, output, message);
}

static void expect_acceptance(const char *arguments, const char *file)
{
    char output[8192];
    int status = run(output, sizeof output, "%s %s %s", spvlint, arguments, file);
    if (status != 0 || output[0])
        fail_msg("spvlint %s gave %d and \"%s\"", arguments, status, output);
}

/* ---- spvfix ---- */

static void decorates_everything(void **state)
{
    (void)state;
    char output[8192];
    compile("", "vec4 v = vec4(f(i), f(i + 1), f(i + 2), 1) * f(i + 3); v -= -v;"
                "y[i] = floatBitsToUint(fused(v.x, v.y, v.z) - fused(v.z, v.w, 3.0));", "-O0");
    expect_refusal(exact_arguments, "case.spv", "FMul not decorated NoContraction");
    expect_refusal(exact_arguments, "case.spv", "FAdd not decorated NoContraction");
    expect_refusal(exact_arguments, "case.spv", "FNegate not decorated NoContraction");
    expect_refusal(exact_arguments, "case.spv", "VectorTimesScalar not decorated NoContraction");
    assert_int_equal(run(output, sizeof output, "%s case.spv fixed.spv", spvfix), 0);
    expect_acceptance(exact_arguments, "fixed.spv"); /* in called functions too */
    assert_int_equal(run(output, sizeof output, "%s --target-env vulkan1.2 fixed.spv", spirv_val), 0);
    assert_int_equal(run(output, sizeof output, "%s fixed.spv again.spv && cmp fixed.spv again.spv", spvfix), 0);
    /* Inlined, unrolled and combined, it still is. */
    assert_int_equal(run(output, sizeof output, "%s -O fixed.spv -o fast.spv", spirv_opt), 0);
    expect_acceptance(exact_arguments, "fast.spv");
}

/* What happens without it: the reason for the step. */
static void optimiser_fuses_what_is_undecorated(void **state)
{
    (void)state;
    compile("", "y[i] = floatBitsToUint(fused(f(i), f(i + 1), f(i + 2)));", "-O");
    expect_refusal(exact_arguments, "case.spv", "Fma");
}

/* ---- spvlint: arithmetic ---- */

static void refuses_inexact_instructions(void **state)
{
    (void)state;
    static const struct { const char *declarations, *expression, *message; } cases[] = {
        {"", "fma(f(i), f(i + 1), f(i + 2))", "Fma"},
        {"", "f(i) / f(i + 1)", "FDiv"},
        {"", "mod(f(i), f(i + 1))", "FMod"},
        {"", "dot(vec2(f(i)), vec2(f(i + 1)))", "Dot"},
        {"", "(mat2(f(i)) * vec2(f(i + 1))).x", "MatrixTimesVector"},
        {"", "(mat2(f(i)) * mat2(f(i + 1)))[0].x", "MatrixTimesMatrix"},
        {"", "outerProduct(vec2(f(i)), vec2(f(i + 1)))[0].x", "OuterProduct"},
        {"", "sqrt(f(i))", "Sqrt"},
        {"", "inversesqrt(f(i))", "InverseSqrt"},
        {"", "exp(f(i))", "Exp"},
        {"", "exp2(f(i))", "Exp2"},
        {"", "log(f(i))", "Log"},
        {"", "log2(f(i))", "Log2"},
        {"", "pow(f(i), f(i + 1))", "Pow"},
        {"", "sin(f(i))", "Sin"},
        {"", "cos(f(i))", "Cos"},
        {"", "tan(f(i))", "Tan"},
        {"", "tanh(f(i))", "Tanh"},
        {"", "atan(f(i), f(i + 1))", "Atan2"},
        {"", "min(f(i), f(i + 1))", "FMin"},
        {"", "max(f(i), f(i + 1))", "FMax"},
        {"", "clamp(f(i), 0.0, 1.0)", "FClamp"},
        {"", "mix(f(i), f(i + 1), 0.25)", "FMix"},
        {"", "smoothstep(0.0, 1.0, f(i))", "SmoothStep"},
        {"", "length(vec2(f(i)))", "Length"},
        {"", "normalize(vec2(f(i))).x", "Normalize"},
        {"", "fract(f(i))", "not on the list"},
        {"", "round(f(i))", "Round (use roundEven)"},
        {"", "float(isnan(f(i)))", "IsNan"},
        {"", "float(isinf(f(i)))", "IsInf"},
        {"", "float(packHalf2x16(vec2(f(i))))", "PackHalf2x16"},
        {"", "float(packUnorm4x8(vec4(f(i))))", "PackUnorm4x8"},
        {"", "unpackHalf2x16(x[i]).x", "UnpackHalf2x16"},
        {"#extension GL_KHR_shader_subgroup_arithmetic : require", "subgroupAdd(f(i))", "GroupNonUniformFAdd"},
        {"#extension GL_KHR_shader_subgroup_arithmetic : require", "subgroupMax(f(i))", "GroupNonUniformFMax"},
        {"#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require", "float(float16_t(f(i)))", "FConvert"},
        {"#extension GL_EXT_shader_atomic_float : require\nshared float s;", "atomicAdd(s, f(i))", "AtomicFAddEXT"},
    };
    char output[4096], body[256];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        snprintf(body, sizeof body, "y[i] = floatBitsToUint(%s);", cases[c].expression);
        compile(cases[c].declarations, body, "-O0");
        assert_int_equal(run(output, sizeof output, "%s case.spv fixed.spv", spvfix), 0);
        expect_refusal(exact_arguments, "fixed.spv", cases[c].message);
    }
    /* TOLERANT kernels may. */
    compile("", "y[i] = floatBitsToUint(sqrt(f(i)) / fma(f(i), f(i + 1), f(i + 2)));", "-O0");
    expect_acceptance("--tolerant --views rw --params 8", "case.spv");
}

static void accepts_exact_instructions(void **state)
{
    (void)state;
    static const char *const expressions[] = {
        "floor(f(i))", "ceil(f(i))", "trunc(f(i))", "roundEven(f(i))", "abs(f(i))", "float(int(f(i)))", "float(x[i])",
        "float(min(x[i], 3u) + uint(max(int(i), -3)) + uint(findMSB(x[i])) + uint(bitCount(x[i])))",
        "f(i) < f(i + 1) ? f(i) : f(i + 2)", "f(i) != f(i) ? 1.0 : -f(i)", "f(i) * f(i + 1) - f(i + 2)",
    };
    char output[4096], body[256];
    for (size_t e = 0; e < sizeof expressions / sizeof *expressions; e++) {
        snprintf(body, sizeof body, "y[i] = floatBitsToUint(%s);", expressions[e]);
        compile("", body, "-O0");
        assert_int_equal(run(output, sizeof output, "%s case.spv fixed.spv", spvfix), 0);
        expect_acceptance(exact_arguments, "fixed.spv");
    }
}

/* ---- spvlint: layout ---- */

#define LAYOUT(local, push, bx, by)                                                                     \
    "#define OWN_LAYOUT\nlayout(local_size_x = " local ") in;\n"                                        \
    "layout(push_constant) uniform push { " push " } p;\n"                                              \
    "layout(" bx ") readonly buffer b0 { uint x[]; };\nlayout(" by ") buffer b1 { uint y[]; };\n"
#define X "set = 0, binding = 0"
#define Y "set = 0, binding = 1"

static void refuses_wrong_layouts(void **state)
{
    (void)state;
    static const struct { const char *declarations, *arguments, *message; } cases[] = {
        {LAYOUT("128", "uint groups, n;", X, Y), exact_arguments, "workgroup of 128x1x1"},
        {LAYOUT("256, local_size_y = 2", "uint groups, n;", X, Y), exact_arguments, "workgroup of 256x2x1"},
        {LAYOUT("256", "uint groups, n, m;", X, Y), exact_arguments, "12 bytes of push constants"},
        {LAYOUT("256", "uint groups; uint n[3];", X, Y) "#define n n[0]\n", exact_arguments, "16 bytes of push constants"},
        {LAYOUT("256", "uint groups; vec4 v; uint n;", X, Y), "--exact --views rw --params 24", "36 bytes of push constants"},
        {LAYOUT("256", "uint n; uint more[40];", X, Y), "--exact --views rw --params 164", "at most 128"},
        {LAYOUT("256", "uint groups, n;", "set = 1, binding = 0", Y), exact_arguments, "set 1 binding 0"},
        {LAYOUT("256", "uint groups, n;", X, "set = 0, binding = 2"), exact_arguments, "binding 2"},
        {LAYOUT("256", "uint groups, n;", X, X), exact_arguments, "two storage buffers at binding 0"},
        {LAYOUT("256", "uint groups, n;", X, Y), "--exact --views rrw --params 8", "2 storage buffers; kernels.def has 3"},
        {LAYOUT("256", "uint groups, n;", X, Y), "--exact --views r --params 8", "binding 1"},
        {LAYOUT("256", "uint groups, n;", X, Y), "--exact --views rr --params 8", "view 1 is 'r'"},
        {LAYOUT("256", "uint groups, n;", X, Y), "--exact --views wx --params 8", "view 0 is 'w'"},
        {LAYOUT("256", "uint groups, n;", X, Y) "shared float big[8193];", exact_arguments, "32772 bytes of shared memory"},
        {LAYOUT("256", "uint groups, n;", X, Y) "shared vec4 big[4][513]; shared uint more;", exact_arguments, "bytes of shared memory"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const char *use = strstr(cases[c].declarations, "vec4 big") ? "y[i] = x[i]; big[i % 4][i % 7] = vec4(0); more = i;"
                          : strstr(cases[c].declarations, "big")   ? "y[i] = x[i]; big[i] = 0;"
                                                                   : "y[i] = x[i];";
        compile(cases[c].declarations, use, "-O0");
        expect_refusal(cases[c].arguments, "case.spv", cases[c].message);
    }
    expect_refusal("--exact --views rrrrrrrrw --params 8", "case.spv", "9 views; at most 8");
}

static void refuses_what_the_baseline_lacks(void **state)
{
    (void)state;
    static const struct { const char *declarations, *body, *message; } cases[] = {
        {"#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require", "y[i] = uint(float16_t(x[i]) * 2.0hf);", "capability 9"},
        {"#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require", "y[i] = uint(uint64_t(x[i]) * 3ul >> 32);", "64 bits"},
        {"", "y[i] = uint(double(x[i]) * 2.0lf);", "64 bits"},
        {"#extension GL_KHR_shader_subgroup_ballot : require", "y[i] = subgroupBroadcast(x[i], 3u);", "capability 64"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        compile(cases[c].declarations, cases[c].body, "-O0");
        expect_refusal("--tolerant --views rw --params 8", "case.spv", cases[c].message);
    }
    expect_acceptance("--subgroup --exact --views rw --params 8", "case.spv"); /* the last one, where it is allowed */
}

static void knows_the_kernels(void **state)
{
    (void)state;
    char output[4096];
    compile("#define PARAMS uint groups, n; float cap;", "y[i] = x[i];", "-O0");
    expect_acceptance("--kernel relu_fwd", "case.spv");
    expect_refusal("--kernel binary", "case.spv", "kernels.def has 3 views");
    expect_refusal("--kernel transpose", "case.spv", "its parameters in kernel_params.h have 16");
    assert_int_equal(run(output, sizeof output, "%s --kernel no_such case.spv", spvlint), 2);
    assert_non_null(strstr(output, "no_such is not in kernels.def"));
    assert_int_equal(run(output, sizeof output, "%s --exact case.spv", spvlint), 2);
    assert_int_equal(run(output, sizeof output, "%s", spvfix), 2);
}

/* ---- damaged files ---- */

static void survives_damage(void **state)
{
    (void)state;
    char output[4096], path[256];
    compile("", "y[i] = floatBitsToUint(f(i) * f(i + 1));", "-O0");
    snprintf(path, sizeof path, "%s/case.spv", folder);
    FILE *file = fopen(path, "rb");
    uint32_t words[4096];
    assert_non_null(file);
    size_t count = fread(words, 4, 4096, file);
    fclose(file);
    assert_in_range(count, 100, 4095);
    const char *const programs[] = {spvfix, spvlint};
    const char *const arguments[] = {"bad.spv out.spv", "--exact --views rw --params 8 bad.spv"};
    for (int p = 0; p < 2; p++) {
        assert_int_equal(run(output, sizeof output, "rm -f bad.spv; %s %s", programs[p], arguments[p]), 1);
        assert_non_null(strstr(output, "cannot open"));
        write_file("bad.spv", words, 0);
        assert_int_equal(run(output, sizeof output, "%s %s", programs[p], arguments[p]), 1);
        write_file("bad.spv", words, 4 * count - 2); /* no whole words */
        assert_int_equal(run(output, sizeof output, "%s %s", programs[p], arguments[p]), 1);
        write_file("bad.spv", words, 4 * count - 4); /* cut in an instruction, or just shorter by a whole one */
        assert_in_range(run(output, sizeof output, "%s %s", programs[p], arguments[p]), 0, 1);
        static const struct { size_t word; uint32_t value; } changes[] = {{0, 0x03022307}, {3, 0xffffffff}, {5, 0}, {5, 0xffff0011}};
        for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
            uint32_t kept = words[changes[c].word];
            words[changes[c].word] = changes[c].value;
            write_file("bad.spv", words, 4 * count);
            assert_int_equal(run(output, sizeof output, "%s %s", programs[p], arguments[p]), 1);
            words[changes[c].word] = kept;
        }
        uint32_t random = 1; /* and rubbish in any place: an answer, never a crash */
        for (int i = 0; i < 60; i++) {
            random = random * 1664525u + 1013904223u;
            size_t at = 1 + (random >> 8) % (count - 1);
            uint32_t kept = words[at];
            words[at] = i % 2 ? random * 2654435761u : kept ^ 1u << random % 32;
            write_file("bad.spv", words, 4 * count);
            assert_in_range(run(output, sizeof output, "%s %s", programs[p], arguments[p]), 0, 1);
            words[at] = kept;
        }
    }
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decorates_everything),         cmocka_unit_test(optimiser_fuses_what_is_undecorated),
        cmocka_unit_test(refuses_inexact_instructions), cmocka_unit_test(accepts_exact_instructions),
        cmocka_unit_test(refuses_wrong_layouts),        cmocka_unit_test(refuses_what_the_baseline_lacks),
        cmocka_unit_test(knows_the_kernels),            cmocka_unit_test(survives_damage),
    };
    if (argc != 6) {
        fprintf(stderr, "usage: test_spv GLSLC SPIRV_OPT SPIRV_VAL SPVFIX SPVLINT\n");
        return 2;
    }
    glslc = argv[1];
    spirv_opt = argv[2];
    spirv_val = argv[3];
    spvfix = argv[4];
    spvlint = argv[5];
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
