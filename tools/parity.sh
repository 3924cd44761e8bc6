#!/usr/bin/env bash
# The long comparison with the reference pipeline: every case of tests/golden run anew by torch and by us, compared stage by
# stage. One line a case; exit 1 where one falls short.
#
#   tools/parity.sh [-b BUILD_DIR] [-k BACKEND] [-m|-f] [PYTHON]
#
# PYTHON (or $VQP_REFERENCE_PYTHON) has numpy, torch, transformers and a diffusers that still has VQDiffusionPipeline.
# -m only makes the models, which needs numpy alone. -f runs the cases of tests/golden/full instead: two layers of the released model's
# width with its text encoder and VQ decoder, from ../shared (0.5 GB of disk, 3 GB of memory). Work goes to BUILD_DIR/parity; reference
# dumps made there before are used again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build backend=reference models_only='' full=''
while getopts b:k:mf flag; do
    case $flag in
    b) build=$OPTARG ;;
    k) backend=$OPTARG ;;
    m) models_only=1 ;;
    f) full=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=${1:-${VQP_REFERENCE_PYTHON:-}}
if ! "${python:-false}" -c "import numpy" 2>/dev/null; then
    echo "parity.sh: \"$python\" is no Python with numpy; name one as the argument or in VQP_REFERENCE_PYTHON" >&2
    exit 2
fi
golden=$root/tests/golden oracle=$root/tools/oracle work=$build/parity
mkdir -p "$work/models" "$work/reference" "$work/dump"

make_models() {
    local spec name
    for spec in "$golden"/specs/*.json; do
        name=$(basename "$spec" .json)
        "$python" "$oracle/make_model.py" "$spec" "$work/models/$name"
        if [ -d "$golden/models/$name/transformer" ] && ! diff -rq "$golden/models/$name" "$work/models/$name" >/dev/null; then
            echo "$name: the committed model is not quite what its spec gives here (another numpy?); using the committed one"
        fi
    done
}
if [ -z "$full" ]; then
    make_models
fi
if [ -n "$models_only" ]; then
    exit 0
fi

model_dir() {
    local dir
    for dir in "$golden/models/$1" "$root/models/$1" "$work/models/$1"; do
        if [ -e "$dir" ]; then
            echo "$dir"
            return
        fi
    done
    echo "parity.sh: no model $1" >&2
    return 1
}

# $1: model folder; the shipped model's for those that have none
tokenizer_dir() {
    if [ -d "$1/tokenizer" ]; then
        echo "$1/tokenizer"
    else
        echo "$root/models/postcards/tokenizer"
    fi
}

# One value of case.json, or its arguments one a line: as the oracle takes them, or as our command line does.
case_json() {
    "$python" - "$1/case.json" "$2" <<'PY'
import json, os, sys
path, what = sys.argv[1:]
case = json.load(open(path))
ours = {"--prompt": "-p", "--seed": "-s", "--images-per-prompt": "-n"}
if what in ("model", "descriptor"):
    print(case.get(what, "golden.yaml"))
for flag, value in zip(case["args"][::2], case["args"][1::2]):
    if flag == "--latents":
        value = os.path.join(os.path.dirname(path), value)
    if what == "oracle":
        print(flag, value, sep="\n")
    if what == "ours" and flag != "--every":
        print(ours.get(flag, flag), value, sep="\n")
if what == "ours":
    for key, value in case.get("set", {}).items():
        print("--set", f"{key}={value}", sep="\n")
PY
}

failed=0
# $1: case folder; $2: folder of the reference's dump
compare_case() {
    local name model args descriptor
    name=$(basename "$1")
    model=$(model_dir "$(case_json "$1" model)")
    descriptor=$(case_json "$1" descriptor)
    mapfile -t args < <(case_json "$1" ours)
    if [ "$descriptor" = golden.yaml ]; then
        args+=(--set "components.tokenizer.path=$(tokenizer_dir "$model")")
    fi
    rm -rf "$work/dump/$name"
    if "$build/bin/vqpipe" run "$golden/$descriptor" -q --model "$model" --backend "$backend" "${args[@]}" --dump "$work/dump/$name" -o "$work/dump/$name.ids.npy" >/dev/null; then
        "$python" "$oracle/compare.py" "$2" "$work/dump/$name" || failed=1
    else
        echo "$name: the run failed"
        failed=1
    fi
}

if [ -z "$full" ]; then
    for dir in "$root"/../shared/oracle/golden/*/; do
        if [ -f "$dir/case.json" ]; then
            compare_case "${dir%/}" "${dir%/}"
        fi
    done
fi
if ! "$python" -c "import torch, transformers, diffusers" 2>/dev/null; then
    echo "parity.sh: $python has no torch, transformers or diffusers: the other cases need them" >&2
    exit 1
fi
cases=("$golden"/cases/*/ "$golden"/long/*/)
if [ -n "$full" ]; then
    # shellcheck source=tools/ithq.sh
    . "$root/tools/ithq.sh"
    if [ ! -f "$shared/oracle/specs/ithq.json" ]; then
        echo "parity.sh: no $shared/oracle/specs/ithq.json, which -f needs" >&2
        exit 1
    fi
    (work=$work/models && make ithq2 2)
    cases=("$golden"/full/*/)
fi
for dir in "${cases[@]}"; do
    dir=${dir%/} name=$(basename "$dir")
    # what diffusers cannot run has its dump here: tests/golden/README.md
    if [[ $(case_json "$dir" model) == *.pth ]]; then
        compare_case "$dir" "$dir"
        continue
    fi
    reference=$work/reference/$name
    if ! cmp -s "$dir/case.json" "$reference/case.json"; then
        rm -rf "$reference"
        mapfile -t args < <(case_json "$dir" oracle)
        model=$(model_dir "$(case_json "$dir" model)")
        if ! "$python" "$oracle/oracle.py" "$model" "$reference" --tokenizer "$(tokenizer_dir "$model")" --stack \
            "${args[@]}" >"$work/oracle.log" 2>&1; then
            tail -n 5 "$work/oracle.log" >&2
            echo "$name: the reference failed"
            failed=1
            continue
        fi
        cp "$dir/case.json" "$reference/"
    fi
    compare_case "$dir" "$reference"
done
exit $failed
