#!/usr/bin/env bash
# tools/vulkan-faults.sh [-e N] [-c] [-p PRECISION] [BUILD_DIR]: a run of a small model on the Vulkan backend, once for every call of every
# Vulkan function that may fail (-e N: every Nth), with that call running out of device memory, and once with it losing the device. Each must end
# with exit code 7 or 5, a message, and no picture; or, where the call could be done without, with the right picture. The kernels' self-tests have
# passed before; with -c nothing is kept from run to run, so that they are part of each, which takes ten times as long.
set -euo pipefail
every=1 precision=f32 cold=''
while getopts e:cp: option; do
    case $option in
    e) every=$OPTARG ;;
    c) cold=1 ;;
    p) precision=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache ASAN_OPTIONS=detect_leaks=0
run() {
    rm -rf "$XDG_CACHE_HOME/vqpipe"
    [ ! -e "$dir/passed" ] || cp -r "$dir/passed" "$XDG_CACHE_HOME/vqpipe"
    "$build/bin/vqpipe" run tests/golden/golden.yaml --plugin-path "$build/tests/vulkan" --model tests/golden/models/tiny -p "a red house" \
        --set components.tokenizer.model_max_length=64 --steps 2 --backend vulkan --set backend.precision="$precision" --progress none -o "$1"
}

if [ -z "$cold" ]; then
    run "$dir/right.png" >/dev/null
    mv "$XDG_CACHE_HOME/vqpipe" "$dir/passed"
    rm "$dir/right.png"
fi
VQPIPE_VK_COUNT=1 run "$dir/right.png" >/dev/null 2>"$dir/counts" || true
[ -s "$dir/right.png" ] || { cat "$dir/counts"; exit 1; }
tried=0 failed=0
while read -r name calls left; do
    if [ "$left" != 0 ]; then
        echo "a whole run leaves $left objects of $name"
        failed=$((failed + 1))
    fi
    [ "$name" = vkCmdPipelineBarrier ] && continue
    for ((call = 1; call <= calls; call += every)); do
        for kind in memory lost; do
            code=0
            rm -f "$dir/out.png"
            VQPIPE_VK_COUNT=1 VQPIPE_VK_FAULT=$name:$call:$kind run "$dir/out.png" >/dev/null 2>"$dir/log" || code=$?
            tried=$((tried + 1))
            good=0
            if [ "$code" = 0 ]; then
                cmp -s "$dir/right.png" "$dir/out.png" && good=1
            elif [ ! -e "$dir/out.png" ] && { [ "$code" = 5 ] || [ "$code" = 7 ]; } && grep -q "^vqpipe: .*vulkan" "$dir/log"; then
                good=1
            fi
            # the last counts are those of the run's own instance
            if tail -n 29 "$dir/log" | awk '$3 != 0 && $1 ~ /^vk/ {bad = 1} END {exit !bad}'; then
                good=0
            fi
            if [ $good = 0 ]; then
                echo "$name call $call of $calls, $kind: exit code $code"
                grep -v "^vk" "$dir/log" | head -n 3
                failed=$((failed + 1))
            fi
        done
    done
done < <(grep "^vk" "$dir/counts" | awk '{last[$1] = $0; if (!($1 in order)) {order[$1] = n++; name[n - 1] = $1}} END {for (i = 0; i < n; i++) print last[name[i]]}')
echo "$tried failing calls, $failed of them without a clear end"
[ $tried -gt 0 ] && [ $failed = 0 ]
