#!/bin/sh
# onednn.sh DIR: puts oneDNN 3, which Debian 12 does not have, into DIR/include and DIR/lib from Intel's packages on PyPI
# (39 MB; needs python3 with venv, no root), for `meson setup -Donednn=DIR`. Running it again does nothing where DIR is complete.
set -eu
version=2023.2.0 # oneDNN 3.2, the last there with OpenMP threads instead of SYCL's
if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: onednn.sh DIR" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
if [ ! -e "$dir/complete-$version" ]; then
    echo "onednn: fetching oneDNN from PyPI into $dir" >&2
    rm -rf "$dir"/*
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: \
        "onednn-cpu-gomp==$version" "onednn-devel-cpu-gomp==$version" >&2
    ln -s venv/include venv/lib "$dir"
    : >"$dir/complete-$version"
fi
