#!/bin/sh
# compile.sh: one shader from GLSL to SPIR-V that is fit to be embedded; any step that fails fails the build.
#
# Usage: compile.sh GLSLC SPIRV_OPT SPIRV_VAL SPVFIX SPVLINT SOURCE_ROOT CLASS LINT PARAMS DEFINES IN OUT DEPFILE
#   CLASS: EXACT or TOLERANT. LINT: arguments of spvlint. PARAMS: the parameters' struct. DEFINES: more flags for glslc.
#
# glslc does not optimise here: with -O it fuses x*y+z before anything can be decorated.
set -eu
glslc=$1 spirv_opt=$2 spirv_val=$3 spvfix=$4 spvlint=$5 root=$6 class=$7 lint=$8 params=$9
shift 9
defines=$1 in=$2 out=$3 depfile=$4

# shellcheck disable=SC2086 # lists of arguments
"$glslc" --target-env=vulkan1.2 -fshader-stage=compute -O0 -Werror -DACTC_GLSL "-DACTC_PARAMS=$params" $defines \
    -I"$root/shaders/include" -I"$root/src" -MD -MF "$depfile" -MT "$out" -o "$out.raw" "$in"
if [ "$class" = EXACT ]; then
    "$spvfix" "$out.raw" "$out.fixed"
else
    cp "$out.raw" "$out.fixed"
fi
"$spirv_opt" -O --strip-debug "$out.fixed" -o "$out.optimised"
"$spirv_val" --target-env vulkan1.2 "$out.optimised"
# shellcheck disable=SC2086
"$spvlint" $lint "$out.optimised"
mv "$out.optimised" "$out"
rm -f "$out.raw" "$out.fixed"
