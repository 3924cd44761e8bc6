#!/usr/bin/env bash
# threads.sh VQPIPE SOURCE_DIR: one and two threads of lavapipe give the same ids and the same picture, in float32 and in float16.
set -euo pipefail
vqpipe=$1
golden=$2/tests/golden
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
grep -qE "^vulkan:[0-9]+ +usable" <<<"$("$vqpipe" devices)" || { echo "SKIPPED: no Vulkan device"; exit 0; }
for precision in f32 f16; do
    for threads in 1 2; do
        for out in ids.npy png; do
            LP_NUM_THREADS=$threads "$vqpipe" run "$golden/golden.yaml" --model "$golden/models/wide" -p "a windmill on the left" --steps 5 \
                --backend vulkan --set backend.precision=$precision -o "$dir/$precision-$threads.$out" --progress none >/dev/null
        done
    done
    cmp "$dir/$precision-1.ids.npy" "$dir/$precision-2.ids.npy"
    cmp "$dir/$precision-1.png" "$dir/$precision-2.png"
done
! cmp -s "$dir/f32-1.png" "$dir/f16-1.png" || { echo "float16 gives the bytes of float32: is it used at all?"; exit 1; }
echo "ok"
