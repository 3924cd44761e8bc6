#!/usr/bin/env bash
# Sets up, builds, draws nine pictures with the model that ships, and puts them on one sheet: README's picture, docs/images/demo.png.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh build -DVQP_TESTS=OFF

# Seeds picked by eye, one of a few each.
prompts=(
    "a house with a red roof on a green meadow under a blue sky, snowy mountains behind"
    "a lighthouse at the blue sea at night, with a full moon"
    "a sailboat with a red sail on the sea at sunset"
    "a house with a yellow roof on a green meadow under a blue sky, with a rainbow"
    "a house with a purple roof on a green meadow at sunset, a city skyline in the background"
    "a lighthouse at the sea under a blue sky, with a rainbow"
    "a sailboat with a blue sail on the sea in the morning, with the sun"
    "a round tree on a green meadow under a blue sky, mountains behind"
    "a house with a green roof on a green meadow at night, with a crescent moon"
)
seeds=3,4,5,12,9,6,13,25,27
mkdir -p out
args=()
pictures=()
for i in "${!prompts[@]}"; do
    args+=(-p "${prompts[$i]}")
    pictures+=("out/demo-$i.png")
done
build/bin/vqpipe run pipelines/vqdiffusion.yaml "${args[@]}" -s "$seeds" --steps 25 --truncation 0.9 --scale 2 -o "out/demo-{index}.png"
# shellcheck disable=SC2046 # the flags are words
cc -O2 tools/sheet.c $(pkg-config --cflags --libs libpng) -o build/sheet
build/sheet out/demo.png 3 "${pictures[@]}"
echo
echo "Drawn:"
for i in "${!prompts[@]}"; do
    echo "  $PWD/out/demo-$i.png   ${prompts[$i]}"
done
echo "  $PWD/out/demo.png     all of them"
