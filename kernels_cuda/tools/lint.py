"""lint.py: reads what nvcc and ptxas made of a kernel, and says what must not be there.

Three readers, each a function from text to a list of findings, so that tests can feed them:
  ptxas_usage  the report of `ptxas -v`: registers, shared memory and spills of every function and architecture
  lint_ptx     PTX of an EXACT kernel: every float operation names its rounding, none is approximate or fused
  lint_sass    machine code (cuobjdump -sass) of an EXACT kernel: no FFMA, no MUFU, no float atomics, nothing flushed

Integer division has no instruction of its own: the compiler seeds it with I2F.RP, MUFU.RCP, IADD 0xffffffe, F2I. That
reciprocal is corrected by integer arithmetic afterwards, so the idiom, and only it, is let through.
"""
import re
import sys

# ---- ptxas -v ----

_ENTRY = re.compile(r"Compiling entry function '([^']+)' for '(sm_\w+)'")
_SPILL = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SMEM = re.compile(r"(\d+) bytes smem")


def ptxas_usage(text):
    """One dict a function and architecture: name, arch, registers, stack, spill, shared."""
    usage = []
    for line in text.splitlines():
        match = _ENTRY.search(line)
        if match:
            usage.append(dict(name=match[1], arch=match[2], registers=0, stack=0, spill=0, shared=0))
            continue
        if not usage:
            continue
        match = _SPILL.search(line)
        if match:
            usage[-1]["stack"] += int(match[1])
            usage[-1]["spill"] += int(match[2]) + int(match[3])
        match = _USED.search(line)
        if match:
            usage[-1]["registers"] = int(match[1])
            match = _SMEM.search(line)
            usage[-1]["shared"] = int(match[1]) if match else 0
    return usage


def lint_usage(usage):
    return ["%s (%s) spills %d bytes of registers" % (u["name"], u["arch"], u["spill"]) for u in usage if u["spill"]]


# ---- PTX ----

_PTX_RULES = [
    (re.compile(r"^(fma|mad)\.[\w.]*f(16|32|64)"), "fused multiply-add"),
    (re.compile(r"^(add|sub|mul)(\.sat)?\.f(32|64)"), "float operation that leaves its rounding open"),
    (re.compile(r"\.approx"), "approximate instruction"),
    (re.compile(r"\.ftz"), "flush of subnormals"),
    (re.compile(r"^(div|rcp|sqrt|rsqrt)\.[\w.]*f(32|64)"), "float division or root"),
    (re.compile(r"^(ex2|lg2|sin|cos|tanh)\."), "transcendental"),
    (re.compile(r"^(atom|red)\.[\w.]*f(16|32|64)"), "float atomic"),
    (re.compile(r"^(wmma|mma|wgmma)\b"), "matrix instruction"),
    (re.compile(r"^cvt\.[\w.]*(b?f16)"), "conversion to or from 16-bit floats"),
]


def lint_ptx(text):
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//")[0].strip()
        code = re.sub(r"^@!?%\w+\s+", "", code)
        for rule, what in _PTX_RULES:
            if rule.search(code):
                findings.append("PTX line %d: %s: %s" % (number, what, code))
                break
    return findings


# ---- machine code ----

_FUNCTION = re.compile(r"^\s*Function\s*:\s*(\S+)")
_ARCH = re.compile(r"^\s*code for (sm_\w+)")
_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(?:@!?\w+\s+)?([A-Z][\w.]*)\s*([^;]*);")
_LOOKAROUND = 128  # instructions between the parts of an integer division, which the scheduler interleaves

_SASS_RULES = [
    (re.compile(r"^(FFMA|FFMA32I|DFMA)\b"), "fused multiply-add"),
    (re.compile(r"^HFMA2"), "half-precision arithmetic"),
    (re.compile(r"^(FADD|FMUL|FADD32I|FMUL32I|FSET|FSETP|FMNMX|FSWZADD)\.([\w.]*\.)?FTZ"), "flush of subnormals"),
    (re.compile(r"^(RED|REDG|ATOM|ATOMG|ATOMS)\.[\w.]*(F16|F32|F64|FADD)"), "float atomic"),
    (re.compile(r"^(HMMA|IMMA|DMMA|HGMMA|QGMMA)\b"), "matrix instruction"),
    (re.compile(r"^(HADD2|HMUL2|DADD|DMUL)\b"), "arithmetic that is not f32"),
    (re.compile(r"^F2F\."), "conversion between float formats"),
]


def _registers(operands):
    return re.findall(r"\b(R\d+|UR\d+)\b", operands)


def _is_integer_division(code, at):
    """code: (opcode, operands). MUFU.RCP at `at` belongs to an integer division: written by I2F.RP before, and the
    first reader of its result adds 0xffffffe (32 bits) or 0x1ffffffe (64)."""
    registers = _registers(code[at][1])
    if len(registers) < 2:
        return False
    target, source = registers[0], registers[1]
    for i in range(at - 1, max(-1, at - _LOOKAROUND), -1):
        written = _registers(code[i][1])[:1]
        if written == [source]:
            if not re.match(r"^I2F(P)?\.(.*\.)?RP\b", code[i][0]):
                return False
            break
    else:
        return False
    for i in range(at + 1, min(len(code), at + _LOOKAROUND)):
        if target in _registers(code[i][1])[1:]:
            return bool(re.match(r"^(IADD3|VIADD|IADD)\b", code[i][0])) and \
                bool(re.search(r"\b0x1?ffffffe\b", code[i][1]))
        if target in _registers(code[i][1])[:1]:
            return False
    return False


def _is_constant_load(opcode, operands):
    """HFMA2 of RZ and RZ moves a constant into a register: the compiler spreads such moves over the pipes."""
    return opcode.startswith("HFMA2") and re.match(r"^R\d+, -?RZ, -?RZ, ", operands) is not None


def parse_sass(text):
    """(function, arch, [(opcode, operands)]) for every function in the text."""
    functions, arch = [], ""
    for line in text.splitlines():
        match = _ARCH.match(line)
        if match:
            arch = match[1]
        match = _FUNCTION.match(line)
        if match:
            functions.append((match[1], arch, []))
            continue
        match = _INSTRUCTION.match(line)
        if match and functions:
            functions[-1][2].append((match[1], match[2].strip()))
    return functions


def lint_sass(text):
    findings = []
    for name, arch, code in parse_sass(text):
        for i, (opcode, operands) in enumerate(code):
            where = "%s (%s) instruction %d: " % (name, arch, i)
            if opcode.startswith("MUFU"):
                if not (opcode == "MUFU.RCP" and _is_integer_division(code, i)):
                    findings.append(where + "special function: " + opcode + " " + operands)
                continue
            if _is_constant_load(opcode, operands):
                continue
            for rule, what in _SASS_RULES:
                if rule.search(opcode):
                    findings.append(where + what + ": " + opcode + " " + operands)
                    break
    return findings


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("ptxas", "ptx", "sass"):
        sys.exit("usage: lint.py ptxas|ptx|sass FILE")
    with open(arguments[1]) as file:
        text = file.read()
    if arguments[0] == "ptxas":
        findings = lint_usage(ptxas_usage(text))
    else:
        findings = (lint_ptx if arguments[0] == "ptx" else lint_sass)(text)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
