#!/bin/sh
# cuda-toolkit.sh DIR: makes sure that there is a CUDA toolkit with cuBLAS to build with.
#
# Uses one that is installed (CUDA_PATH, CUDA_HOME, /usr/local/cuda, the nvcc in PATH); where none of them has nvcc and
# cuBLAS, assembles one in DIR from NVIDIA's packages on PyPI (about 1 GB; needs python3 with venv, no root, no GPU).
# Prints the toolkit's root, the value for CUDA_PATH, on stdout, and writes DIR/env.sh, which sets CUDA_PATH and PATH, to
# be sourced before `meson setup`. Running it again does nothing where DIR is complete. Progress goes to stderr.
set -eu

version=13.2
packages="nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-crt nvidia-nvvm nvidia-cuda-cccl nvidia-cublas
nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: cuda-toolkit.sh DIR" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
find_toolkit=$(cd "$(dirname "$0")/../kernels_cuda/tools" && pwd)/find_toolkit.py

say() {
    echo "cuda-toolkit: $*" >&2
}

write_env() { # $1: root of the toolkit
    cat > "$dir/env.sh" <<EOF
CUDA_PATH='$1'
PATH="\$CUDA_PATH/bin:\$PATH"
export CUDA_PATH PATH
EOF
    say "toolkit: $1"
    say "use it with: . $dir/env.sh"
    echo "$1"
}

root_in_dir() {
    for root in "$dir"/venv/lib/python3*/site-packages/nvidia/cu13; do
        if python3 "$find_toolkit" "$root" > /dev/null 2>&1; then
            echo "$root"
            return 0
        fi
    done
    return 1
}

if root=$(root_in_dir) && [ -e "$dir/complete-$version" ]; then
    say "already assembled"
    write_env "$root"
    exit 0
fi
if found=$(python3 "$find_toolkit" 2> "$dir/tried.txt"); then
    say "found an installed one"
    write_env "$(echo "$found" | head -n 1)"
    exit 0
fi
say "no installed toolkit will do:"
sed 's/^/cuda-toolkit:   /' "$dir/tried.txt" >&2

say "assembling CUDA $version from PyPI in $dir/venv (about 1 GB)"
rm -f "$dir"/complete-*
python3 -m venv --clear "$dir/venv"
requirements=
for package in $packages; do
    requirements="$requirements $package==$version.*"
done
# shellcheck disable=SC2086 # one word a package
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check $requirements

# The wheels hold only versioned libraries in lib; tools expect lib64 and unversioned names.
for root in "$dir"/venv/lib/python3*/site-packages/nvidia/cu13; do
    ln -sfn lib "$root/lib64"
    for library in cudart cublas cublasLt; do
        for file in "$root/lib/lib$library.so."*; do
            ln -sf "$(basename "$file")" "$root/lib/lib$library.so"
        done
    done
done
if ! root=$(root_in_dir); then
    say "the assembled toolkit is not complete:"
    python3 "$find_toolkit" "$dir"/venv/lib/python3*/site-packages/nvidia/cu13 >&2 || true
    exit 1
fi
: > "$dir/complete-$version"
write_env "$root"
