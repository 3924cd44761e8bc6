#!/usr/bin/env bash
# Sets up, builds, and draws four pictures with the model that ships.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh build -DVQP_TESTS=OFF

prompts=(
    "a house with a red roof on a green meadow under a blue sky, snowy mountains behind"
    "a lighthouse at the blue sea at night, with a full moon"
    "a sailboat with a red sail on the sea at sunset"
    "a lighthouse at the sea under a blue sky, with a rainbow"
)
mkdir -p out
args=()
for p in "${prompts[@]}"; do
    args+=(-p "$p")
done
build/bin/vqpipe run pipelines/vqdiffusion.yaml "${args[@]}" -s 3 --steps 25 --truncation 0.9 -o "out/demo-{index}.png"
echo
echo "Drawn:"
for i in "${!prompts[@]}"; do
    echo "  $PWD/out/demo-$i.png   ${prompts[$i]}"
done
