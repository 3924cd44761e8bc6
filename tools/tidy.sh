#!/usr/bin/env bash
# tools/tidy.sh [BUILD_DIR]: clang-tidy 14 with the committed checks on core and plugins, by the compile commands of that build.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [ -z "$tidy" ] || ! "$tidy" --version | grep -q 'version 14\.'; then
    echo "SKIPPED: clang-tidy 14 is not installed"
    exit 0
fi
# One file a process, the largest first, as many at once as there are processors. A file compiled more than once is checked once.
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
awk -v root="$PWD/" '
/^\{/ { entry = "" }
{ entry = entry $0 "\n" }
/"file":/ { split($0, part, "\""); file = part[4] }
/^\},?$/ && index(file, root) == 1 && !seen[file]++ { sub(/,\n$/, "\n", entry); all = all (all ? ",\n" : "") entry; }
END { printf "[\n%s]\n", all }' "$build/compile_commands.json" >"$commands/compile_commands.json"
files=$(sed -n "s|^ *\"file\": \"$PWD/\(.*\)\".*|\1|p" "$commands/compile_commands.json" | grep -E '^(core|plugins)/')
[ -n "$files" ] || { echo "tidy.sh: $build/compile_commands.json names no file of core or plugins" >&2; exit 1; }
# shellcheck disable=SC2086
ls -S $files | xargs -P "$(nproc)" -n 1 "$tidy" -p "$commands" --quiet 2>/dev/null || { echo "clang-tidy has findings"; exit 1; }
echo "clang-tidy: $(wc -l <<<"$files") files without findings"
