# shellcheck shell=bash disable=SC2154
# To be sourced: made-up models of the size of the released microsoft/vq-diffusion-ithq, from ../shared. Needs $root, $work and $python (numpy).
shared=$root/../shared

# make NAME LAYERS: the model ithq with so many layers and float16 weights in $work/NAME, once.
make() {
    if [ ! -f "$work/$1/done" ]; then
        "$python" -c "import json, sys
spec = json.load(open(sys.argv[1]))
spec['transformer']['num_layers'] = int(sys.argv[2])
json.dump(spec, open(sys.argv[3], 'w'))" "$shared/oracle/specs/ithq.json" "$2" "$work/$1.json"
        rm -rf "${work:?}/$1"
        "$python" "$root/tools/oracle/make_model.py" "$work/$1.json" "$work/$1" --dtype f16 --tokenizer "$shared/clip" >&2
        touch "$work/$1/done"
    fi
}
