#!/usr/bin/env bash
# The measurements of docs/benchmarks.md, as its tables in Markdown. On a quiet machine: some 10 minutes, and 15 more for -f.
#
#   tools/benchmarks.sh [-b BUILD_DIR] [-n PAIRS] [-s STEPS] [-f] [PYTHON]
#
# PYTHON (or $VQP_REFERENCE_PYTHON, or python3) makes the larger models, for which it has numpy, and runs the reference beside us, for which
# it has torch, transformers and a diffusers that still has VQDiffusionPipeline; what it cannot do is left out with a line. -f adds the full
# size (needs 3 GB of disk and 8 GB of memory). The larger models need ../shared. Work goes to BUILD_DIR/benchmarks.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build pairs=5 steps=100 full=
while getopts b:n:s:f flag; do
    case $flag in
    b) build=$OPTARG ;;
    n) pairs=$OPTARG ;;
    s) steps=$OPTARG ;;
    f) full=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=${1:-${VQP_REFERENCE_PYTHON:-python3}}
work=$build/benchmarks
if [ ! -x "$build/bin/vqpipe" ]; then
    echo "benchmarks.sh: no $build/bin/vqpipe; build first (tools/build.sh) or name the build folder with -b" >&2
    exit 2
fi
mkdir -p "$work"

# shellcheck source=tools/ithq.sh
. "$root/tools/ithq.sh"

more=()
if [ ! -f "$shared/oracle/specs/ithq.json" ]; then
    echo "benchmarks.sh: the larger models are left out: no $shared/oracle/specs/ithq.json" >&2
elif ! "$python" -c "import numpy" 2>/dev/null; then
    echo "benchmarks.sh: the larger models are left out: $python has no numpy" >&2
else
    make ithq2 2
    more+=(--two-layers "$work/ithq2")
    if [ -n "$full" ]; then
        make ithq 36
        more+=(--full "$work/ithq")
    fi
fi
exec "$python" "$root/tools/oracle/benchmarks.py" --vqpipe "$build/bin/vqpipe" --pipeline "$root/pipelines/vqdiffusion.yaml" \
    --work "$work" --postcards "$root/models/postcards" --pairs "$pairs" --steps "$steps" "${more[@]}"
