#!/usr/bin/env bash
# validate.sh silent|reported COMMAND...: runs it under Vulkan's validation layer with synchronization validation. silent: the command
# succeeds and the layer says nothing. reported: one barrier is left out (tests/vulkan/faults.c), and the layer says so.
set -uo pipefail
want=$1
shift
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
# Newer layers look at what shaders access only when told to.
export VK_KHRONOS_VALIDATION_VALIDATE_SYNC=true VK_KHRONOS_VALIDATION_SYNCVAL_SHADER_ACCESSES_HEURISTIC=true
[ "$want" = reported ] && export VQPIPE_VK_DROP_BARRIER=${VQPIPE_VK_DROP_BARRIER:-1}
out=$("$@" 2>&1)
status=$?
if grep -qE "no device|no usable device|VkResult -6" <<<"$out"; then # -6: no such layer
    echo "SKIPPED: validation: no Vulkan device, or no VK_LAYER_KHRONOS_validation"
    exit 0
fi
# Newer layers warn that VK_LAYER_ENABLES is an old name; older ones know no other.
reports=$(grep -E "Validation (Error|Warning)" <<<"$out" | grep -vc VALIDATION-SETTINGS)
if [ "$want" = silent ] && [ "$status" = 0 ] && [ "$reports" = 0 ]; then
    echo "$(tail -n 1 <<<"$out"); the validation layer is silent"
elif [ "$want" = reported ] && grep -q SYNC-HAZARD <<<"$out"; then
    echo "the missing barrier is reported $reports times"
else
    echo "$out" | cut -c 1-600 | tail -n 60
    echo "status $status, $reports reports; expected: $want"
    exit 1
fi
