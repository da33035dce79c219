#!/bin/sh
# check.sh SOURCE LIBRARY CC...: rules of the source tree that a compiler does not see. CC: a command of one word or more.
#   - who includes what: models and tools (but actc-parity) the public headers only; src and actc-parity backend.h but no
#     backend; a backend itself and what backends/README.md grants; the folders of src what the table below grants
#   - every public header compiles alone, as C and as C++
#   - every public struct that begins with its size is one of tests/unit/test_sized.c
#   - every exported symbol begins with actc_
#   - public functions that can fail or return a real number set the floating point modes first, but for those of graph.h,
#     which describe and compute nothing
#   - every folder has a README.md; no tabs, no trailing blanks; libactc does not exit, abort or print
set -u
source=$1 library=$(realpath "$2")
shift 2
cd "$source" || exit 1
failed=0
complain() {
    echo "$1" >&2
    failed=1
}

for file in models/*.[ch] $(ls tools/actc-*.c tools/bench*.[ch] tools/common*.[ch] 2>/dev/null | grep -v actc-parity); do
    bad=$(grep -n '#include "' "$file" | grep -vE '"(models|cvt|efficientnet|resnet|unet3d|edsr|deeplab|vit|common[a-z_]*|bench|memory[a-z_]*|train[a-z_]*|run[a-z_]*)\.h"')
    [ -z "$bad" ] || complain "$file includes more than public headers: $bad"
done
# actc-parity and its cases see src/ and backend.h; of backends only the lists of launches that they share
bad=$(grep -nE '#include ".*(backends|gpu|cpu|vulkan|cuda)/' tools/actc-parity.c tools/parity*.[ch] tests/parity/*.[ch] |
    grep -vE '"[./]*backends/(backend|common/codec_passes)\.h"')
[ -z "$bad" ] || complain "actc-parity includes a backend: $bad"
bad=$(grep -rnE '#include ".*backends/(cpu|vulkan|cuda|null|common)/' src)
[ -z "$bad" ] || complain "src includes a backend: $bad"
# The folders of src, from the bottom up: a line names what a folder includes beside itself and the public headers, either
# folders of lines above it or single files.
export edges='
util: version.h
exact:
codec: util
graph: util codec kernel_params.h        # specs are checked as they are pushed; the most losses a step has
autodiff: graph
policy: autodiff codec
plan: util backends/backend.h            # backends/backend.h: the commands whose views it places
lower: plan policy codec backends/backend.h kernels.def exact/binary.h # the numbers of operations
ops: graph lower exact
runtime: lower codec exact util backends/backend.h
io: util exact runtime/network_state.h       # of networks that and the public header
data: util exact io/file.h
train: util
'
bad=$(find src -mindepth 2 -name '*.[ch]' ! -path 'src/include/*' -exec awk '
BEGIN {
    n = split(ENVIRON["edges"], lines, "\n")
    for (i = 1; i <= n; i++) {
        sub(/ *#.*/, "", lines[i])
        if (!split(lines[i], words, /[: ]+/))
            continue
        for (w = 2; words[w] != ""; w++) {
            granted[words[1], words[w]] = 1
            folder = words[w]
            sub(/\/.*/, "", folder)
            if (folder != "backends" && folder !~ /\./ && !(folder in known))
                print "the table of check.sh: " words[1] " includes " words[w] ", which is not below it"
        }
        known[words[1]] = 1
        delete words
    }
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split(FILENAME, path, "/")
    target = $0
    sub(/^[^"]*"/, "", target)
    sub(/".*/, "", target)
    own = FILENAME
    sub(/[^\/]*$/, "", own)
    own = own target
    if ((getline line < own) >= 0 && target !~ /\//) {
        close(own)
        next
    }
    sub(/^(\.\.\/)+/, "", target)
    folder = target
    sub(/\/.*/, "", folder)
    if (folder != path[2] && !((path[2], folder) in granted) && !((path[2], target) in granted))
        print FILENAME ":" FNR " includes " target
}' {} +)
[ -z "$bad" ] || complain "an edge that the table of check.sh does not grant: $bad"
for backend in common cpu vulkan cuda null; do
    [ -d backends/$backend ] || continue
    bad=$(grep -rnE '#include "' backends/$backend | grep -E 'src/|graph/|autodiff/|policy/|lower/|plan/|runtime/|data/|io/|train/|ops/|util/' |
        grep -vE '(codec/codec_plan|kernel_params|kernels|exact/[a-z_]*)\.(h|def)"|"\.\./(\.\./)?src/(kernel|exact|codec/codec_plan)|codec/wavelets\.h')
    [ -z "$bad" ] || complain "backends/$backend includes a layer above it: $bad"
done

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for header in src/include/actc/*.h; do
    echo "#include <actc/$(basename "$header")>" >"$temporary/one.c"
    "$@" -std=c11 -Wall -Wextra -Werror -Isrc/include -fsyntax-only "$temporary/one.c" || complain "$header does not compile alone as C"
    cp "$temporary/one.c" "$temporary/one.cc"
    if command -v g++ >/dev/null; then
        g++ -std=c++11 -Wall -Wextra -Werror -Isrc/include -fsyntax-only "$temporary/one.cc" || complain "$header does not compile alone as C++"
    fi
done

for name in $(for part in codec context data network; do cat src/include/actc/$part.h; done |
    sed -nE 's/^ACTC_API (actc_status|double) (actc_[a-z0-9_]+)\(.*/\2/p') actc_schedule_observe; do
    grep -rhE -A 4 "^(actc_status|double|void) $name\(" src --include=*.c | grep -A 1 '^{' | grep -q '^    ACTC_OWN_MODES;$' ||
        complain "$name does not begin with ACTC_OWN_MODES (backends/backend.h)"
done

# but for what the library hands to a callback
bad=$(awk '/^typedef struct/ { name = $3; first = 1; next } first && /^    size_t size;/ { print name } { first = 0 }' src/include/actc/*.h |
    grep -vE '^actc_(kernel_report|weight_difference)$' | while read -r name; do grep -q "\b$name\b" tests/unit/test_sized.c || echo "$name"; done)
[ -z "$bad" ] || complain "structs with a size that test_sized.c does not give in other sizes: $bad"

bad=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -vE '^actc_|^_(init|fini|edata|end)$|^__(bss_start$|odr_asan)|^$')
[ -z "$bad" ] || complain "exported symbols without the actc_ prefix: $bad"

for folder in src src/* backends backends/* shaders kernels_cuda models tests tests/* tools; do
    [ -d "$folder" ] || continue
    case "$folder" in src/include | tests/*/fixtures | */__pycache__) continue ;; esac
    [ -f "$folder/README.md" ] || complain "$folder has no README.md"
done

files=$(git ls-files '*.c' '*.h' '*.cu' '*.cuh' '*.comp' '*.glsl' '*.def' '*.build' '*.sh' '*.py' 2>/dev/null)
tab=$(printf '\t')
bad=$(for f in $files; do grep -nHE "[[:blank:]]+\$|$tab" "$f"; done | head)
[ -z "$bad" ] || complain "tabs or trailing blanks: $bad"
bad=$(grep -rnE '\b(abort|exit|_exit|printf|puts|perror|assert) *\(|\bstderr\b|\bstdout\b' src backends --include=*.c --include=*.h |
    grep -vE 'ACTC_PRINTF|snprintf|vsnprintf|static_assert|_Static_assert|^[^:]*:[0-9]*: *(\*|/\*|//)')
[ -z "$bad" ] || complain "libactc exits, aborts or prints: $bad"
exit $failed
