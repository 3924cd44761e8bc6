#!/usr/bin/env bash
# One model in the four forms that people have, one step of each: the first three hold the same values and must give the same ids.
#
#   tools/checkpoint-forms.sh [-b BUILD_DIR] [-w WORK] [-l LAYERS] [-m MODEL] [PYTHON]
#
# The forms: a folder of float16 safetensors, a folder of float32 .bin files as torch.save writes them, a checkpoint of
# microsoft/VQ-Diffusion (.pth, float32), and what `vqpipe convert --type q8_0` makes of the first. A table in Markdown, and how far
# q8_0 is off; exit 1 where ids differ that must not. The model is of the size of ithq, from ../shared, with LAYERS (36) layers, or MODEL,
# a folder of float16 safetensors. PYTHON (or $VQP_REFERENCE_PYTHON) has numpy and torch. WORK/forms (WORK: BUILD_DIR) takes
# 17 GB at the full size, and making them 10 GB of memory; what is there is used again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build work='' layers=36 model=
while getopts b:w:l:m: flag; do
    case $flag in
    b) build=$OPTARG ;;
    w) work=$OPTARG ;;
    l) layers=$OPTARG ;;
    m) model=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=${1:-${VQP_REFERENCE_PYTHON:-}}
work=${work:-$build}/forms/$layers oracle=$root/tools/oracle
if [ ! -x "$build/bin/vqpipe" ]; then
    echo "checkpoint-forms.sh: no $build/bin/vqpipe; build first (tools/build.sh) or name the build folder with -b" >&2
    exit 2
fi
if ! "${python:-false}" -c "import numpy, torch" 2>/dev/null; then
    echo "checkpoint-forms.sh: \"$python\" is no Python with numpy and torch; name one as the argument or in VQP_REFERENCE_PYTHON" >&2
    exit 2
fi
# shellcheck source=tools/ithq.sh
. "$root/tools/ithq.sh"
if [ -z "$model" ] && [ ! -f "$shared/oracle/specs/ithq.json" ]; then
    echo "checkpoint-forms.sh: no $shared/oracle/specs/ithq.json; name a model folder with -m" >&2
    exit 2
fi
mkdir -p "$work"
if [ -z "$model" ]; then
    make f16 "$layers"
    model=$work/f16
fi

# once NAME COMMAND...: makes $work/NAME by the command, which leaves no half of it behind
once() {
    local name=$1
    shift
    if [ ! -f "$work/$name.made" ]; then
        rm -rf "${work:?}/$name"
        mkdir "$work/$name"
        "$@" >&2
        touch "$work/$name.made"
    fi
}
original() {
    "$python" "$oracle/make_original.py" "$model" "$work/pth/ithq_learnable.pth" --float32
    cp -rL --no-preserve=mode "$model/tokenizer" "$work/pth/"
}
once bin "$python" "$oracle/make_bin.py" "$model" "$work/bin"
once pth original
once q8_0 "$build/bin/vqpipe" convert "$model" "$work/q8_0" --type q8_0

# run NAME PATH: one step, from a warm page cache; the only one, so that it draws every id
run() {
    rm -rf "${work:?}/$1.dump"
    find -L "$2" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f\n", n }' >"$work/$1.size"
    find -L "$2" -type f -exec cat {} + >/dev/null
    "$build/bin/vqpipe" run "$2" -q --backend cpu --steps 1 --guidance 5 -s 7 -p "a lighthouse at night" --json \
        --dump "$work/$1.dump" -o "$work/$1.png" >"$work/$1.json"
}
run f16 "$model"
run bin "$work/bin"
run pth "$work/pth/ithq_learnable.pth"
run q8_0 "$work/q8_0"
exec "$python" "$oracle/compare_forms.py" "$work" "f16=float16 safetensors" "bin=float32 .bin" "pth=float32 .pth of the original" \
    "q8_0=q8_0 safetensors"
