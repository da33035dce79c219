"""compile.py: one kernel to one fat binary (machine code for sm_80 and sm_90, PTX for what comes after).

Fails the build where nvcc fails or warns, where a kernel spills registers, where the PTX or the machine code of an EXACT
kernel holds what EXACT forbids (lint.py), and where anything asks for fast-math. Writes, beside the fat binary, NAME.usage:
one line an architecture with registers and shared memory.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402

ARCHITECTURES = ["arch=compute_80,code=sm_80", "arch=compute_90,code=[sm_90,compute_90]"]
EXACT_FLAGS = ["-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true"]
TOLERANT_FLAGS = ["-fmad=true", "-ftz=false", "-prec-div=true", "-prec-sqrt=true"]
# nvcc defines no macro under these, so source cannot refuse them.
REFUSED = re.compile(r"fast.?math|-ftz[= ]true|-ftz[= ]1|-prec-(div|sqrt)[= ](false|0)|-fmad[= ](true|1)")


def refuse_fast_math(arguments, environment):
    """Returns what asks for fast-math, or None."""
    for text in [" ".join(arguments)] + [environment.get(n, "") for n in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")]:
        match = REFUSED.search(text)
        if match:
            return match[0]
    return None


def fail(message):
    sys.exit("compile.py: " + message)


def run(command, environment):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                            env=environment)
    if result.returncode:
        fail("%s\n%s%s" % (" ".join(command), result.stdout, result.stderr))
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--cuobjdump", default="")
    parser.add_argument("--name", required=True)
    parser.add_argument("--parity", required=True, choices=["EXACT", "TOLERANT"])
    parser.add_argument("--depfile")
    parser.add_argument("--out", required=True)
    parser.add_argument("source")
    options, extra = parser.parse_known_args()

    refused = refuse_fast_math(extra, os.environ)
    if refused:
        fail("'%s' is refused: the EXACT parity class would not hold" % refused)

    # nvcc takes its own tools from beside it; another toolkit's must not come first.
    environment = dict(os.environ)
    environment["PATH"] = os.path.dirname(os.path.abspath(options.nvcc)) + os.pathsep + environment.get("PATH", "")

    with tempfile.TemporaryDirectory() as scratch:
        command = [options.nvcc, "-fatbin", "-std=c++17", "-Werror", "all-warnings", "-Xptxas", "-v",
                   "--keep", "--keep-dir", scratch]
        for architecture in ARCHITECTURES:
            command += ["-gencode", architecture]
        command += EXACT_FLAGS if options.parity == "EXACT" else TOLERANT_FLAGS
        if options.depfile:
            command += ["-MD", "-MF", options.depfile, "-MT", options.out]
        command += extra + ["-o", options.out, options.source]
        report = run(command, environment).stderr
        usage = lint.ptxas_usage(report)
        if not usage:
            fail("ptxas reported nothing for %s" % options.name)
        findings = lint.lint_usage(usage)
        if options.parity == "EXACT":
            texts = glob.glob(os.path.join(scratch, "*.ptx"))
            if not texts:
                fail("nvcc kept no PTX for %s" % options.name)
            for path in sorted(texts):
                with open(path) as file:
                    findings += lint.lint_ptx(file.read())
            if options.cuobjdump:
                text = run([options.cuobjdump, "-sass", options.out], environment).stdout
                found = {arch for _, arch, code in lint.parse_sass(text) if code}
                if found != {"sm_80", "sm_90"}:
                    fail("machine code of %s is for %s, not for sm_80 and sm_90" % (options.name, sorted(found)))
                findings += lint.lint_sass(text)
        if findings:
            os.unlink(options.out)
            fail("%s (%s):\n  %s" % (options.name, options.parity, "\n  ".join(findings)))

    with open(os.path.splitext(options.out)[0] + ".usage", "w") as file:
        for u in usage:
            file.write("%s %s %s registers=%d shared=%d stack=%d spill=%d sass_lint=%s\n" %
                       (options.name, options.parity, u["arch"], u["registers"], u["shared"], u["stack"], u["spill"],
                        "no" if options.parity == "EXACT" and not options.cuobjdump else "yes"))


if __name__ == "__main__":
    main()
