"""test_tools.py: the lints and guards of kernels_cuda/tools, on texts and on deliberately wrong kernels.

    test_tools.py TOOLS SOURCE_ROOT BUILD_DIR [NVCC CUOBJDUMP]

Without a toolkit the readers are fed recorded texts; with one, kernels that are wrong in one way each are compiled, and the
compile step must refuse them for that reason and no other.
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

TOOLS, SOURCE, BUILD = sys.argv[1:4]
NVCC, CUOBJDUMP = (sys.argv[4:6] + ["", ""])[:2]
sys.path.insert(0, TOOLS)
import compile as compile_step  # noqa: E402
import lint  # noqa: E402

failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print("FAILED: " + what)


# ---- texts ----

PTXAS = """
ptxas info    : Compiling entry function 'good' for 'sm_80'
ptxas info    : Function properties for good
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 21504 bytes smem, 376 bytes cmem[0]
ptxas info    : Compiling entry function 'bad' for 'sm_90'
ptxas info    : Function properties for bad
    40 bytes stack frame, 24 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 98 registers, used 0 barriers
"""


def test_ptxas():
    usage = lint.ptxas_usage(PTXAS)
    check([u["name"] for u in usage] == ["good", "bad"], "functions of a ptxas report")
    check([u["registers"] for u in usage] == [10, 98] and usage[0]["shared"] == 21504, "registers of a ptxas report")
    check(lint.lint_usage(usage) == ["bad (sm_90) spills 40 bytes of registers"], "spill found")


def sass(*instructions):
    lines = ["\tcode for sm_90", "\t\tFunction : kernel"]
    lines += ["        /*%04x*/    %s ;    /* 0x0 */" % (16 * i, text) for i, text in enumerate(instructions)]
    return "\n".join(lines)


GOOD_SASS = [
    ["FMUL R0, R2, 3", "FADD R7, R0, R7", "LDG.E R2, desc[UR4][R2.64]"],
    ["I2F.U32.RP R3, R2", "ISETP.NE.U32.AND P2, PT, R2, RZ, PT", "MUFU.RCP R3, R3", "VIADD R4, R3, 0xffffffe"],
    ["I2F.U32.RP R6, UR5", "@P0 MUFU.RCP R6, R6", "IADD3 R2, R6, 0xffffffe, RZ"],
    ["I2F.U64.RP R5, R2", "MUFU.RCP R5, R5", "IADD3 R6, R5, 0x1ffffffe, RZ"],
    ["HFMA2.MMA R5, -RZ, RZ, 0, 2.384185791015625e-07"],  # moves a constant
    ["ATOMG.E.CAS.STRONG.GPU PT, R0, [R4], R2, R3", "ATOMS.ADD RZ, [R2], R3", "RED.E.ADD.STRONG.GPU [R2.64], R5"],
    ["I2FP.F32.U32 R0, R4", "F2I.TRUNC.NTZ R1, R0", "FSETP.GT.AND P0, PT, R0, R1, PT", "FSEL R0, R1, R2, P0"],
]
BAD_SASS = [
    ["FFMA R0, R1, R2, R3"], ["@P1 FFMA.FTZ R0, R1, R2, R3"], ["MUFU.RSQ R0, R1"], ["MUFU.EX2 R0, R1"],
    ["MUFU.RCP R0, R1"],                                                # of a float: nobody wrote R1
    ["I2F.U32.RP R1, R2", "FADD R1, R1, 1", "MUFU.RCP R0, R1", "IADD3 R0, R0, 0xffffffe, RZ"],  # overwritten before
    ["I2F.U32.RP R1, R2", "MUFU.RCP R0, R1", "FMUL R0, R0, R3"],        # used as a float
    ["I2F.U32.RP R1, R2", "MUFU.RCP R0, R1", "IADD3 R0, R0, 0x1, RZ"],  # not the correction
    ["FADD.FTZ R0, R1, R2"], ["RED.E.ADD.F32.FTZ.RN.STRONG.GPU [R2.64], R5"], ["ATOMG.E.ADD.F32.FTZ.RN.STRONG.GPU PT, R0, [R2], R5"],
    ["HADD2 R0, R1, R2"], ["HFMA2 R0, R1, R2, R3"], ["HMMA.16816.F32 R0, R4, R8, R0"], ["F2F.F16.F32 R0, R1"],
    ["DADD R0, R2, R4"],
]


def test_sass_texts():
    for code in GOOD_SASS:
        check(lint.lint_sass(sass(*code)) == [], "allowed: %s: %s" % (code, lint.lint_sass(sass(*code))))
    for code in BAD_SASS:
        check(len(lint.lint_sass(sass(*code))) == 1, "found once: %s: %s" % (code, lint.lint_sass(sass(*code))))
    check(lint.parse_sass(sass("NOP"))[0][:2] == ("kernel", "sm_90"), "function and architecture")


GOOD_PTX = ["add.rn.f32 %f1, %f2, %f3;", "mul.rn.f32 %f1, %f2, %f3;", "mad.lo.s32 %r1, %r2, %r3, %r4;", "div.u32 %r1, %r2, %r3;",
            "cvt.rn.f32.u32 %f1, %r1;", "cvt.rzi.s32.f32 %r1, %f1;", "atom.global.add.u32 %r1, [%rd1], %r2;",
            "@%p1 bra $L__BB0_2; // fma.rn.f32", "setp.gt.f32 %p1, %f1, %f2;"]
BAD_PTX = ["fma.rn.f32 %f1, %f2, %f3, %f4;", "add.f32 %f1, %f2, %f3;", "mul.f32 %f1, %f2, 0f40000000;", "div.rn.f32 %f1, %f2, %f3;",
           "sqrt.rn.f32 %f1, %f2;", "rsqrt.approx.f32 %f1, %f2;", "ex2.approx.ftz.f32 %f1, %f2;", "add.rn.ftz.f32 %f1, %f2, %f3;",
           "@%p1 atom.global.add.f32 %f1, [%rd1], %f2;", "red.global.add.f32 [%rd1], %f2;", "cvt.rn.f16.f32 %rs1, %f1;",
           "fma.rn.f64 %fd1, %fd2, %fd3, %fd4;"]


def test_ptx_texts():
    for line in GOOD_PTX:
        check(lint.lint_ptx(line) == [], "allowed: " + line)
    for line in BAD_PTX:
        check(len(lint.lint_ptx("\t" + line)) == 1, "found: " + line)


def test_fast_math_guard():
    refuse = compile_step.refuse_fast_math
    check(refuse(["-Isrc", "-DACTC_EXACT_VARIANT"], {"NVCC_APPEND_FLAGS": "-lineinfo"}) is None, "ordinary flags pass")
    for flag in ("--use_fast_math", "-use_fast_math", "-ftz=true", "--ftz true", "-prec-div=false", "-prec-sqrt=0", "-fmad=true"):
        check(refuse([flag], {}) is not None, "refused: " + flag)
        check(refuse([], {"NVCC_APPEND_FLAGS": flag}) is not None, "refused in NVCC_APPEND_FLAGS: " + flag)
        check(refuse([], {"NVCC_PREPEND_FLAGS": flag}) is not None, "refused in NVCC_PREPEND_FLAGS: " + flag)


# ---- kernels that are wrong in one way each ----

# name: (body, what the refusal must name). c, a, b: float pointers; i: the element.
WRONG_KERNELS = {
    "contracted": ("c[i] = __fmaf_rn(a[i], b[i], c[i]);", "fused multiply-add"),
    "division": ("c[i] = a[i] / b[i];", "division or root"),
    "root": ("c[i] = sqrtf(a[i]);", "division or root"),
    "exponential": ("c[i] = __expf(a[i]);", "approximate"),
    "float_atomic": ("atomicAdd(c, a[i]);", "float atomic"),
    "half": ("asm(\"{.reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.f32.f16 %0, h;}\" : \"=f\"(c[i]) : \"f\"(a[i]));", "not f32"),
    "flushed": ("asm(\"add.rn.ftz.f32 %0, %1, %2;\" : \"=f\"(c[i]) : \"f\"(a[i]), \"f\"(b[i]));", "flush of subnormals"),
}
WRONG = """#include "common.cuh"
extern "C" __global__ void wrong(const uint n, const float *a, const float *b, float *c)
{
    const uint i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        %s
    }
}
"""
SPILLING = """#include "common.cuh"
extern "C" __global__ void __launch_bounds__(1024, 2) wrong(const uint n, const float *a, const float *b, float *c)
{
    float v[64];
#pragma unroll
    for (uint j = 0; j < 64; j++)
        v[j] = a[j * n + threadIdx.x];
#pragma unroll
    for (uint j = 0; j < 64; j++)
        c[j * n + threadIdx.x] = __fmul_rn(v[j], v[63 - j]);
    __syncthreads();
#pragma unroll
    for (uint j = 0; j < 64; j++)
        c[(64 + j) * n + threadIdx.x] = __fadd_rn(v[j], v[(j * 7 + 5) % 64]);
}
"""


def compile_text(folder, name, text, parity, extra=(), environment=None):
    source, out = os.path.join(folder, name + ".cu"), os.path.join(folder, name + ".fatbin")
    with open(source, "w") as file:
        file.write(text)
    command = [sys.executable, os.path.join(TOOLS, "compile.py"), "--nvcc", NVCC, "--cuobjdump", CUOBJDUMP, "--name", name,
               "--parity", parity, "--out", out, "-I" + os.path.join(SOURCE, "src"), "-I" + os.path.join(SOURCE, "kernels_cuda")]
    result = subprocess.run(command + list(extra) + [source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True, env=dict(os.environ, **(environment or {})))
    return result.returncode, result.stdout, os.path.exists(out)


def test_wrong_kernels():
    with tempfile.TemporaryDirectory() as folder:
        code, text, made = compile_text(folder, "right", WRONG % "c[i] = __fadd_rn(__fmul_rn(a[i], b[i]), c[i]);", "EXACT")
        check(code == 0 and made, "a right kernel is compiled: " + text)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = pool.map(lambda item: compile_text(folder, item[0], WRONG % item[1][0], "EXACT"), WRONG_KERNELS.items())
        for (name, (body, reason)), (code, text, made) in zip(WRONG_KERNELS.items(), outcomes):
            check(code != 0 and not made and reason in text, "wrong kernel '%s' is refused for '%s': %s" % (name, reason, text))
            print("wrong kernel %-14s refused: %s" % (name, text.splitlines()[1].strip() if len(text.splitlines()) > 1 else text))
        # The machine code alone: PTX says mul.rn and add.rn here, and only ptxas could fuse them; it must not.
        code, text, made = compile_text(folder, "tolerant", WRONG % WRONG_KERNELS["contracted"][0], "TOLERANT")
        check(code == 0 and made, "a TOLERANT kernel may fuse: " + text)
        if CUOBJDUMP:
            found = lint.lint_sass(subprocess.run([CUOBJDUMP, "-sass", os.path.join(folder, "tolerant.fatbin")],
                                                  stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout)
            check(len(found) == 2 and all("FFMA" in f for f in found), "FFMA found in machine code of both: %s" % found)
        code, text, made = compile_text(folder, "spilling", SPILLING, "TOLERANT")
        check(code != 0 and not made and "spills" in text, "a spill is refused: " + text)
        code, text, made = compile_text(folder, "fast", WRONG % "c[i] = a[i];", "TOLERANT", extra=["--use_fast_math"])
        check(code != 0 and "fast_math" in text, "fast-math is refused: " + text)
        code, text, made = compile_text(folder, "warns", WRONG % "uint unused = 1; c[i] = a[i];", "EXACT")
        check(code != 0 and not made, "a warning is refused")


def test_built_kernels():
    """What the build made: every kernel linted at both architectures, none spills."""
    folder = os.path.join(BUILD, "kernels_cuda")
    names = [f for f in os.listdir(folder) if f.endswith(".usage")]
    check(len(names) > 0, "the build has made kernels")
    for name in names:
        with open(os.path.join(folder, name)) as file:
            lines = file.read().split("\n")[:-1]
        check(len(lines) == 2 and "sm_80" in lines[0] and "sm_90" in lines[1], name + " is for sm_80 and sm_90")
        for line in lines:
            check("spill=0" in line and "sass_lint=yes" in line, line)


test_ptxas()
test_sass_texts()
test_ptx_texts()
test_fast_math_guard()
if NVCC:
    test_wrong_kernels()
    test_built_kernels()
else:
    print("no CUDA toolkit: kernels are not compiled, the recorded texts are")
sys.exit(1 if failures else 0)
