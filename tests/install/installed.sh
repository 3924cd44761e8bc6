#!/usr/bin/env bash
# installed.sh BUILD_DIR CC [FLAGS]: installs to a scratch folder, moves the tree away, and uses it from elsewhere: the command line, and
# a program built with find_package and with pkg-config.
set -euo pipefail
build=$1 cc=$2 flags=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset VQPIPE_PLUGIN_PATH
cmake --install "$build" --prefix "$dir/first" >"$dir/log"
mv "$dir/first" "$dir/moved here"
prefix="$dir/moved here"
mkdir "$dir/work"
cd "$dir/work"

if grep -rlIF -e "$dir" -e "$build" -e "$(realpath "$here/../..")" "$prefix"; then
    echo "these name the folder they were built in or installed to"
    exit 1
fi
for file in lib/libvqpipe.so.0 include/vqpipe/plugin.h lib/vqpipe/vq-diffusion.so share/vqpipe/models/postcards/model_index.json \
    share/bash-completion/completions/vqpipe share/zsh/site-functions/_vqpipe share/fish/vendor_completions.d/vqpipe.fish; do
    [ -f "$prefix/$file" ] || { echo "$file was not installed"; exit 1; }
done

# Its own library and plugins and no others; pipelines from the installed folder, unless there is one here.
export PATH=$prefix/bin:$PATH
vqpipe plugins | grep -F "$prefix/lib/vqpipe/vq-diffusion.so" >"$dir/log"
if vqpipe plugins | grep -F "$build"; then
    echo "the installed tree looks into the build tree"
    exit 1
fi
draw() { vqpipe run -q --set run.steps=2 --guidance 1 --set "backend.use=${VQP_TEST_BACKEND:-reference}" "$@"; }
draw vqdiffusion.yaml -o a.ids.npy
draw pipelines/vqdiffusion.yaml -o b.ids.npy
cmp a.ids.npy b.ids.npy
sed "s|^model:.*|model: /nowhere|" "$prefix/share/vqpipe/pipelines/vqdiffusion.yaml" >vqdiffusion.yaml
if draw vqdiffusion.yaml -o c.ids.npy 2>"$dir/log" || ! grep -q /nowhere "$dir/log"; then
    echo "a descriptor in the current folder does not come first"
    exit 1
fi
for name in ../pipelines/vqdiffusion.yaml other/vqdiffusion.yaml pipelines/../vqdiffusion.yaml /vqdiffusion.yaml; do
    if draw "$name" -o c.ids.npy 2>"$dir/log" || ! grep -q "cannot be opened" "$dir/log"; then
        echo "$name was found"
        exit 1
    fi
done

# A program that embeds the library.
cp "$here/../../docs/examples/embed.c" .
printf '%s\n' 'cmake_minimum_required(VERSION 3.18)' 'project(embed LANGUAGES C)' 'find_package(vqpipe 0.1 REQUIRED)' \
    'add_executable(embed embed.c)' 'target_link_libraries(embed PRIVATE vqpipe::vqpipe)' >CMakeLists.txt
cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$flags" >"$dir/log"
cmake --build build >>"$dir/log" || { cat "$dir/log"; exit 1; }
readelf -d build/embed | grep 'NEEDED.*libvqpipe\.so\.0' >"$dir/log"
works() { "$@" "$here/../golden/golden.yaml" >"$dir/log" && grep -Eq 'cancelled after 1 calls: yes|equal pictures' "$dir/log"; }
works build/embed
ln -s "$prefix" "$dir/prefix" # pkg-config's output is words: no spaces there
export PKG_CONFIG_PATH=$dir/prefix/lib/pkgconfig
# shellcheck disable=SC2046,SC2086
"$cc" $flags embed.c $(pkg-config --cflags --libs vqpipe) -o embed
LD_LIBRARY_PATH=$dir/prefix/lib works ./embed
echo "ok"
