#!/bin/sh
# The picture sheet of docs/schedulers.md: each scheduler at several step counts, same prompts, same seed, and the time of each run.
#   tools/scheduler-sheet.sh [-b BUILD_DIR] [-k BACKEND] [-s "10 25 50 100"] [OUT_DIR]
# Writes OUT_DIR/SCHEDULER-STEPS-K.png, OUT_DIR/times.txt and OUT_DIR/sheet.png: a row a scheduler and prompt, a column a step count. One thread,
# so that times on a busy machine can be compared: they are seconds of the processor.
set -eu
cd "$(dirname "$0")/.."
build=build backend=cpu counts="10 25 50 100"
while getopts b:k:s: flag; do
  case $flag in
    b) build=$OPTARG ;;
    k) backend=$OPTARG ;;
    s) counts=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
out=${1:-$build/scheduler-sheet}
threads="--set backend.threads=1"
[ "$backend" = cpu ] || threads=
mkdir -p "$out"
: > "$out/times.txt"
for scheduler in vq-diffusion vq-diffusion-purity maskgit halton; do
  for steps in $counts; do
    before=$(awk '{ print $16 + $17 }' "/proc/$$/stat")
    "$build/bin/vqpipe" run pipelines/vqdiffusion.yaml -q --backend "$backend" $threads \
      --set components.scheduler.use=$scheduler --steps $steps -s 7,7 \
      -p "a lighthouse at night" -p "a red windmill at sunset" -o "$out/$scheduler-$steps-{index}.png" > "$out/written"
    after=$(awk '{ print $16 + $17 }' "/proc/$$/stat")
    echo "$scheduler $steps $before $after $(getconf CLK_TCK)" |
      awk '{ printf "%-20s %4d steps %7.2f s\n", $1, $2, ($4 - $3) / $5 }' | tee -a "$out/times.txt"
  done
done
rm "$out/written"
set --
for scheduler in vq-diffusion vq-diffusion-purity maskgit halton; do
  for k in 0 1; do
    for steps in $counts; do
      set -- "$@" "$out/$scheduler-$steps-$k.png"
    done
  done
done
cc -O2 tools/sheet.c $(pkg-config --cflags --libs libpng) -o "$build/sheet"
"$build/sheet" "$out/sheet.png" "$(echo $counts | wc -w)" "$@"
echo "$out/sheet.png"
