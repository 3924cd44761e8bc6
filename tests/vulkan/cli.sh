#!/usr/bin/env bash
# cli.sh VQPIPE SOURCE_DIR: the Vulkan backend from the command line.
set -euo pipefail
vqpipe=$1
source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
run() { "$vqpipe" run "$source/pipelines/vqdiffusion.yaml" -p "a red house" --steps 2 "$@" --progress none; }
tiny() { "$vqpipe" run "$source/tests/golden/golden.yaml" -p "a red house" --steps 4 --backend vulkan "$@" --progress none; }

fails() { # fails CODE TEXT COMMAND...: ends with this code, says the text, leaves no picture
    local code=0 want=$1 text=$2
    shift 2
    "$@" >"$dir/log" 2>&1 || code=$?
    if [ "$code" != "$want" ] || ! grep -q "$text" "$dir/log" || [ -e "$dir/no.png" ]; then
        echo "exit code $code, expected $want and \"$text\":"
        cat "$dir/log"
        exit 1
    fi
}

export VQPIPE_VK_LIBRARY=/nowhere/libvulkan.so
fails 5 /nowhere/libvulkan.so run --backend vulkan -o "$dir/no.png"
grep -q "looked for the library /nowhere/libvulkan.so" <<<"$("$vqpipe" devices)"
grep -q "backend auto: took" <<<"$(run --backend auto -o "$dir/auto.png" 2>&1)" || { echo "auto does not say what it took"; exit 1; }
unset VQPIPE_VK_LIBRARY
grep -qE "^vulkan:[0-9]+ +usable" <<<"$("$vqpipe" devices)" || { echo "SKIPPED: no Vulkan device"; exit 0; }
fails 5 "no such device" run --backend "vulkan:no such device" -o "$dir/no.png"

for threads in 1 2; do # of lavapipe
    LP_NUM_THREADS=$threads tiny -o "$dir/$threads.ids.npy"
    LP_NUM_THREADS=$threads run --guidance 1 --backend vulkan -o "$dir/$threads.png"
done
cmp "$dir/1.ids.npy" "$dir/2.ids.npy"
cmp "$dir/1.png" "$dir/2.png"
VQPIPE_VK_DISABLE=f16,subgroup tiny -o "$dir/plain.ids.npy"
cmp "$dir/1.ids.npy" "$dir/plain.ids.npy"
echo "ok"
