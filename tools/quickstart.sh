#!/bin/sh
# quickstart.sh: on a fresh Debian 12, install what is needed, build, and train
# MnistNet on Fashion-MNIST without and with DCT-compressed activations. Can be
# run again.
#
#   sh tools/quickstart.sh [DEVICE]
#
# DEVICE: auto (default), cpu, vulkan[:N], cuda[:N]; N is an index or a part of a
# name.
set -eu
cd "$(dirname "$0")/.."
device=${1:-auto}
case "$device" in
-h | --help) sed -n 's/^# \{0,1\}//; 2,/^set /{/^set /!p}' tools/quickstart.sh; exit 0 ;;
esac
case "$#$device" in
[01]auto | 1cpu | 1vulkan | 1vulkan:?* | 1cuda | 1cuda:?*) ;;
*) echo "usage: sh tools/quickstart.sh [auto | cpu | vulkan[:N] | cuda[:N]]" >&2; exit 2 ;;
esac
. tools/packages.sh
# shellcheck disable=SC2086
install_packages $ACTC_BUILD_PACKAGES $ACTC_VULKAN_PACKAGES $ACTC_DATA_PACKAGES

build=build
if [ ! -f $build/build.ninja ]; then
    echo "== configuring"
    meson setup $build -Dtests=disabled >$build.log 2>&1 || { cat $build.log; rm -rf $build; exit 1; }
    mv $build.log $build/quickstart.log
fi
echo "== building"
ninja -C $build >$build/build.log 2>&1 || { cat $build/build.log; exit 1; }

echo "== the devices of this machine"
$build/tools/actc-info

rm -rf runs/quickstart-dense runs/quickstart-dct # of the time before: actc-train writes over no run
echo "== one epoch without compression"
$build/tools/actc-train mnistnet --data fashion-mnist --epochs 1 --seed 1 --device "$device" --out runs/quickstart-dense
echo "== one epoch with the activations of conv1, relu1 and conv2 kept by DCT, one coefficient in ten"
$build/tools/actc-train mnistnet --data fashion-mnist --epochs 1 --seed 1 --device "$device" --out runs/quickstart-dct \
    --compress 'conv1,relu1,conv2=dct:lambda=10'
echo "== done; the runs are in runs/quickstart-dense and runs/quickstart-dct"
