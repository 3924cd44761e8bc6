# bash completion for vqpipe. It asks vqpipe's own help, so that it knows every sub-command and option of the version at hand.

# "-p --prompt TEXT", "--strict": the options of a sub-command, one a line.
_vqpipe_options() {
    "$1" "$2" --help 2>/dev/null | sed -n 's/^  *\(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\) \([^ ]*\) .*/\1\2 \3/p' | tr -d ,
}

_vqpipe() {
    local vqpipe=${COMP_WORDS[0]} command=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD - 1]} word=${COMP_WORDS[COMP_CWORD]} value
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$vqpipe" --help 2>/dev/null | sed -n 's/^  vqpipe \([a-z]*\) [^ ]*  .*/\1/p') --help --version" -- "$word")
        return
    fi
    value=$(_vqpipe_options "$vqpipe" "$command" | awk -v o="$before" '($1 == o || $2 == o) && $NF !~ /^-/ {print $NF}')
    case $value in
    '' | FILE* | PATTERN | *.npy)
        if [ -z "$value" ] && [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_vqpipe_options "$vqpipe" "$command" | grep -o -- '--[a-z-]*')" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    DIR)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        ;;
    *'|'*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$word") ;;
    esac
}
complete -F _vqpipe vqpipe
