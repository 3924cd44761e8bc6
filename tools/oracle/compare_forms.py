#!/usr/bin/env python3
"""compare_forms.py WORK NAME[=TITLE] ...: one run of one step a name, WORK/NAME.json (vqpipe run --json) and WORK/NAME.dump (--dump), as a
Markdown table. Against the first, every other must have the same bytes in tokens-000; the one called q8_0 need not: how far it is off
is said. Exit 1 where ids differ that must not. Needs numpy."""
import json
import os
import sys

import numpy as np

LIKELY = 1e-6


def read(work, name, stage):
    return np.load(os.path.join(work, name + ".dump", stage + ".npy"))


def row(work, name, title, first):
    with open(os.path.join(work, name + ".json")) as f:
        run = json.load(f)
    with open(os.path.join(work, name + ".size")) as f:
        size = int(f.read())
    ids, other = read(work, name, "tokens-000"), read(work, first, "tokens-000")
    off = int((ids != other).sum()) if ids.shape == other.shape else max(ids.size, other.size)
    same = ids.tobytes() == other.tobytes() and ids.shape == other.shape
    t = run["timings"]
    print(f"| {title} | {size / 1e6:,.0f} | {t['load']:.2f} | {t['prepare']:.1f} | {t['steps']:.1f} | "
          f"{run['peak_memory_bytes'] / 1e6:,.0f} | {'equal' if same else f'{off} of {ids.size} differ'} |")
    return same


def errors(work, name, first):
    a, b = (read(work, n, "logp-000").astype(np.float64) for n in (first, name))
    off = np.abs(a - b)
    likely = np.exp(a) > LIKELY
    total = np.exp(a) * (a - b)
    print(f"\n{name}: log-probabilities of {a.size:,} classes before the draw, off by {off.max():.3g} at most, {off.mean():.3g} on "
          f"average; where p > {LIKELY:g} ({100 * likely.mean():.1f} %) {off[likely].max():.3g} and {off[likely].mean():.3g}; "
          f"divergence from the first {total.sum(axis=1).mean():.2g} nats a token")


def main():
    work, names = sys.argv[1], [n.partition("=")[::2] for n in sys.argv[2:]]
    first = names[0][0]
    print("| form | files, MB | load, s | pack and encode, s | step, s | peak memory, MB | ids after step 1 |")
    print("|---|---|---|---|---|---|---|")
    good = True
    for name, title in names:
        same = row(work, name, title or name, first)
        good &= same or name == "q8_0"
    for name, _ in names[1:]:
        if name == "q8_0":
            errors(work, name, first)
        elif not np.array_equal(read(work, name, "logp-000"), read(work, first, "logp-000")):
            print(f"\n{name}: its log-probabilities are not quite the first's")
            errors(work, name, first)
    sys.exit(not good)


if __name__ == "__main__":
    main()
