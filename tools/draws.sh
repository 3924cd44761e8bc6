#!/bin/sh
# The samplers' draws against the papers' distributions, with more draws than ctest takes: 100000 a step on every backend of the build.
#   tools/draws.sh [BUILD_DIR [DRAWS]]
# One line a sampler with the least p of its steps; exit 1 where one is 1e-3 or less.
set -eu
cd "$(dirname "$0")/.."
exec "${1:-build}/tests/test_samplers_draws" "${2:-100000}"
