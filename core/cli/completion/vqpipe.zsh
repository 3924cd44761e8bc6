#compdef vqpipe
# zsh completion for vqpipe. It asks vqpipe's own help, so that it knows every sub-command and option of the version at hand.

local -a commands lines options
local line value
if (( CURRENT == 2 )); then
    commands=(${(f)"$($words[1] --help 2>/dev/null | sed -n 's/^  vqpipe \([a-z]*\) [^ ]*   *\(.*\)/\1:\2/p')"})
    commands+=('--help:every sub-command' '--version:the version')
    _describe 'sub-command' commands
    return
fi
# "-p|--prompt|TEXT|what to draw": the options of the sub-command, with tabs between.
lines=(${(f)"$($words[1] $words[2] --help 2>/dev/null |
    sed -n $'s/^  *\\(-[a-zA-Z]\\{0,1\\}\\),* *\\(--[a-z-]*\\) \\([^ ]*\\)  *\\(.*\\)/\\1\t\\2\t\\3\t\\4/p; s/^      *\\(--[a-z-]*\\) \\([^ ]*\\)  *\\(.*\\)/-\t\\1\t\\2\t\\3/p')"})
for line in $lines; do
    local -a field=("${(@s:	:)line}")
    options+=("$field[2]:$field[4]")
    [[ $words[CURRENT-1] == $field[1] || $words[CURRENT-1] == $field[2] ]] && value=$field[3]
done
case $value in
    '') if [[ $words[CURRENT] == -* ]]; then _describe 'option' options; else _files; fi ;;
    FILE*|PATTERN|*.npy) _files ;;
    DIR) _files -/ ;;
    *\|*) local -a choices=("${(@s:|:)value}"); _describe 'value' choices ;;
esac
