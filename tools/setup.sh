#!/usr/bin/env bash
# Installs what building and testing vqpipe needs: C compiler, cmake, ninja, pkg-config, libyaml, libpng, jansson, libunistring,
# CUnit, oneDNN for the cpu backend, libcurl and libcrypto for `vqpipe pull`, and for the vulkan backend glslc, Vulkan's headers, a driver for the processor (Mesa) and the
# validation layers. Uses apt-get, dnf, pacman or brew; never asks; works as root without sudo. Does nothing where all is there already.
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }

# Can a program be compiled and linked against this header and library?
links() {
    echo "#include <$1>
int main(void) { return 0; }" | cc -x c - "-l$2" -o /dev/null 2>/dev/null
}

missing() {
    local m=()
    for tool in cc cmake ninja pkg-config git; do
        command -v "$tool" >/dev/null || m+=("$tool")
    done
    if command -v cc >/dev/null; then
        links yaml.h yaml || m+=(libyaml)
        { links png.h png; } || m+=(libpng)
        links jansson.h jansson || m+=(jansson)
        links uninorm.h unistring || m+=(libunistring)
        links CUnit/CUnit.h cunit || m+=(CUnit)
        links dnnl.h dnnl || m+=(oneDNN)
        { links curl/curl.h curl && links openssl/evp.h crypto; } || m+=(libcurl)
        { command -v glslc && echo "#include <vulkan/vulkan_core.h>" | cc -fsyntax-only -x c -; } >/dev/null 2>&1 || m+=(Vulkan)
    fi
    echo "${m[*]}"
}

need=$(missing)
if [ -z "$need" ]; then
    say "everything is there"
    exit 0
fi
say "missing: $need"

sudo=()
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null; then
        sudo=(sudo)
    elif ! command -v brew >/dev/null; then
        say "not root and no sudo; install the above and try again" >&2
        exit 1
    fi
fi
run() {
    say "$*"
    "$@"
}

if command -v apt-get >/dev/null; then
    run "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    run "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends build-essential cmake ninja-build \
        pkg-config git ca-certificates libyaml-dev libpng-dev libjansson-dev libunistring-dev libcunit1-dev libdnnl-dev libcurl4-openssl-dev libssl-dev \
        glslc libvulkan-dev mesa-vulkan-drivers vulkan-validationlayers
elif command -v dnf >/dev/null; then
    run "${sudo[@]}" dnf install -y gcc gcc-c++ cmake ninja-build pkgconf-pkg-config git libyaml-devel libpng-devel jansson-devel \
        libunistring-devel CUnit-devel onednn-devel libcurl-devel openssl-devel glslc vulkan-headers vulkan-loader mesa-vulkan-drivers vulkan-validation-layers
elif command -v pacman >/dev/null; then
    run "${sudo[@]}" pacman -Sy --needed --noconfirm base-devel cmake ninja pkgconf git libyaml libpng jansson libunistring cunit onednn curl openssl \
        shaderc vulkan-headers vulkan-icd-loader vulkan-swrast vulkan-validation-layers
elif command -v brew >/dev/null; then
    run brew install cmake ninja pkg-config libyaml libpng jansson libunistring cunit onednn curl openssl shaderc vulkan-headers vulkan-loader molten-vk
else
    say "no apt-get, dnf, pacman or brew here; install the above by hand" >&2
    exit 1
fi

need=$(missing)
if [[ " $need " == *" oneDNN "* ]]; then
    say "without oneDNN: the build leaves the cpu backend out; run with --backend reference"
fi
if [[ " $need " == *" Vulkan "* ]]; then
    say "without glslc and Vulkan's headers: the build leaves the vulkan backend out"
fi
if [[ " $need " == *" libcurl "* ]]; then
    say "without libcurl and libcrypto: the build leaves 'vqpipe pull' out"
fi
if [ -n "$(tr ' ' '\n' <<<"$need" | grep -vxE 'oneDNN|Vulkan|libcurl')" ]; then
    say "still missing after installing: $need" >&2
    exit 1
fi
say "done"
