#!/bin/sh
# oracle-venv.sh BUILD: makes BUILD/oracle-venv, in which the scripts of tests/oracle can run again: NumPy, SciPy, PyWavelets
# (70 MB to download), and PyTorch where pip offers its build for CPUs (200 MB). PyPI itself has only the one for CUDA
# (gigabytes): then the tests that need it are skipped and say so, unless PIP_EXTRA_INDEX_URL names PyTorch's own index, which
# has the other. Can be run again. Progress goes to stderr.
set -eu
packages="numpy==2.4.6 scipy==1.17.1 PyWavelets==1.9.0"
torch="torch==2.13.0+cpu"
if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: oracle-venv.sh BUILD" >&2
    exit 2
fi
venv=$1/oracle-venv
[ -f "$venv/complete" ] && [ "$(cat "$venv/complete")" = "$packages $torch" ] && exit 0
mkdir -p "$1"
python3 -m venv "$venv"
# shellcheck disable=SC2086
"$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: $packages >&2
"$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: "$torch" >"$venv/torch.log" 2>&1 ||
    echo "oracle-venv: pip offers no $torch here; what PyTorch is needed for will be skipped" >&2
echo "$packages $torch" >"$venv/complete"
