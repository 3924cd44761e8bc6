#!/usr/bin/env python3
"""Draw one picture with the reference (diffusers on torch, CPU) and print where the time went, as JSON.

    bench_torch.py MODEL_DIR OUT.png [--prompt TEXT] [--steps N] [--guidance X] [--bf16] [--threads N]

With --bf16 the transformer is torch.bfloat16; the rest, a small part of the time, stays float32. Run as a fresh process: "whole" is from the process's start to the written PNG.
"""
import argparse
import json
import os
import time

EPOCH = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def process_start():
    with open("/proc/self/stat") as f:
        return EPOCH + int(f.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("--prompt", default="a lighthouse at night")
    p.add_argument("--steps", type=int, default=100)
    p.add_argument("--guidance", type=float, default=5.0)
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--threads", type=int, default=0)
    a = p.parse_args()
    import torch

    import oracle

    if a.threads:
        torch.set_num_threads(a.threads)
    pipe = oracle.load(a.model, None)
    if a.bf16:
        pipe.transformer.to(torch.bfloat16)
        forward = pipe.transformer.forward

        def in_bf16(ids, encoder_hidden_states, timestep):
            out = forward(ids, encoder_hidden_states=encoder_hidden_states.to(torch.bfloat16), timestep=timestep)
            out.sample = out.sample.float()
            return out

        pipe.transformer.forward = in_bf16
    pipe.set_progress_bar_config(disable=True)
    loaded = time.time()
    ends = []
    image = pipe(
        a.prompt,
        num_inference_steps=a.steps,
        guidance_scale=a.guidance,
        generator=torch.Generator().manual_seed(0),
        callback=lambda *_: ends.append(time.time()),
        callback_steps=1,
    ).images[0]
    image.save(a.out)
    done = time.time()
    steps = sorted(b - a for a, b in zip(ends, ends[1:]))
    with open("/proc/self/status") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "precision": "bf16" if a.bf16 else "f32",
                "threads": torch.get_num_threads(),
                "start_to_loaded_s": round(loaded - process_start(), 3),
                "start_to_first_step_s": round(ends[0] - process_start(), 3),
                "step_ms": round(1e3 * steps[len(steps) // 2], 3),
                "whole_s": round(done - process_start(), 3),
                "peak_mib": round(peak / 1024, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
