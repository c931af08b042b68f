#!/usr/bin/env python3
"""What each way to prune costs: prune, then perplexity and KL on text that nothing was calibrated on.

    prune_methods.py --edgellm build/edgellm --model MODEL-f16.gguf --calibrate TEXT --judge wikitext2-test-a.txt --work FOLDER
                     [--only wanda] [--json OUT]

The judge is kl_judge.py's. Prints one table row a way.
"""
import subprocess
import time

import kl_judge

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
    ap = kl_judge.arguments(__doc__)
    ap.add_argument("--only", help="one method")
    a = ap.parse_args()
    out = kl_judge.work_folder(a) / "pruned.gguf"
    rows = []
    print("| method | | bytes | perplexity | mean KL | same top token | seconds |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for method, *options in WAYS:
        if a.only and method != a.only:
            continue
        started = time.time()
        subprocess.run([a.edgellm, "prune", a.model, "--method", method, *options, "--calibrate", a.calibrate, "-o", out],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        row = {"method": method, "options": " ".join(options), "seconds": time.time() - started,
               **kl_judge.judged(a, out, out.with_name("eval.json"))}
        rows.append(row)
        print("| {method} | {options} | {bytes} | {perplexity:.2f} | {mean_kl:.3f} | {top:.1f}% | {seconds:.0f} |".format(
            **row, top=100 * row["same_top"]), flush=True)
        out.unlink()
    kl_judge.keep(a, rows)


main()
