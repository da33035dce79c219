#!/bin/sh
# run.sh BUILD SOURCE CC [C_ARGS...]: installs the library into a folder of its own, builds embed.c against it as an embedder
# would, through pkg-config, and runs it.
set -eu
build=$1 source=$2 cc=$3
shift 3
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$build" --no-rebuild --quiet
pc=$(dirname "$(find "$prefix" -name actc.pc)")
export PKG_CONFIG_PATH="$pc" PKG_CONFIG_SYSROOT_DIR="$prefix"
# shellcheck disable=SC2046
$cc "$@" -std=c11 -Wall -Wextra -Werror "$source/embed.c" $(pkg-config --cflags --libs actc) -o "$prefix/embed"
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libactc.so | head -n 1)") "$prefix/embed"
