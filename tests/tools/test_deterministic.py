#!/usr/bin/env python3
"""Trains MnistNet with --deterministic on every device that is here, with and without compression, and compares the final
model.safetensors byte for byte.

  test_deterministic.py ACTC-TRAIN ACTC-INFO [--cuda-host ACTC-TRAIN-CUDA-HOST] [--drivers ICD[:ICD]] [--only NAME[,NAME]] [--full]

Needs Python 3 and Fashion-MNIST (Debian: dataset-fashion-mnist). NAME: cpu, baseline, avx2, avx512, vulkan:llvmpipe,
vulkan:swiftshader, cuda-host; each is compared with one thread of the CPU. Without --full a few steps with small batches on a
part of the data, as CI does; with it 50 steps with batches of 128 on all training images.
Exit status: 0 all the same, 1 not, 77 all the same but not everything could be run.
"""
import argparse
import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

DATA = "/usr/share/datasets/fashion-mnist"
MAPS = "conv1,relu1,conv2"
CODECS = {"none": None, "dct:lambda=10": MAPS, "threshold:lambda=100": MAPS, "wavelet:lambda=100": MAPS}
ISAS = {"baseline": set(), "avx2": {"avx2", "f16c", "fma"}, "avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl"}}
NAMES = ["cpu", *ISAS, "vulkan:llvmpipe", "vulkan:swiftshader", "cuda-host"]


def write_part(source, target, kind, count):
    """The first `count` images and labels of a pair of IDX files; count None: all, by a link."""
    for name, header in ((f"{kind}-images-idx3-ubyte", 16), (f"{kind}-labels-idx1-ubyte", 8)):
        path = os.path.join(source, name + ".gz")
        if count is None:
            os.symlink(path, os.path.join(target, name + ".gz"))
            continue
        with gzip.open(path) as file:
            head = file.read(header)
            item = 1
            for i in range(8, header, 4):
                item *= struct.unpack(">I", head[i:i + 4])[0]
            body = file.read(item * count)
        with open(os.path.join(target, name), "wb") as file:
            file.write(head[:4] + struct.pack(">I", count) + head[8:] + body)


class Target:
    """One device, as the program, the arguments and the environment that choose it."""

    def __init__(self, name, program, arguments, expected="", **environment):
        self.name, self.program, self.arguments = name, program, arguments
        self.expected, self.environment = expected, environment

    def train(self, data, codec, options, out):
        command = [self.program, "mnistnet", "--data-dir", data, "--deterministic", "--seed", "1",
                   "--out", out, "--format", "json"] + options + self.arguments
        if CODECS[codec]:
            command += ["--compress", f"{CODECS[codec]}={codec}"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.environment})
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        report = json.loads(done.stdout)
        if self.expected not in report["device_name"] + report["driver"]:
            raise RuntimeError(f"{self.name}: not {self.expected} but {report['device_name']}, {report['driver']}")
        with open(os.path.join(out, "model.safetensors"), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest(), report


def targets(options):
    """What is to run, the reference first, and a line for each that cannot be run here."""
    names = options.only.split(",") if options.only else NAMES
    found, missing = [Target("cpu, 1 thread", options.program, ["--device", "cpu", "--threads", "1"])], []
    with open("/proc/cpuinfo") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    drivers = {"VK_DRIVER_FILES": options.drivers} if options.drivers else {}
    for name in names:
        if name == "cpu":
            found.append(Target("cpu, 2 threads", options.program, ["--device", "cpu", "--threads", "2"]))
        elif name in ISAS:
            absent = sorted(ISAS[name] - set(flags))
            if absent:
                missing.append(f"{name}: the processor has no {' '.join(absent)}")
            else:
                found.append(Target(f"cpu, {name}", options.program, ["--device", "cpu"], f"{name} kernels", ACTC_CPU_ISA=name))
        elif name == "cuda-host":
            if options.cuda_host:
                found.append(Target(name, options.cuda_host, ["--device", name]))
            else:
                missing.append(f"{name}: --cuda-host does not say which program has it")
        else:
            part = name.split(":")[1]
            asked = subprocess.run([options.info, "--format", "json"], capture_output=True, text=True, check=True,
                                   env={**os.environ, **drivers})
            devices = [d for d in json.loads(asked.stdout)["devices"]
                       if d["backend"] == "vulkan" and part in (d["name"] + d["driver"]).lower()]
            if devices and devices[0]["usable"]:
                validate = ["--validate"] if os.environ.get("ACTC_TEST_VALIDATE") else []
                found.append(Target(name, options.program, ["--device", name] + validate, **drivers))
            else:
                missing.append(f"{name}: {devices[0]['reason'] if devices else 'no such driver is here'}")
    return found, missing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("info")
    parser.add_argument("--cuda-host")
    parser.add_argument("--only", help=", ".join(NAMES))
    parser.add_argument("--drivers", help="what VK_DRIVER_FILES is set to")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    if options.only and not set(options.only.split(",")) <= set(NAMES):
        parser.error(f"--only {options.only}: there are {', '.join(NAMES)}")
    if not os.path.isdir(DATA):
        print(f"{DATA} is not here (Debian: dataset-fashion-mnist)")
        return 77
    found, missing = targets(options)
    steps = ["--steps", "50"] if options.full else ["--steps", "4", "--batch", "16"]
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        os.mkdir(data)
        write_part(DATA, data, "train", None if options.full else 64)
        write_part(DATA, data, "t10k", 128 if options.full else 16)
        for codec in CODECS:
            first = None
            for number, target in enumerate(found):
                start = time.time()
                model, report = target.train(data, codec, steps, os.path.join(folder, f"{codec}-{number}"))
                first = first or model
                same = model == first
                differences += not same
                print(f"{codec:22} {target.name:20} {model[:16]} {'' if same else 'DIFFERS '}{report['steps']} steps, "
                      f"{report['images_per_s']:.0f} images/s, {time.time() - start:.1f} s", flush=True)
    for line in missing:
        print(f"not run: {line}")
    if differences:
        print(f"{differences} models differ from that of {found[0].name}")
        return 1
    print(f"one file a codec from all of: {', '.join(target.name for target in found)}")
    return 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
