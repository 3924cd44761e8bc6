#!/usr/bin/env bash
# run-example.sh COMPILER SOURCE BUILD_DIR [FLAGS]: builds one example with pkg-config against a build tree and runs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
std=-std=c17
case $2 in *.cpp) std=-std=c++17 ;; esac
# shellcheck disable=SC2046,SC2086
"$1" $std -Wall -Wextra -g ${4:-} "$here/$2" $(PKG_CONFIG_PATH=$3 pkg-config --cflags --libs vqpipe-uninstalled) -o "$out/example"
cd "$out"
./example "$here/../../tests/golden/golden.yaml" | tee log # a tiny model: quick under sanitizers too
grep -Eq 'cancelled after 1 calls: yes|equal pictures' log
