#!/usr/bin/env bash
# Sets up, builds with warnings as errors, and runs every test. VQP_BUILD names another build folder, VQP_LABEL the tests of one label
# alone (quick), VQP_WITHOUT a pattern of tests to leave out; arguments go to cmake.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${VQP_BUILD:-build}
tools/build.sh "$dir" -DVQP_TESTS=ON -DVQP_WERROR=ON "$@"
export OMP_WAIT_POLICY=passive # idle threads of OpenMP do not spin: tests share the machine with other work
# With sanitizers: the leak checker of gcc before 14 takes some thread-local blocks for those of an old glibc, and crashes.
export ASAN_OPTIONS=intercept_tls_get_addr=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# -V shows each case, so that skipped ones can be counted.
ctest --test-dir "$dir" ${VQP_LABEL:+-L "$VQP_LABEL"} ${VQP_WITHOUT:+-E "$VQP_WITHOUT"} -V >"$log" 2>&1 || status=$?
grep -E '^ *[0-9]+/[0-9]+ Test ' "$log" || true
if [ "$status" != 0 ]; then
    for n in $(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#([0-9]+): .*\*\*\*.*/\1/p' "$log" | sort -u); do
        { grep -E "^$n: " "$log" || true; } | { grep -vE '\.\.\.passed$' || true; } | tail -n 100
    done
fi
grep 'SKIPPED:' "$log" | sed 's/^[0-9]*: *//' || true
echo "cases skipped: $(grep -c 'SKIPPED:' "$log" || true)"
grep -E 'tests passed|tests failed|Total Test time' "$log" || true
exit "$status"
