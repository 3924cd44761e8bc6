# fish completion for vqpipe. It asks vqpipe's own help, so that it knows every sub-command and option of the version at hand.

# "run", a tab, "draw pictures"
function __vqpipe_commands
    vqpipe --help 2>/dev/null | string replace -rf '^  vqpipe ([a-z]+) \S*  +(.*)' '$1\t$2'
end

# "--prompt", a tab, "what to draw"
function __vqpipe_options
    set -l words (commandline -opc)
    vqpipe $words[2] --help 2>/dev/null | string replace -rf '^ +(?:-[a-zA-Z], )?(--[a-z-]+) \S* +(.*)' '$1\t$2'
end

# What the option before the cursor takes, where it is one of a few words.
function __vqpipe_choices
    set -l words (commandline -opc)
    vqpipe $words[2] --help 2>/dev/null | string replace -rf '^ +(?:-[a-zA-Z], )?'$words[-1]' (\S*\|\S*) .*' '$1' | string split '|'
end

function __vqpipe_first
    test (count (commandline -opc)) = 1
end

complete -c vqpipe -n __vqpipe_first -f -a '(__vqpipe_commands)'
complete -c vqpipe -n __vqpipe_first -f -a '--help --version'
complete -c vqpipe -n 'not __vqpipe_first; and string match -q -- "-*" (commandline -ct)' -f -a '(__vqpipe_options)'
complete -c vqpipe -n 'not __vqpipe_first' -a '(__vqpipe_choices)'
