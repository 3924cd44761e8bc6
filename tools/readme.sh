#!/usr/bin/env bash
# Runs every command that README.md shows (indented lines that begin with build/ or PKG_CONFIG_PATH), as printed, in order.
set -euo pipefail
cd "$(dirname "$0")/.."
n=0
while IFS= read -r line; do
    echo "+ $line"
    bash -euo pipefail -c "$line" >out/readme.log 2>&1 || { cat out/readme.log; exit 1; }
    n=$((n + 1))
done < <(sed -n 's/^    \(\(build\/\|PKG_CONFIG_PATH\).*\)/\1/p' README.md)
rm -f lighthouse.png boat.png mill-*.png out/readme.log
[ "$n" -ge 8 ]
echo "$n commands of README.md ran"
