#!/usr/bin/env python3
"""Measure vqpipe beside the reference and print the tables of docs/benchmarks.md; tools/benchmarks.sh is how to call it.

    benchmarks.py --vqpipe PATH --pipeline FILE.yaml --work DIR --postcards DIR [--two-layers DIR] [--full DIR] [--pairs N] [--steps N]

Every number comes from a process of its own; the two sides take turns, and a ratio is the median of the pairs' ratios. Without torch and
diffusers in this Python our side is measured alone.
"""
import argparse
import glob
import importlib.util
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT = "a lighthouse at night"
SEVERAL = "{:.3g} ({:.3g} to {:.3g})"


def command(args):
    """Wall seconds of a fresh process, and the JSON that it prints."""
    begin = time.monotonic()
    child = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    seconds = time.monotonic() - begin
    if child.returncode:
        sys.exit(f"benchmarks: {' '.join(args)} ended with {child.returncode}:\n{err.decode()[-2000:]}")
    text = out.decode()
    return {"whole": seconds} | json.loads(text[text.index("{") :])


class Bench:
    def __init__(self, a):
        self.a = a
        self.torch = all(importlib.util.find_spec(m) for m in ("torch", "diffusers", "transformers"))

    def ours(self, verb, model, steps, threads, precision, *more):
        return command(
            [self.a.vqpipe, verb, self.a.pipeline, "--backend", "cpu", "--model", model, "-p", PROMPT, "-s", "0", "-q", "--json"]
            + ["--steps", str(steps), "--guidance", "5", "--set", f"backend.threads={threads}"]
            + ["--set", f"backend.precision={precision}", *more]
        )

    def run(self, model, steps, threads, precision):
        r = self.ours("run", model, steps, threads, precision, "-o", os.path.join(self.a.work, "ours.png"))
        return r | {"step": r["timings"]["steps"] / steps, "peak": r["peak_memory_bytes"]}

    def theirs(self, model, steps, threads, precision):
        r = command(
            [sys.executable, os.path.join(HERE, "bench_torch.py"), model, os.path.join(self.a.work, "theirs.png")]
            + ["--prompt", PROMPT, "--steps", str(steps), "--guidance", "5", "--threads", str(threads)]
            + (["--bf16"] if precision == "bf16" else [])
        )
        return r | {"step": r["step_ms"] / 1e3, "first": r["start_to_first_step_s"], "peak": r["peak_mib"] * 2**20}


def say(line=""):
    print(line, flush=True)


def median(values):
    return statistics.median(values)


def spread(values, scale=1):
    v = sorted(x * scale for x in values)
    return SEVERAL.format(median(v), v[0], v[-1])


def table(head, rows):
    say("| " + " | ".join(head) + " |")
    say("|" + "---|" * len(head))
    for row in rows:
        say("| " + " | ".join(str(c) for c in row) + " |")
    say()


def compared(what, ours, theirs, key, scale):
    """One row; the ratio is theirs by ours, so above 1 is better."""
    if not theirs:
        return [what, spread([o[key] for o in ours], scale), "-", "-"]
    ratios = [t[key] / o[key] for o, t in zip(ours, theirs)]
    return [what, spread([o[key] for o in ours], scale), spread([t[key] for t in theirs], scale), spread(ratios)]


def first_step(bench):
    return bench["start_up"] + bench["compile"] + bench["prepare"] + bench["first_step"]


def bf16_here():
    with open("/proc/cpuinfo") as f:
        flags = set(next((line for line in f if line.startswith("flags")), "").split())
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def postcards(b, threads, precision):
    """The whole command on the shipped model. In bf16 whole, memory and first step are beside torch's f32, the step beside its bf16."""
    ours, theirs, same = [], [], []
    for _ in range(b.a.pairs):
        r = b.run(b.a.postcards, b.a.steps, threads, precision)
        ours.append(r | {"first": first_step(b.ours("bench", b.a.postcards, 3, threads, precision))})
        if b.torch:
            theirs.append(b.theirs(b.a.postcards, b.a.steps, threads, "f32"))
            same.append(b.theirs(b.a.postcards, b.a.steps, threads, "bf16") if precision == "bf16" else theirs[-1])
    say(f"Postcards, {b.a.steps} steps, guidance 5, {precision}, threads {threads}; {b.a.pairs} pairs:")
    say()
    table(
        ["median (least to most)", "vqpipe", "diffusers", "ratio"],
        [
            compared("whole command, s", ours, theirs, "whole", 1),
            compared("step, ms", ours, same, "step", 1e3),
            compared("start to first step, s", ours, theirs, "first", 1),
            compared("peak memory, MB", ours, theirs, "peak", 1e-6),
        ],
    )


