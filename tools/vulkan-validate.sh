#!/usr/bin/env bash
# tools/vulkan-validate.sh [BUILD_DIR]: the whole op suite and the golden cases, in float32 and float16, on the Vulkan backend under Vulkan's
# validation layer with synchronization validation, which must say nothing; and the op suite once more with a barrier left out, which it must
# report.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
validate=tests/vulkan/validate.sh
echo "op suite: $($validate silent "$build/tests/test_ops" "$build/lib/vqpipe/backend-vulkan.so")"
echo "op suite, f16: $($validate silent "$build/tests/test_ops" "$build/lib/vqpipe/backend-vulkan.so" --precision f16)"
echo "golden cases: $(VQP_TEST_BACKEND=vulkan $validate silent "$build/tests/test_golden")"
for barrier in 49 60 75 90; do # of about 100; the first ones part writes to one tensor that do not meet
    echo "without barrier $barrier: $(VQPIPE_VK_DROP_BARRIER=$barrier $validate reported "$build/tests/test_ops" "$build/tests/vulkan/backend-vulkan.so")"
done
