#!/usr/bin/env python3
"""Seconds to quantize beside llama.cpp, in one sitting, runs taken alternately.

    quantize_speed.py --edgellm build/edgellm --peer "python3 ../shared/tools/peer.py" MODEL-f16.gguf
                      [--type Q4_K_M] [--importance IMATRIX.gguf] [--threads 2] [--rounds 3] [--json OUT]

The peer command must answer `quantize MODEL --to OUT --type T --threads N [--imatrix FILE]` with one JSON object that has
seconds and bytes. What counts is the median of the ratios, round by round. Outputs go to a temporary folder.
"""
import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import tempfile
import time


def ours(a, folder):
    out = folder / "ours.gguf"
    command = [a.edgellm, "quantize", a.model, "--type", a.type, "--threads", str(a.threads), "-o", str(out)]
    if a.importance:
        command += ["--importance", a.importance]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begun, out.stat().st_size


def theirs(a, folder):
    command = [*shlex.split(a.peer), "quantize", a.model, "--to", str(folder / "theirs.gguf"), "--type", a.type,
               "--threads", str(a.threads)]
    if a.importance:
        command += ["--imatrix", a.importance]
    r = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    j = json.loads(r.stdout)
    return j["seconds"], j["bytes"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--peer", required=True)
    ap.add_argument("--type", default="Q4_K_M")
    ap.add_argument("--importance")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--json")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pairs = [(ours(a, folder), theirs(a, folder)) for _ in range(a.rounds)]
    row = {"type": a.type, "threads": a.threads, "importance": bool(a.importance), "rounds": a.rounds,
           "seconds": [statistics.median(o[0] for o, _ in pairs), statistics.median(t[0] for _, t in pairs)],
           "ratio": statistics.median(o[0] / t[0] for o, t in pairs), "bytes": [pairs[0][0][1], pairs[0][1][1]]}
    print(f"{a.type}{' with importance' if a.importance else ''}, {a.threads} threads: {row['seconds'][0]:.1f} s, theirs "
          f"{row['seconds'][1]:.1f} s, ratio {row['ratio']:.2f} (below 1 is faster); {row['bytes'][0]} and "
          f"{row['bytes'][1]} bytes")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(row, indent=2) + "\n")


if __name__ == "__main__":
    main()
