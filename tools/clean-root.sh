#!/usr/bin/env bash
# tools/clean-root.sh: what a stranger meets. In a new Debian 13 root, where nothing is but what the project's own files install, a clone of
# HEAD runs both of the README's commands. In a second one, which has only the installed tree (at another place than it was
# installed to), the libraries it links with, and a C compiler, CMake and pkg-config, both tutorials run as printed.
#
# Needs root, the network and a few GB under $TMPDIR; without: one line, SKIPPED. Mounts are made in a mount namespace of this script's
# own and go with it; its folder is removed at the end. VQP_DEBIAN_MIRROR names another mirror than debootstrap's own.
set -euo pipefail
cd "$(dirname "$0")/.."
mirror=${VQP_DEBIAN_MIRROR:-}
skip() {
    echo "SKIPPED: clean root: $*"
    exit 0
}

if [ -z "${VQP_CLEAN_ROOT:-}" ]; then # the first time: into a mount namespace
    [ "$(id -u)" = 0 ] || skip "not root"
    unshare --mount true 2>/dev/null || skip "this root may not mount"
    if ! command -v debootstrap >/dev/null; then
        command -v apt-get >/dev/null || skip "no debootstrap, and no apt-get to install it"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap || skip "debootstrap cannot be installed"
    fi
    dir=$(mktemp -d)
    trap 'rm -rf --one-file-system "$dir"' EXIT
    VQP_CLEAN_ROOT=$dir unshare --mount --propagation private "$0"
    exit
fi

dir=$VQP_CLEAN_ROOT
say() { printf '\n-- %s (%d s)\n' "$*" "$SECONDS"; }
# in_root ROOT COMMAND...: with a clean environment
in_root() {
    local root=$1
    shift
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-}" "$@"
}
mount_system() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
}

say "Debian 13${mirror:+ from $mirror}"
if ! debootstrap --variant=minbase trixie "$dir/source" ${mirror:+"$mirror"} >"$dir/log" 2>&1; then
    grep -qiE 'failed getting release|unable to|could not resolve|cannot retrieve' "$dir/log" && skip "no network: $(tail -n 1 "$dir/log")"
    tail -n 20 "$dir/log"
    exit 1
fi
umount -R "$dir/source/proc" "$dir/source/sys" 2>/dev/null || true
cp -a "$dir/source" "$dir/installed"
mount_system "$dir/source"
mount_system "$dir/installed"
mkdir -p "$dir/source/src"
git clone -q --no-hardlinks . "$dir/source/src/checkout" # a name that the installed tree has nowhere

say "README: tools/demo.sh"
in_root "$dir/source" sh -c 'cd /src/checkout && tools/demo.sh' >"$dir/log" 2>&1 || { tail -n 60 "$dir/log"; exit 1; }
tail -n 5 "$dir/log"
for i in 0 1 2 3 4 5 6 7 8; do
    test -s "$dir/source/src/checkout/out/demo-$i.png"
done

say "README: tools/test.sh"
in_root "$dir/source" sh -c 'cd /src/checkout && tools/test.sh'

say "the installed tree alone"
in_root "$dir/source" sh -c 'cmake --install /src/checkout/build --prefix /opt/first' >"$dir/log"
mkdir -p "$dir/installed/srv/some where" "$dir/installed/tutorial"
mv "$dir/source/opt/first" "$dir/installed/srv/vqpipe"
cp tests/install/tutorial.sh docs/write-a-*.md "$dir/installed/tutorial/"
cp -a "$dir/installed/srv/vqpipe" "$dir/source/opt/first"
libraries=$(in_root "$dir/source" bash -c 'ldd /opt/first/bin/vqpipe /opt/first/lib/*.so /opt/first/lib/vqpipe/*.so |
    sed -n "s/.*=> \(\/[^ ]*\) .*/\1/p" | grep -v /opt/ | sort -u | xargs realpath | xargs dpkg -S | sed "s/: .*//" | sort -u' | tr '\n' ' ')
echo "it links with: $libraries"
# shellcheck disable=SC2086
in_root "$dir/installed" sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev cmake make pkgconf '"$libraries" \
    >"$dir/log" 2>&1 || { tail -n 20 "$dir/log"; exit 1; }
for tutorial in write-a-plugin write-a-backend; do
    echo "$tutorial: $(in_root "$dir/installed" /tutorial/tutorial.sh /srv/vqpipe /tutorial/$tutorial.md)"
done
say "done"
