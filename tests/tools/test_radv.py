#!/usr/bin/env python3
"""AMD's compiler (ACO, in Mesa's RADV) on every kernel, for a GPU that is not there: RADV_FORCE_FAMILY.

  test_radv.py FAMILY ICD KERNELS.DEF ACTC-INFO ACTC-TRAIN ACTC-BENCH

No kernel spills; the machine code of EXACT ones neither fuses nor approximates; what would use the device is refused. Exit
status: 0, 1 where something does not hold, 77 where this machine has no RADV or it does not know the family.
"""
import json
import os
import re
import subprocess
import sys

FAMILY, ICD, KERNELS, INFO, TRAIN, BENCH = sys.argv[1:]
ENVIRONMENT = {**os.environ, "RADV_FORCE_FAMILY": FAMILY, "VK_DRIVER_FILES": ICD}
wrong = []


def run(*command):
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=280)


def check(holds, what):
    if not holds:
        wrong.append(what)


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


if not os.path.exists(ICD):
    skip(f"{ICD} is missing (Debian: mesa-vulkan-drivers)")
device = next((d for d in json.loads(run(INFO, "--format", "json").stdout)["devices"] if d["backend"] == "vulkan"), None)
if not device or FAMILY.upper() not in device["name"].upper():
    skip(f"RADV here makes no null device {FAMILY}: {device}")
check(not device["usable"] and device["compiles"] and "compile-all" in device["reason"], f"listed as {device}")

done = run(INFO, "--compile-all", "--device", "vulkan", "--format", "json")
check(done.returncode == 0, f"--compile-all: exit status {done.returncode}\n{done.stderr}")
report = json.loads(done.stdout)
kernels = report["kernels"]
with open(KERNELS) as file:
    names = re.findall(r"^ACTC_(?:KERNEL|VARIANT)\((\w+)", file.read(), re.M)
check(set(names) == {k["kernel"].split()[0] for k in kernels}, "not every kernel of kernels.def was compiled")
for k in kernels:
    check(k["spilled_registers"] == 0 and k["scratch_bytes"] == 0, f"{k['kernel']} spills: {k}")
    check(k["registers"] > 0 and k["scalar_registers"] > 0 and k["code_bytes"] > 0 and k["latency_cycles"] > 0, f"no numbers: {k}")
    check(k["inexact_instructions"] is not None, f"{k['kernel']}: no machine code to look at")
    check(not (k["exact"] and k["inexact_instructions"]), f"{k['kernel']} is EXACT: {k}")
# The look at the machine code sees what it looks for: the fast products fuse, but for GPUs where fma() is v_mad.
products = [k["inexact_instructions"] for k in kernels if not k["exact"] and k["registers"]]
if FAMILY in ("navi21", "gfx1100"):
    check(all(products), f"fast products without a fused multiply-add: {products}")

done = run(INFO, "--compile-all", "--device", "vulkan")
lines = [line for line in done.stdout.splitlines() if re.match(r"  \w.* (EXACT|TOLERANT) ", line)]
check(done.returncode == 0 and len(lines) == len(kernels) and len({len(line) for line in lines}) == 1, "the table is not aligned")
print(done.stdout)

for command in ((TRAIN, "mnistnet", "--device", "vulkan", "--out", "none"), (BENCH, "codec", "--device", "vulkan")):
    done = run(*command)
    check(done.returncode == 1 and "compiler without hardware" in done.stderr,
          f"{command}: exit status {done.returncode}, {done.stdout}{done.stderr}")

print("\n".join(wrong) or f"{FAMILY}: {len(kernels)} pipelines in {report['seconds']:.1f} s; nothing spills, EXACT is exact")
sys.exit(1 if wrong else 0)
