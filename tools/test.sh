#!/bin/sh
# test.sh: install, build and run every test. Can be run again; everything it
# makes is in build-test*/, build-sanitize/ and build-tsan/.
#
#   sh tools/test.sh [--long | --sanitize]
#
# Without an option: gcc and clang with -Werror, CUDA compiled, Vulkan on lavapipe
# and SwiftShader. Every test but for the suite "long" runs with gcc's build; with
# clang's those of the library but for the suite "drivers" (most shaders on
# drivers); and those that a build with neither Vulkan nor CUDA could break.
#   --long      the suite "long" (what takes minutes on SwiftShader), and with
#               clang's build the suite "drivers", too; every codec's options and
#               shapes together on SwiftShader, not a quarter of them
#   --sanitize  every test, SwiftShader's left out, under ASan and UBSan and the
#               Vulkan validation layer with synchronization validation; then
#               the thread sanitizer over the pthread build
set -eu
cd "$(dirname "$0")/.."
mode=${1:-}
case "$mode" in
-h | --help) sed -n 's/^# \{0,1\}//; 2,/^set /{/^set /!p}' tools/test.sh; exit 0 ;;
esac
case "$#$mode" in
0 | 1--long | 1--sanitize) ;;
*) echo "usage: sh tools/test.sh [--long | --sanitize]" >&2; exit 2 ;;
esac
. tools/packages.sh
# shellcheck disable=SC2086
install_packages $ACTC_BUILD_PACKAGES $ACTC_VULKAN_PACKAGES $ACTC_DATA_PACKAGES $ACTC_TEST_PACKAGES

# configure DIR ARGUMENT...: meson setup, or again with other arguments where the folder is there.
configure() {
    dir=$1
    shift
    if [ -f "$dir/build.ninja" ]; then set -- --reconfigure "$@"; fi
    echo "== configuring $dir"
    meson setup "$dir" "$@" >"$dir.log" 2>&1 || { tail -50 "$dir.log"; rm -f "$dir.log"; exit 1; }
    mv "$dir.log" "$dir/configure.log"
}

# compile DIR: a warning is an error, and so is its text.
compile() {
    echo "== building $1"
    ninja -C "$1" >"$1/build.log" 2>&1 || { tail -60 "$1/build.log"; exit 1; }
}

run_tests() {
    dir=$1
    shift
    echo "== testing $dir"
    meson test -C "$dir" --no-rebuild --print-errorlogs "$@"
}

# read by tests/unit/test_codec_device.c
if [ -n "$mode" ]; then export ACTC_TEST_LONG=1; fi

if [ "$mode" != --sanitize ]; then
    # A toolkit with cuBLAS, or one put together from PyPI wheels; nothing of CUDA runs without a GPU.
    mkdir -p build-test
    CUDA_PATH=$(sh tools/cuda-toolkit.sh build-test/cuda-toolkit)
    export CUDA_PATH
    PATH=$CUDA_PATH/bin:$PATH
    export PATH
    sh tools/oracle-venv.sh build-test
    configure build-test -Dwerror=true -Dvulkan=enabled -Dcuda=enabled -Dtests=enabled
    compile build-test
    if [ "$mode" = --long ]; then run_tests build-test; else run_tests build-test --no-suite long; fi
    # The other compiler, and a build with neither Vulkan nor CUDA, and with oneDNN 3.
    CC=clang configure build-test-clang -Dwerror=true -Dvulkan=enabled -Dcuda=disabled -Dtests=enabled
    compile build-test-clang
    if [ "$mode" = --long ]; then run_tests build-test-clang --suite unit
    else run_tests build-test-clang --suite unit --no-suite drivers; fi
    sh tools/onednn.sh build-test/onednn
    configure build-test-plain -Dwerror=true -Donednn="$PWD/build-test/onednn" -Dvulkan=disabled -Dcuda=disabled -Dtests=enabled
    compile build-test-plain
    run_tests build-test-plain --suite plain --no-suite long
else
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
    ACTC_TEST_VALIDATE=1
    export ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS ACTC_TEST_VALIDATE
    configure build-sanitize -Dwerror=true -Dvulkan=enabled -Dcuda=disabled -Dtests=enabled -Dbuildtype=debugoptimized \
        -Db_sanitize=address,undefined -Db_lundef=false
    compile build-sanitize
    run_tests build-sanitize --timeout-multiplier 6
    configure build-tsan -Dwerror=true -Dvulkan=disabled -Dcuda=disabled -Dtests=enabled -Dbuildtype=debugoptimized \
        -Db_sanitize=thread -Db_lundef=false -Dthreads=pthread
    compile build-tsan
    TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tests/tsan.supp run_tests build-tsan --timeout-multiplier 10 --suite threads
fi
echo "== all green"
