#!/bin/sh
# run.sh [SECONDS [TARGET...]]: builds the fuzz targets with clang's libFuzzer, ASan and UBSan into build-fuzz/ and runs each
# for SECONDS (60), beginning with its corpus. What is found on the way is kept in build-fuzz/found/TARGET; an input that
# fails stops the script and is named: mend what it shows, and add it to corpus/TARGET.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
build=build-fuzz
[ -f $build/build.ninja ] ||
    CC=clang meson setup $build -Dfuzz=true -Dtests=enabled -Dvulkan=disabled -Dcuda=disabled -Dbuildtype=debugoptimized \
        -Db_sanitize=address,undefined -Db_lundef=false >$build.log 2>&1 || { tail -50 $build.log; exit 1; }
rm -f $build.log
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')
for target in "$@"; do programs="${programs:-} tests/fuzz/fuzz_$target"; done
# shellcheck disable=SC2086
ninja -C $build $programs >$build/build.log 2>&1 || { tail -50 $build/build.log; exit 1; }
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for target in "$@"; do
    mkdir -p "$build/found/$target" "$build/failed/$target"
    dictionary=tests/fuzz/$target.dict
    [ -f "$dictionary" ] && dictionary=-dict=$dictionary || dictionary=
    echo "== $target, $seconds s"
    # close_fd_mask: what the tools say of bad input is not wanted; reports of the sanitizers come through
    log=$build/found/$target.log
    # shellcheck disable=SC2086
    $build/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 -max_len=8192 \
        -close_fd_mask=3 -artifact_prefix="$build/failed/$target/" $dictionary \
        "$build/found/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 || { tail -60 "$log"; echo "== $target failed" >&2; exit 1; }
    grep -E "DONE|^Done" "$log" | tail -2
done
