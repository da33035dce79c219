# packages.sh: the Debian packages that building and testing need; sourced by quickstart.sh and test.sh.

ACTC_BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libdnnl-dev zlib1g-dev libcjson-dev"
ACTC_VULKAN_PACKAGES="libvulkan-dev libvulkan-volk-dev libvulkan1 glslc spirv-tools spirv-headers mesa-vulkan-drivers"
ACTC_DATA_PACKAGES="dataset-fashion-mnist"
# chromium-common: the Vulkan driver SwiftShader
ACTC_TEST_PACKAGES="clang libclang-rt-14-dev libomp-dev g++ libcmocka-dev vulkan-validationlayers chromium-common python3 python3-venv binutils"

# install_packages NAME...: installs what is missing, as root or through sudo; says what it does.
install_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    command -v apt-get >/dev/null || {
        echo "these Debian packages (or what they are called here) are needed:$missing" >&2
        return 1
    }
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "run as root, or install sudo, or install these packages yourself:$missing" >&2
            return 1
        }
        root=sudo
    fi
    echo "== installing:$missing"
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
}
