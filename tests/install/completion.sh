#!/usr/bin/env bash
# completion.sh VQPIPE DIR: every sub-command and option that --help shows is offered by the completion for each shell that is here.
# DIR has vqpipe.bash, vqpipe.zsh and vqpipe.fish.
set -euo pipefail
vqpipe=$1 dir=$2
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
ln -s "$(realpath "$vqpipe")" "$bin/vqpipe"
export PATH=$bin:$PATH

# offer_SHELL WORD...: what the shell offers when the last word, perhaps begun, is completed; one a line
offer_bash() {
    bash -c 'source "$0/vqpipe.bash"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _vqpipe; printf "%s\n" "${COMPREPLY[@]}"' "$dir" "$@"
}
offer_zsh() {
    zsh -fc '_describe() { print -rl -- ${(P)2} }; _files() { print -rl -- $words[CURRENT]*(N) }
        _vqpipe() { source $file }; file=$1/vqpipe.zsh; shift; words=("$@") CURRENT=$#; _vqpipe' zsh "$dir" "$@" | sed 's/:.*//'
}
offer_fish() {
    local line
    printf -v line '%s ' "$@"
    HOME=$bin fish -c "source '$dir/vqpipe.fish'; complete -C '${line% }'" | cut -f 1
}

options() { vqpipe "$1" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -o -- '--.*'; }
for shell in bash zsh fish; do
    if ! command -v $shell >/dev/null; then
        echo "SKIPPED: completion for $shell: no $shell here"
        continue
    fi
    missing=$(comm -23 <(vqpipe --help | sed -n 's/^  vqpipe \([a-z]*\) [^ ]*  .*/\1/p' | sort) <(offer_$shell vqpipe "" | sort))
    for command in $(vqpipe --help | sed -n 's/^  vqpipe \([a-z]*\) [^ ]*  .*/\1/p'); do
        missing+=$(comm -23 <(options "$command" | sort) <(offer_$shell vqpipe "$command" -- | sort) | sed "s/^/ $command /")
    done
    if [ -n "$missing" ]; then
        echo "$shell does not offer: $missing"
        exit 1
    fi
    offer_$shell vqpipe run --progress "" | grep -x json >"$bin/log"
    [[ $(offer_$shell vqpipe run "$dir/vqpipe.b") == *vqpipe.bash ]]
    echo "$shell: all of $(vqpipe --help | grep -cE "^  vqpipe [a-z]+ [^ ]*  ") sub-commands"
done
