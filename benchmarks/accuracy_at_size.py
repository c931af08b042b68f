#!/usr/bin/env python3
"""KL at the byte sizes of llama.cpp's presets: fit to each size, judged on text that nothing was calibrated on.

    accuracy_at_size.py --edgellm build/edgellm --model REFERENCE-f16.gguf --calibrate TEXT --judge wikitext2-test-a.txt
                        --sizes 668792000,676304576,824178368 --work FOLDER [--effort fast|balanced|best] [--json OUT]

The judge is the first 16 windows of 512 tokens, the second half of each scored, as llama-perplexity does it. The work folder
is shared: what does not depend on the size is done once, so that the seconds of a later size are fewer than those of a first. Prints one table row a size.
"""
import argparse
import json
import pathlib
import subprocess
import time


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--model", required=True)
    ap.add_argument("--calibrate", required=True)
    ap.add_argument("--judge", required=True)
    ap.add_argument("--sizes", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--effort", default="fast", choices=["fast", "balanced", "best"])
    ap.add_argument("--json")
    a = ap.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    print("| bytes asked | bytes | perplexity | mean KL | 99% KL | same top token | seconds | peak MB of fit |")
    print("|---|---|---|---|---|---|---|---|")
    for size in a.sizes.split(","):
        out = work / f"fit-{size}-{a.effort}.gguf"
        started = time.time()
        timed = subprocess.run(["/usr/bin/time", "-f", "%M", a.edgellm, "fit", a.model, "--size", size, "--calibrate",
                                a.calibrate, "--effort", a.effort, "--work", work / "work", "-o", out],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seconds = time.time() - started
        peak = int(timed.stderr.split()[-1]) * 1024
        figures = work / f"eval-{size}-{a.effort}.json"
        subprocess.run([a.edgellm, "eval", out, "--perplexity", "--text", a.judge, "--windows", "16", "--kl-reference",
                        a.model, "--reference-cache", work / "judge.logits", "--json", figures],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        j = json.loads(figures.read_text())
        row = {"asked": int(size), "effort": a.effort, "bytes": out.stat().st_size, "perplexity": j["perplexity"]["perplexity"],
               "mean_kl": j["kl"]["mean"], "percentile_99_kl": j["kl"]["percentile_99"], "same_top": j["kl"]["same_top"],
               "seconds": seconds, "peak_bytes": peak}
        row["stages"] = json.loads((work / f"{out.name}.json").read_text())["stages"]
        rows.append(row)
        print("| {asked} | {bytes} | {perplexity:.2f} | {mean_kl:.4f} | {percentile_99_kl:.3f} | {top:.1f}% | {seconds:.0f} "
              "| {mb:.0f} |".format(**row, top=100 * row["same_top"], mb=peak / 1e6), flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")


main()
