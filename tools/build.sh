#!/usr/bin/env bash
# build.sh [DIR [CMAKE OPTIONS]]: sets up, configures and builds, into build/ where no folder is given.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
dir=${1:-build}
shift || true
cmake -S . -B "$dir" -G Ninja "$@"
cmake --build "$dir"
