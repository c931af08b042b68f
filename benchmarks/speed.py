#!/usr/bin/env python3
"""Tokens per second beside llama.cpp, in one sitting, runs taken alternately.

    speed.py --edgellm build/edgellm --peer "python3 ../shared/tools/peer.py" MODEL.gguf ...
             [--prompt 512] [--generate 64] [--threads 1,2] [--rounds 3] [--json OUT]

The peer command must answer `bench MODEL --prompt N --gen N --threads N --runs 1` with one JSON object that has
prompt_per_second, generated_per_second and peak_rss_bytes (llama-cpp-python built for this CPU). Machines drift, so what
counts is the median of the ratios, round by round.
"""
import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import tempfile


def ours(a, model, threads):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "bench.json"
        subprocess.run([a.edgellm, "bench", model, "--prompt", str(a.prompt), "--generate", str(a.generate),
                        "--threads", str(threads), "--runs", "1", "--no-results", "--json", out],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        j = json.loads(out.read_text())
    r = j["results"][0]
    return r["prompt_tokens_per_second"], r["generated_tokens_per_second"], j["peak_resident_bytes"]


def theirs(a, model, threads):
    r = subprocess.run([*shlex.split(a.peer), "bench", model, "--prompt", str(a.prompt), "--gen", str(a.generate),
                        "--threads", str(threads), "--runs", "1"],
                       check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    j = json.loads(r.stdout)
    return j["prompt_per_second"], j["generated_per_second"], j["peak_rss_bytes"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--peer", required=True)
    ap.add_argument("--prompt", type=int, default=512)
    ap.add_argument("--generate", type=int, default=64)
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--json")
    a = ap.parse_args()
    rows = []
    print("| model | threads | prompt, ours / theirs (ratio) | generation, ours / theirs (ratio) | peak MB, ours / theirs |")
    print("|---|---|---|---|---|")
    for model in a.models:
        for threads in map(int, a.threads.split(",")):
            pairs = [(ours(a, model, threads), theirs(a, model, threads)) for _ in range(a.rounds)]
            median = lambda side, i: statistics.median(p[side][i] for p in pairs)
            ratio = lambda i: statistics.median(p[0][i] / p[1][i] for p in pairs)
            row = {"model": pathlib.Path(model).name, "threads": threads, "rounds": a.rounds,
                   "prompt": [median(0, 0), median(1, 0), ratio(0)],
                   "generation": [median(0, 1), median(1, 1), ratio(1)],
                   "peak_bytes": [median(0, 2), median(1, 2)]}
            rows.append(row)
            print("| {} | {} | {:.1f} / {:.1f} ({:.2f}) | {:.1f} / {:.1f} ({:.2f}) | {:.0f} / {:.0f} |".format(
                row["model"], threads, *row["prompt"], *row["generation"], *(b / 1e6 for b in row["peak_bytes"])),
                flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")


main()