def share_row(b, name, model, steps, threads, rounds):
    """bench's line on the ceiling, of the round with the median share."""
    rs = [b.ours("bench", model, steps, threads, "f32") for _ in range(rounds)]
    rs.sort(key=lambda r: r["ceiling"]["share"])
    r, c = rs[len(rs) // 2], rs[len(rs) // 2]["ceiling"]
    flops = sum(k["flops"] for k in r["programs"]["step"]["kinds"] if k["ceiling_seconds"])
    row = [name, threads, f"{1e3 * r['step']:.4g}", f"{1e3 * c['seconds']:.4g}"]
    row += [f"{flops / r['step'] / 1e9:.0f}", f"{flops / c['seconds'] / 1e9:.0f}", f"{100 * c['share']:.1f} %"]
    row += [f"{100 * rs[0]['ceiling']['share']:.1f} to {100 * rs[-1]['ceiling']['share']:.1f} %"]
    return row + ["yes" if r["steady"] else "no"], r


def shares(b, rows):
    say("Share of the ceiling of a step, f32 (bench; docs/bench.md says what it is):")
    say()
    table(
        ["model", "threads", "step, ms", "oneDNN alone, ms", "GFLOP/s in the step", "GFLOP/s of oneDNN alone", "share", "all rounds", "steady"],
        rows,
    )


def elements(model):
    """Elements of all tensors that a run uses: not the VQ-VAE's encoder."""
    total = 0
    for path in glob.glob(os.path.join(model, "*", "*.safetensors")):
        with open(path, "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        total += sum(
            math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__" and not name.startswith(("encoder.", "quant_conv."))
        )
    return total


def full(b, threads, steps=5, pairs=2):
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(b.run(b.a.full, steps, threads, "f32"))
        if b.torch:
            theirs.append(b.theirs(b.a.full, steps, threads, "f32"))
    row, r = share_row(b, "ithq", b.a.full, steps + 1, threads, 1)
    shares(b, [row])
    weights = elements(b.a.full)
    before = r["start_up"] + r["compile"] + r["prepare"]
    predicted = [[o["predicted"]["seconds"] / o["timings"]["total"], o["predicted"]["memory_bytes"] / o["peak"]] for o in ours if o["predicted"]]
    say(f"Full size, f32 from float16 files, threads {threads}, {steps} measured steps, page cache warm; {pairs} pairs:")
    say()
    rows = [compared("step, s", ours, theirs, "step", 1), compared("peak memory, MB", ours, theirs, "peak", 1e-6)]
    table(["median (least to most)", "vqpipe", "diffusers", "ratio"], rows)
    rows = [
        ["start to loaded, s", f"{r['start_up']:.3g}"],
        ["compile (weights packed), s", f"{r['compile']:.3g}"],
        ["prepare, s", f"{r['prepare']:.3g}"],
        ["first step, s", f"{r['first_step']:.3g}"],
        ["finish, s", f"{r['finish']:.3g}"],
        ["an image at 100 steps, s (from the measured steps)", f"{before + 100 * r['step'] + r['finish']:.4g}"],
        ["an image at 25 steps, s", f"{before + 25 * r['step'] + r['finish']:.4g}"],
        ["weights in float32 / in their files, MB", f"{4e-6 * weights:.0f} / {2e-6 * weights:.0f}"],
        ["peak memory by the weights in float32 / in their files", f"{max(o['peak'] for o in ours) / 4 / weights:.3f} / {max(o['peak'] for o in ours) / 2 / weights:.3f}"],
        ["predicted by measured, seconds", ", ".join(f"{p[0]:.2f}" for p in predicted) or "-"],
        ["predicted by measured, memory", ", ".join(f"{p[1]:.2f}" for p in predicted) or "-"],
    ]
    table(["vqpipe", ""], rows)


def main():
    p = argparse.ArgumentParser()
    for name in ("vqpipe", "pipeline", "work", "postcards"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--two-layers")
    p.add_argument("--full")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--steps", type=int, default=100)
    b = Bench(p.parse_args())
    cores = len(os.sched_getaffinity(0))
    device = subprocess.run([b.a.vqpipe, "devices"], capture_output=True, text=True).stdout
    say("Machine: " + " ".join(next((line for line in device.splitlines() if line.startswith("cpu")), "?").split()))
    if b.torch:
        from importlib.metadata import version

        say(f"Beside: diffusers {version('diffusers')} on torch {version('torch')}, float32")
    else:
        say("Beside: nothing; this Python has no torch, diffusers and transformers")
    load = os.getloadavg()[0]
    say(f"Load when it began: {load:.2f}" + ("; the machine is busy, do not trust the numbers" if load > 0.5 else ""))
    say()
    counts = sorted({1, cores}, reverse=True)
    for threads in counts:
        postcards(b, threads, "f32")
    if bf16_here():
        postcards(b, cores, "bf16")
    else:
        say("bf16: left out; this processor has neither avx512_bf16 nor AMX, and vqpipe refuses it here.")
        say()
    rows = [share_row(b, "postcards", b.a.postcards, b.a.steps, t, 3)[0] for t in counts]
    if b.a.two_layers:
        rows.append(share_row(b, "ithq, 2 layers", b.a.two_layers, 6, cores, 3)[0])
    shares(b, rows)
    if b.a.full:
        full(b, cores)
    say(f"Load when it ended: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
