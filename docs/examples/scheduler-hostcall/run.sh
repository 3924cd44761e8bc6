#!/usr/bin/env bash
# run.sh BUILD_DIR [FLAGS]: builds the scheduler out of the tree, with find_package, and draws with it on every backend.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
vqpipe=$1/bin/vqpipe
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cmake -S "$here" -B "$out/build" -Dvqpipe_DIR="$1" -DCMAKE_C_FLAGS="-Werror ${2:-}" >"$out/log"
cmake --build "$out/build" >>"$out/log" || { cat "$out/log"; exit 1; }
use=(--plugin-path "$out/build" --set components.scheduler.use=random-unmask)
# a tiny model: quick on every backend, under sanitizers too
draw() { "$vqpipe" run "$root/tests/golden/golden.yaml" -q "${use[@]}" -p "a red house" --set run.rng=philox --steps 2 --guidance 1 "$@"; }
backends=$("$vqpipe" devices | sed -n 's/^\([a-z]*\):[0-9]* *usable.*/\1/p' | sort -u)
echo "backends:" $backends
for b in $backends; do
  draw --backend "$b" -n 2 --set run.batch_size=1 -o "$out/alone.ids.npy"
  draw --backend "$b" -n 2 -o "$out/together.ids.npy"
  cmp "$out/alone.ids.npy" "$out/together.ids.npy"
  draw --backend "$b" -o "$out/$b.png"
  test -s "$out/$b.png"
done
"$vqpipe" inspect random-unmask --plugin-path "$out/build" | grep -q 'plain C'
# The step with the function in it is on the host, whatever backend is around it.
"$vqpipe" program "$root/pipelines/vqdiffusion.yaml" -q "${use[@]}" | grep -A1 'on the host: a function of scheduler' | grep '^draw ('
"$vqpipe" run "$root/pipelines/vqdiffusion.yaml" -q "${use[@]}" --backend reference --steps 2 --guidance 1 -o "$out/postcard.png"
# An edit: start from ids, and keep some.
first=${backends%%$'\n'*}
draw --backend "$first" -o "$out/a.ids.npy"
draw --backend "$first" -s 5 --latents "$out/a.ids.npy" --set run.start_step=1 -o "$out/b.png"
draw --backend "$first" -s 5 --set run.pin="$out/a.ids.npy" -o "$out/c.ids.npy"
cmp "$out/a.ids.npy" "$out/c.ids.npy"
