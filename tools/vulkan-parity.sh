#!/usr/bin/env bash
# tools/vulkan-parity.sh [-p PRECISION] [-n SEEDS] [-s STEPS] [-m PROMPTS] [BUILD_DIR]: the shipped pipeline on the Vulkan backend beside the cpu
# backend at f32: 3 prompts, 5 seeds each, 100 steps. One line a picture: the same ids after every step, or the first step that differs, in how
# many ids, and how near the two classes were at most that the backends chose there. Exit 1 where that is 1e-3 or more. An id may differ where the
# two best classes of its draw are nearer than float32 knows (docs/numerics.md).
#
# How near, to first order: both draw with the same noise, the cpu backend finds class a ahead of b and Vulkan b ahead of a, so that either lead is at most what
# logp of a and of b, from which the draws are made, differ between the two runs, together. The mask has no logp and adds nothing.
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
number() { # number FILE FORMAT I: the number of 4 bytes at place I of an .npy file
    od -An -t"$2" -j $((10 + $(od -An -tu2 -j8 -N2 "$1") + 4 * $3)) -N4 "$1" | tr -d ' '
}
gap() { # gap STEP CLASS PLACE: how far apart the two runs' logp are; one image
    local logp c=$2 size codes
    logp=$(printf "logp-%03d.npy" "$1")
    size=$(stat -c %s "$dir/cpu/$logp")
    codes=$(((size - 10 - $(od -An -tu2 -j8 -N2 "$dir/cpu/$logp")) / 4 / places))
    [ "$c" -lt "$codes" ] || { echo 0; return; }
    awk -v a="$(number "$dir/cpu/$logp" f4 $((c * places + $3)))" -v b="$(number "$dir/vulkan/$logp" f4 $((c * places + $3)))" \
        'BEGIN {d = a - b; printf "%.9g\n", d < 0 ? -d : d}'
}
margin() { # margin STEP: the widest of all places that differ there; sets `flips` and `widest`
    local name begin i a b m
    name=$(printf "tokens-%03d.npy" "$1")
    begin=$((10 + $(od -An -tu2 -j8 -N2 "$dir/cpu/$name")))
    places=$((($(stat -c %s "$dir/cpu/$name") - begin) / 4))
    flips=0 widest=0
    for i in $({ cmp -l "$dir/cpu/$name" "$dir/vulkan/$name" || true; } | awk -v begin=$begin '{i = int(($1 - 1 - begin) / 4)} !(i in at) {at[i] = 1; print i}'); do
        a=$(number "$dir/cpu/$name" d4 "$i") b=$(number "$dir/vulkan/$name" d4 "$i")
        m=$(awk -v a="$(gap "$1" "$a" "$i")" -v b="$(gap "$1" "$b" "$i")" 'BEGIN {printf "%.2e\n", a + b}')
        widest=$(awk -v a="$widest" -v b="$m" 'BEGIN {print (a + 0 > b + 0 ? a : b)}')
        flips=$((flips + 1))
    done
}
differing=0 wrong=0 places=0 flips=0 widest=0
for prompt in "${prompts[@]:0:$n_prompts}"; do
    for ((seed = 0; seed < seeds; seed++)); do
        draw cpu f32 "$prompt" "$seed"
        draw vulkan "$precision" "$prompt" "$seed"
        line="the same ids after each of $steps steps"
        for ((step = 0; step < steps; step++)); do
            name=$(printf "tokens-%03d.npy" "$step")
            if ! cmp -s "$dir/cpu/$name" "$dir/vulkan/$name"; then
                margin "$step"
                line="step $step is the first that differs, in $flips ids, margin at most $widest"
                wrong=$((wrong + $(awk -v m="$widest" 'BEGIN {print (m + 0 >= 1e-3)}')))
                differing=$((differing + 1))
                break
            fi
        done
        echo "$prompt, seed $seed: $line"
    done
done
echo "$differing pictures differ, $wrong of them by a margin of 1e-3 or more"
[ $wrong = 0 ]
