#!/usr/bin/env python3
"""compare.py REFERENCE DUMP [LOGP_TOL [TEXT_TOL]]: two folders of stages, side by side; exit 1 where one falls short.

Every stage of REFERENCE must be in DUMP with the same shape: ids equal, states within TEXT_TOL (1e-5), logp and image
within LOGP_TOL (1e-3). REFERENCE may hold tokens and margins stacked (oracle.py --stack). A class cut by truncation on
one side only is forgiven where the cumulative probability of its column is within 1e-4 of the rate, or where it trades
places with a class of the same log-probability. Where ids differ, the reference's own margin at that token is printed:
below 1e-4 it is a near-tie of the draw, not an error of ours.
"""
import glob
import json
import os
import sys

import numpy as np

NEAR = 1e-4
CUT = -70  # what truncation cuts becomes this, and what lies below is clamped to it


def forgive_ties(a, b, rate):
    """Copies a's cut classes into b where a tie explains them; returns how many."""
    cut, ties = (a <= CUT) != (b <= CUT), 0
    for i, n in sorted(set(zip(*np.nonzero(cut)[::2]))):
        x, y, here = a[i, :, n], b[i, :, n], cut[i, :, n]
        kept = np.cumsum(np.sort(np.exp(x[x > CUT].astype(np.float64)))[::-1])
        trades = np.abs(np.sort(x) - np.sort(y)).max() < NEAR
        if trades or np.abs(kept[-2:] - rate).min() < NEAR:
            ties += int(here.sum())
            y[here] = x[here]
    return ties


def stages(folder):
    """(name, array, margin or None) of every stage; stacked tokens are given out one step at a time."""
    for f in sorted(glob.glob(os.path.join(folder, "*.npy"))):
        name = os.path.basename(f)[:-4]
        if name.startswith(("margin", "lat")):
            continue
        margin_file = os.path.join(folder, name.replace("tokens", "margin") + ".npy")
        margin = np.load(margin_file) if name.startswith("tokens") and os.path.exists(margin_file) else None
        if name == "tokens":
            for s, row in enumerate(np.load(f)):
                yield "tokens-%03d" % s, row, None if margin is None else margin[s]
        else:
            yield name, np.load(f), margin


def main():
    reference, dump = sys.argv[1:3]
    logp_tol = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-3
    text_tol = float(sys.argv[4]) if len(sys.argv) > 4 else 1e-5
    case, case_file = [], os.path.join(reference, "case.json")
    if os.path.exists(case_file):
        with open(case_file) as f:
            case = json.load(f)["args"]
    rate = float(dict(zip(case[::2], case[1::2])).get("--truncation", 1))
    bad, worst, ties, compared = [], {"states": 0.0, "logp": 0.0, "image": 0.0}, 0, 0
    for name, a, margin in stages(reference):
        path = os.path.join(dump, name + ".npy")
        compared += 1
        if not os.path.exists(path):
            bad.append(f"{name} missing")
            continue
        b = np.load(path)
        if a.shape != b.shape:
            bad.append(f"{name} shape {b.shape} not {a.shape}")
        elif a.dtype.kind == "i":
            off = a != b
            if off.any():
                least = "" if margin is None else f", least margin {margin[off].min():.1e}"
                bad.append(f"{name} {int(off.sum())}/{a.size} ids differ{least}")
        else:
            kind = "states" if "states" in name else name.split("-")[0]
            if kind == "logp":
                ties += forgive_ties(a, b, rate)
            off = float(np.abs(a.astype(np.float64) - b).max())
            worst[kind] = max(worst[kind], off)
            if not off <= (text_tol if kind == "states" else logp_tol):
                bad.append(f"{name} off by {off:.2e}")
    if not compared:
        bad.append("no reference")
    line = f"{os.path.basename(os.path.normpath(reference))}: {compared} stages, worst "
    line += ", ".join(f"{k} {v:.1e}" for k, v in worst.items()) + (f", {ties} ties" if ties else "")
    line += "; " + "; ".join(bad[:4]) + (f" (+{len(bad) - 4})" if len(bad) > 4 else "") if bad else ", ok"
    print(line)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
