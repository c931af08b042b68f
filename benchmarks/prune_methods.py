#!/usr/bin/env python3
"""What each way to prune costs: prune, then perplexity and KL on text that nothing was calibrated on.

    prune_methods.py --edgellm build/edgellm --model MODEL-f16.gguf --calibrate TEXT --judge wikitext2-test-a.txt --work FOLDER
                     [--only wanda] [--json OUT]

The judge is the first 16 windows of 512 tokens, the second half of each scored, as llama-perplexity does it. Prints one table
row a way.
"""
import argparse
import json
import pathlib
import subprocess
import time

WAYS = [
    ("block-influence", "--fraction", "0.1"), ("block-influence", "--fraction", "0.25"), ("block-influence", "--fraction", "0.3"),
    ("kl", "--fraction", "0.1"), ("kl", "--fraction", "0.25"), ("kl", "--fraction", "0.3"),
    ("kl", "--fraction", "0.1", "--halves"), ("kl", "--fraction", "0.25", "--halves"),
    ("replace-me", "--fraction", "0.1"), ("replace-me", "--fraction", "0.25"),
    ("ffn-width", "--fraction", "0.1"), ("ffn-width", "--fraction", "0.25"),
    ("magnitude", "--fraction", "0.5"),
    ("wanda", "--fraction", "0.5"), ("wanda", "--pattern", "4:8"), ("wanda", "--pattern", "2:4"),
    ("sparsegpt", "--fraction", "0.5"), ("sparsegpt", "--pattern", "4:8"), ("sparsegpt", "--pattern", "2:4"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--model", required=True)
    ap.add_argument("--calibrate", required=True)
    ap.add_argument("--judge", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--only", help="one method")
    ap.add_argument("--json")
    a = ap.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    print("| method | | bytes | perplexity | mean KL | same top token | seconds |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for method, *options in WAYS:
        if a.only and method != a.only:
            continue
        out, figures = work / "pruned.gguf", work / "eval.json"
        started = time.time()
        subprocess.run([a.edgellm, "prune", a.model, "--method", method, *options, "--calibrate", a.calibrate, "-o", out],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.time() - started
        subprocess.run([a.edgellm, "eval", out, "--perplexity", "--text", a.judge, "--windows", "16", "--kl-reference", a.model,
                        "--reference-cache", work / "judge.logits", "--no-results", "--json", figures],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        j = json.loads(figures.read_text())
        row = {"method": method, "options": " ".join(options), "bytes": out.stat().st_size,
               "perplexity": j["perplexity"]["perplexity"], "mean_kl": j["kl"]["mean"], "same_top": j["kl"]["same_top"],
               "seconds": seconds}
        rows.append(row)
        print("| {method} | {options} | {bytes} | {perplexity:.2f} | {mean_kl:.3f} | {top:.1f}% | {seconds:.0f} |".format(
            **row, top=100 * row["same_top"]), flush=True)
        out.unlink()
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")


main()
