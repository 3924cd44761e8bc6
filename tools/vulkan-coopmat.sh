#!/usr/bin/env bash
# tools/vulkan-coopmat.sh [ROOT]: builds this checkout in a Debian testing root, whose lavapipe has VK_KHR_cooperative_matrix, and runs the op
# suite and the golden cases in precision f16 there, on the kernels for matrix units, under the validation layers too. Fails where these
# kernels were not built, not chosen, or not run. Makes ROOT where it is not there and keeps it, which saves minutes the next time; without
# ROOT, one that is removed at the end. Needs root, debootstrap and a Debian mirror: VQP_DEBIAN_MIRROR, else debootstrap's own. Takes 15 minutes on two
# cores: drivers on the processor take long to compile such kernels.
set -euo pipefail
cd "$(dirname "$0")/.."
mirror=${VQP_DEBIAN_MIRROR:-}
say() { printf 'vulkan-coopmat: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "needs to be root, for chroot"
command -v debootstrap >/dev/null || fail "debootstrap is missing; apt-get install debootstrap"

made=
mounted=
root=${1:-}
if [ -z "$root" ]; then
    root=$(mktemp -d "${TMPDIR:-/tmp}/vqpipe-coopmat.XXXXXX")
    made=$root
fi
clean_up() {
    local status=$?
    [ -z "$mounted" ] || umount "$mounted" || status=1
    if [ -n "$made" ] && ! mountpoint -q "$made/proc"; then
        rm -rf --one-file-system "$made"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# VQPIPE_VK_ENABLE: by itself the backend leaves a driver that emulates matrix units to the plain kernels.
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 VQPIPE_VK_ENABLE=coopmat "$@"; }

if [ ! -e "$root/etc/debian_version" ]; then
    say "making $root"
    debootstrap --variant=minbase testing "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || fail "debootstrap failed: see $root.log"
    rm -f "$root.log"
    # A mirror may be a snapshot whose index is past its date; its signature is checked all the same.
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/99snapshot"
fi
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/proc"
if ! mountpoint -q "$root/proc"; then
    mount -t proc proc "$root/proc"
    mounted=$root/proc
fi

# What git knows and what is new, as it is in the work tree.
rm -rf "$root/vqpipe/src"
mkdir -p "$root/vqpipe/src"
git ls-files -z --cached --others --exclude-standard | while IFS= read -rd '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
    tar --null -T - -c | tar -x -C "$root/vqpipe/src"
inside bash /vqpipe/src/tools/setup.sh
inside cmake -S /vqpipe/src -B /vqpipe/build -G Ninja -DVQP_TESTS=ON | tee "$root/configure.log" | grep backend-vulkan || true
grep -q "backend-vulkan: with cooperative matrices" "$root/configure.log" || fail "glslc there does not compile the kernels"
inside ninja -C /vqpipe/build

device=$(inside /vqpipe/build/bin/vqpipe devices | grep '^vulkan:' || true)
say "$device"
[[ $device == *"cooperative matrices"* ]] || fail "the driver there has no cooperative matrices, or the backend does not see them"

# on_matrix_units LOG OP...: what the backend said it recorded has each op at least once.
on_matrix_units() {
    local log=$1 op n
    shift
    for op; do
        n=$(grep -o "on matrix units:.*" "$log" | grep -oE "\b$op [0-9]+" | awk '{ n += $2 } END { print n + 0 }')
        say "$(basename "$log" .log): $n dispatches of $op on matrix units"
        [ "$n" -gt 0 ] || fail "none of $op ran on matrix units"
    done
}

check() { # check NAME COMMAND...: inside the root, its output in NAME.log
    local name=$1
    shift
    say "$name"
    inside "$@" >"$root/$name.log" 2>&1 || { tail -n 60 "$root/$name.log" && fail "$name failed"; }
}
check tiles /vqpipe/build/tests/test_vulkan_coopmat
check ops VQP_TEST_VERBOSE=1 /vqpipe/build/tests/test_ops /vqpipe/build/lib/vqpipe/backend-vulkan.so --precision f16
on_matrix_units "$root/ops.log" linear conv2d sdpa
# Once more in the plugin for tests with a tile of several fragments, loads that do not come out even, and the validation layers.
check ops-tile VQPIPE_VK_TILE=32,48,16,8,2 /vqpipe/src/tests/vulkan/validate.sh silent /vqpipe/build/tests/test_ops /vqpipe/build/tests/vulkan/backend-vulkan.so --precision f16
tail -n 1 "$root/ops-tile.log"

run=(/vqpipe/build/bin/vqpipe run /vqpipe/src/pipelines/vqdiffusion.yaml -p "a red house" --steps 2 --backend vulkan --set backend.precision=f16 -v --progress none)
check run "${run[@]}" -o /tmp/matrix.png
on_matrix_units "$root/run.log" linear conv2d sdpa
check run-plain VQPIPE_VK_DISABLE=coopmat "${run[@]}" -o /tmp/plain.png
! grep -q "on matrix units" "$root/run-plain.log" || fail "VQPIPE_VK_DISABLE=coopmat is not heeded"

check golden VQP_TEST_BACKEND=vulkan VQP_TEST_VERBOSE=1 /vqpipe/build/tests/test_golden
on_matrix_units "$root/golden.log" linear conv2d sdpa
say "all passed"
