#!/usr/bin/env bash
# tutorial.sh PREFIX TUTORIAL.md: does what the tutorial says, exactly as printed, in a scratch folder, with the vqpipe installed at PREFIX.
#
# "`FILE`:" before a fenced block: the block becomes FILE; "`FILE`, continued:" adds it to FILE. A console block has commands ("$ ...", one
# a line) and what each prints; "..." stands for anything. Where nothing is shown, a command may print what it likes. A command must
# succeed, unless what it shows begins with "vqpipe: ": then it must fail. Other blocks are an error.
set -uo pipefail
export PREFIX=$1
doc=$(realpath "$2")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset VQPIPE_PLUGIN_PATH CMAKE_PREFIX_PATH PKG_CONFIG_PATH
mkdir "$dir/steps" "$dir/work"

# One numbered file a step: N.file and N.more begin with the file's name; N.run has the command, N.shown what it prints.
awk -v steps="$dir/steps/" '
function next_step(kind) { step = sprintf("%s%04d.%s", steps, ++n, kind) }
!inside && /^```/ {
    inside = 1
    command = $0 == "```console"
    if (!command && file == "") { print "a block without a file name before it, line " NR; exit 1 }
    if (!command) { next_step(more ? "more" : "file"); print file > step }
    next
}
inside && /^```$/ { inside = 0; file = ""; next }
inside && command && /^\$ / { next_step("run"); print substr($0, 3) > step; shown = step; sub(/run$/, "shown", shown); next }
inside { print > (command ? shown : step); next }
/^`[^`]+`(, continued)?:$/ { split($0, part, "`"); file = part[2]; more = /continued/; next }
/./ { file = "" }' "$doc" || exit 1

cd "$dir/work" || exit 1
ran=0
for step in "$dir"/steps/*.file "$dir"/steps/*.more "$dir"/steps/*.run; do
    [ -e "$step" ] && echo "$step"
done | sort >"$dir/order"
while read -r step <&3; do
    shown=${step%.run}.shown
    case $step in
    *.file) tail -n +2 "$step" >"$(head -n 1 "$step")" ;;
    *.more) tail -n +2 "$step" >>"$(head -n 1 "$step")" ;;
    *.run)
        command=$(cat "$step") status=0 must_fail=0
        eval "$command" >"$dir/out" 2>&1 </dev/null || status=$?
        pattern=$(cat "$shown" 2>/dev/null | sed 's/[][*?\\]/\\&/g; s/\.\.\./*/g')
        [[ $pattern == "vqpipe: "* ]] && must_fail=1
        out=$(cat "$dir/out")
        # shellcheck disable=SC2053
        if [ $((status != 0)) != $must_fail ] || { [ -e "$shown" ] && [[ $out != $pattern ]]; }; then
            printf '$ %s\n%s\nexit code %s; the tutorial shows:\n%s\n' "$command" "$out" "$status" "$(cat "$shown" 2>/dev/null)"
            exit 1
        fi
        ran=$((ran + 1))
        ;;
    esac
done 3<"$dir/order"
[ $ran -ge 5 ] || { echo "only $ran commands were found"; exit 1; }
echo "$ran commands ran as printed"
