"""find_toolkit.py: looks for a CUDA toolkit that can build the CUDA backend, and prints where its parts are.

    find_toolkit.py [ROOT]

ROOT alone is tried where given; else CUDA_PATH, CUDA_HOME, /usr/local/cuda and what the nvcc in PATH belongs to. Needed
are nvcc (12.0 or newer), cuda.h and cublasLt.h; cuobjdump with nvdisasm is optional (machine code is linted with it).
Prints six lines: root, nvcc, include folder, library folder (or empty), cuobjdump (or empty), version. Exits 1, with a
reason for every place tried on stderr, where there is none.
"""
import os
import re
import shutil
import subprocess
import sys

OLDEST = (12, 0)


def library_folder(root):
    for name in ("lib64", "lib", os.path.join("targets", "x86_64-linux", "lib"), os.path.join("targets", "sbsa-linux", "lib")):
        folder = os.path.join(root, name)
        if os.path.isdir(folder) and any(f.startswith("libcublasLt.so") for f in os.listdir(folder)):
            return folder
    return ""


def include_folder(root):
    for name in ("include", os.path.join("targets", "x86_64-linux", "include"), os.path.join("targets", "sbsa-linux", "include")):
        folder = os.path.join(root, name)
        if os.path.isfile(os.path.join(folder, "cuda.h")):
            return folder
    return ""


def examine(root):
    """The six lines, or a reason why not."""
    nvcc = os.path.join(root, "bin", "nvcc")
    if not os.access(nvcc, os.X_OK):
        return None, "no bin/nvcc"
    include = include_folder(root)
    if not include:
        return None, "no include/cuda.h"
    if not os.path.isfile(os.path.join(include, "cublasLt.h")):
        return None, "no cuBLAS (include/cublasLt.h)"
    try:
        text = subprocess.run([nvcc, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        return None, "nvcc does not run: %s" % error
    match = re.search(r"release (\d+)\.(\d+)", text)
    if not match:
        return None, "nvcc does not tell its version"
    version = (int(match[1]), int(match[2]))
    if version < OLDEST:
        return None, "nvcc %d.%d is older than %d.%d" % (version + OLDEST)
    cuobjdump = os.path.join(root, "bin", "cuobjdump")
    if not (os.access(cuobjdump, os.X_OK) and os.access(os.path.join(root, "bin", "nvdisasm"), os.X_OK)):
        cuobjdump = ""
    return (root, nvcc, include, library_folder(root), cuobjdump, "%d.%d" % version), ""


def candidates(arguments, environment):
    if arguments and arguments[0]:
        return [arguments[0]]
    found = [environment.get("CUDA_PATH"), environment.get("CUDA_HOME"), "/usr/local/cuda"]
    nvcc = shutil.which("nvcc")
    if nvcc:
        found.append(os.path.dirname(os.path.dirname(os.path.realpath(nvcc))))
    return [root for i, root in enumerate(found) if root and root not in found[:i]]


def main():
    tried = []
    for root in candidates(sys.argv[1:], os.environ):
        lines, reason = examine(os.path.abspath(root))
        if lines:
            print("\n".join(lines))
            return 0
        tried.append("%s: %s" % (root, reason))
    print("\n".join(tried) if tried else "no place to look", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
