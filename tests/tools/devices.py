"""devices.py: the devices on which test_deterministic.py and test_losses.py train MnistNet, and the data they train on.

Needs Python 3 and Fashion-MNIST (Debian: dataset-fashion-mnist).
"""
import argparse
import gzip
import json
import os
import struct
import subprocess

DATA = "/usr/share/datasets/fashion-mnist"
MAPS = "conv1,relu1,conv2"
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

    def train(self, data, codec, options, out="none"):
        """The report of a run with the codec on all that MnistNet saves of its convolutions; "none": without compression."""
        command = [self.program, "mnistnet", "--data-dir", data, "--seed", "1", "--out", out, "--format", "json"]
        command += options + self.arguments
        if codec != "none":
            command += ["--compress", f"{MAPS}={codec}"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.environment})
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        report = json.loads(done.stdout)
        if self.expected not in report["device_name"] + report["driver"]:
            raise RuntimeError(f"{self.name}: not {self.expected} but {report['device_name']}, {report['driver']}")
        return report


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
                found.append(Target(f"cpu, {name}", options.program, ["--device", "cpu"], f"{name} kernels",
                                    ACTC_CPU_ISA=name))
        elif name == "cuda-host":
            if options.cuda_host:
                found.append(Target(name, options.cuda_host, ["--device", name]))
            else:
                missing.append(f"{name}: --cuda-host does not say which program has it")
        elif name.startswith("cuda"):
            found.append(Target(name, options.program, ["--device", name]))
        else:
            part = name.partition(":")[2].lower()
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


def parse(description):
    """The arguments of a test, with their descriptions for --help: the program's words are the tests'."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="actc-train")
    parser.add_argument("info", help="actc-info")
    parser.add_argument("--cuda-host", help="actc-train with the backend cuda-host")
    parser.add_argument("--only", help=f"names with commas between them, of {', '.join(NAMES)}, other devices of Vulkan by a "
                        "part of their name (vulkan:nvidia), and CUDA's (cuda, cuda:0); else those that need no GPU")
    parser.add_argument("--drivers", help="what VK_DRIVER_FILES is set to")
    parser.add_argument("--full", action="store_true", help="on more of the data")
    options = parser.parse_args()
    for name in options.only.split(",") if options.only else []:
        if name not in NAMES and name.split(":")[0] not in ("cuda", "vulkan"):
            parser.error(f"--only {name}: there are {', '.join(NAMES)}, vulkan:PART, cuda, cuda:N")
    return options
