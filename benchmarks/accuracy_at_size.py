#!/usr/bin/env python3
"""KL at the byte sizes of llama.cpp's presets: fit to each size, judged on text that nothing was calibrated on.

    accuracy_at_size.py --edgellm build/edgellm --model REFERENCE-f16.gguf --calibrate TEXT --judge wikitext2-test-a.txt
                        --sizes 668792000,676304576,824178368 --work FOLDER [--effort fast|balanced|best] [--json OUT]

The judge is kl_judge.py's. The work folder
is shared: what does not depend on the size is done once, so that the seconds of a later size are fewer than those of a first. Prints one table row a size.
"""
import json
import subprocess
import time

import kl_judge


def main():
    ap = kl_judge.arguments(__doc__)
    ap.add_argument("--sizes", required=True)
    ap.add_argument("--effort", default="fast", choices=["fast", "balanced", "best"])
    a = ap.parse_args()
    work = kl_judge.work_folder(a)
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
        row = {"asked": int(size), "effort": a.effort, "seconds": seconds, "peak_bytes": peak,
               **kl_judge.judged(a, out, work / f"eval-{size}-{a.effort}.json")}
        row["stages"] = json.loads((work / f"{out.name}.json").read_text())["stages"]
        rows.append(row)
        print("| {asked} | {bytes} | {perplexity:.2f} | {mean_kl:.4f} | {percentile_99_kl:.3f} | {top:.1f}% | {seconds:.0f} "
              "| {mb:.0f} |".format(**row, top=100 * row["same_top"], mb=peak / 1e6), flush=True)
    kl_judge.keep(a, rows)


main()
