#!/usr/bin/env bash
# tools/vulkan-parity.sh [-p PRECISION] [-n SEEDS] [-s STEPS] [-m PROMPTS] [BUILD_DIR]: the shipped pipeline on the Vulkan backend beside the cpu
# backend at f32: 3 prompts, 5 seeds each, 100 steps. One line a picture: the same ids after every step, or the first step that differs, in how many
# ids. Exit 1 where any differs. An id may differ where the two best classes of its
# draw are nearer than float32 knows (docs/numerics.md). On lavapipe this takes hours.
set -euo pipefail
precision=f32 seeds=5 steps=100 n_prompts=3
while getopts p:n:s:m: option; do
    case $option in
    p) precision=$OPTARG ;;
    n) seeds=$OPTARG ;;
    s) steps=$OPTARG ;;
    m) n_prompts=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prompts=("a house with a red roof under a starry night sky" "a lighthouse at the blue sea at night, with a full moon" "three pine trees on a snowy mountain")
draw() { # draw BACKEND PRECISION PROMPT SEED
    rm -rf "${dir:?}/$1"
    "$build/bin/vqpipe" run pipelines/vqdiffusion.yaml -p "$3" -s "$4" --steps "$steps" --backend "$1" --set backend.precision="$2" \
        --dump "$dir/$1" -o "$dir/$1.ids.npy" --progress none >/dev/null
}
differing=0
for prompt in "${prompts[@]:0:$n_prompts}"; do
    for ((seed = 0; seed < seeds; seed++)); do
        draw cpu f32 "$prompt" "$seed"
        draw vulkan "$precision" "$prompt" "$seed"
        line="the same ids after each of $steps steps"
        for ((step = 0; step < steps; step++)); do
            name=$(printf "tokens-%03d.npy" "$step")
            if ! cmp -s "$dir/cpu/$name" "$dir/vulkan/$name"; then
                bytes=$({ cmp -l "$dir/cpu/$name" "$dir/vulkan/$name" || true; } | awk '{at[int(($1 - 1) / 4)] = 1} END {print length(at)}')
                line="step $step is the first that differs, in $bytes ids"
                differing=$((differing + 1))
                break
            fi
        done
        echo "$prompt, seed $seed: $line"
    done
done
echo "$differing pictures differ"
[ $differing = 0 ]
