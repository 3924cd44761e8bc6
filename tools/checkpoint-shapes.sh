#!/usr/bin/env bash
# Made-up checkpoints of the widths, grids, code maps and VQ-VAEs of microsoft/VQ-Diffusion's COCO, ImageNet and FFHQ models: each is drawn
# from as it is, and from the folder that `vqpipe convert` makes of it, which must give the same picture.
#
#   tools/checkpoint-shapes.sh [-b BUILD_DIR] [-w WORK] [-k BACKEND] [-l LAYERS] [PYTHON]
#
# One line a model; exit 1 where one falls short. PYTHON (or $VQP_REFERENCE_PYTHON) has numpy and torch. Needs ../shared. With 2 LAYERS, the
# default, WORK/shapes (WORK: BUILD_DIR) takes 3 GB; what was there goes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build work='' backend=cpu layers=2
while getopts b:w:k:l: flag; do
    case $flag in
    b) build=$OPTARG ;;
    w) work=$OPTARG ;;
    k) backend=$OPTARG ;;
    l) layers=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=${1:-${VQP_REFERENCE_PYTHON:-}}
work=${work:-$build}/shapes oracle=$root/tools/oracle shared=$root/../shared
if [ ! -x "$build/bin/vqpipe" ]; then
    echo "checkpoint-shapes.sh: no $build/bin/vqpipe; build first (tools/build.sh) or name the build folder with -b" >&2
    exit 2
fi
if ! "${python:-false}" -c "import numpy, torch" 2>/dev/null; then
    echo "checkpoint-shapes.sh: \"$python\" is no Python with numpy and torch; name one as the argument or in VQP_REFERENCE_PYTHON" >&2
    exit 2
fi
if [ ! -f "$shared/oracle/specs/ithq.json" ]; then
    echo "checkpoint-shapes.sh: no $shared/oracle/specs/ithq.json" >&2
    exit 2
fi
rm -rf "${work:?}"
mkdir -p "$work"
"$python" "$oracle/released_shapes.py" "$shared/oracle/specs/ithq.json" "$work" "$layers"

failed=0
# shape NAME FILE.pth ARGUMENTS_OF_RUN -- ARGUMENTS_OF_MAKE_ORIGINAL
shape() {
    local name=$1 dir=$work/$1 run=()
    local file=$dir/$2
    shift 2
    while [ "$1" != -- ]; do
        run+=("$1")
        shift
    done
    shift
    mkdir -p "$dir/taming_dvae"
    "$python" "$oracle/make_model.py" "$work/$name.json" "$dir/folder" --dtype f16
    "$python" "$oracle/make_original.py" "$dir/folder" "$file" --float32 "$@"
    rm -rf "$dir/folder"
    cp -r --no-preserve=mode "$shared/clip" "$dir/tokenizer"
    run+=(-q --backend "$backend" --steps 2 -s 3 --json)
    local ours=$build/bin/vqpipe
    if ! { "$ours" run "$file" "${run[@]}" -o "$dir/file.ids.npy" >"$dir/file.json" && "$ours" run "$file" "${run[@]}" -o "$dir/file.npy" >/dev/null &&
        "$ours" convert "$file" "$dir/converted" -q >/dev/null &&
        "$ours" run "$dir/converted" "${run[@]}" -o "$dir/converted.npy" >/dev/null; }; then
        echo "$name: a run failed"
        failed=1
    elif ! cmp "$dir/file.npy" "$dir/converted.npy"; then
        echo "$name: what convert made of it draws another picture"
        failed=1
    else
        "$python" -c "import json, numpy, os, sys
name, dir, file = sys.argv[1:]
ids, picture, run = numpy.load(dir + '/file.ids.npy'), numpy.load(dir + '/file.npy'), json.load(open(dir + '/file.json'))
print(f'{name}: {os.path.getsize(file) / 1e6:.0f} MB, {ids.size} codes of 0..{ids.max()}, {run[\"width\"]} x {run[\"height\"]}, '
      f'values {picture.min():.2f} to {picture.max():.2f}, load {run[\"timings\"][\"load\"]:.2f} s, {run[\"peak_memory_bytes\"] / 1e6:.0f} MB, ok')" \
            "$name" "$dir" "$file"
    fi
}
shape coco coco_learnable.pth -p "a group of elephants walking in muddy water" --guidance 3 -- \
    --codes 8192 --codec "$work/coco/taming_dvae/taming_f8_8192_openimages_last.pth" --codec-kind gumbel --decoder-only
shape imagenet imagenet_learnable.pth -p 207 --guidance 1.5 --truncation 0.94 -- --codes 16384 --codec-kind vqgan --decoder-only
shape ffhq ffhq.pth --truncation 0.86 -- --codec "$work/ffhq/taming_dvae/vqgan_ffhq_f16_1024.pth" --codec-kind ffhq --decoder-only
exit $failed
