#!/usr/bin/env python3
"""Table 1 for this machine: seconds per token by model, size and output length, from `edgellm bench` and `edgellm report`.

    table1.py [MODEL.gguf ...] [--edgellm build/edgellm] [--results DIR] [--generate 256,1024,1288] [--prompt 64]
              [--threads 2] [--runs 3] [--report table1.html]

Without models: every *.gguf in $EDGELLM_MODELS (~/.cache/edgellm/models). One model after another, smallest first, each in
a process of its own; nothing else should run meanwhile. The records stay in --results, so that models can be added later;
a model that fails is named and the others go on.
"""
import argparse
import os
import pathlib
import subprocess
import sys


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="*", type=pathlib.Path)
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--results", default="table1-results", type=pathlib.Path)
    ap.add_argument("--generate", default="256,1024,1288")
    ap.add_argument("--prompt", default=64, type=int)
    ap.add_argument("--threads", help="as 1,2 (default: all cores)")
    ap.add_argument("--runs", default=3, type=int)
    ap.add_argument("--report", default="table1.html", help="the page to write; empty: none")
    a = ap.parse_args()
    folder = pathlib.Path(os.environ.get("EDGELLM_MODELS") or "~/.cache/edgellm/models").expanduser()
    models = a.models or list(folder.glob("*.gguf"))
    if not models:
        sys.exit(f"table1.py: no *.gguf in {folder}; name the models, or make some with scripts/quickstart.sh")
    failed = []
    for model in sorted(models, key=lambda path: path.stat().st_size if path.exists() else 0):
        print(f"--- {model.name}", flush=True)
        command = [a.edgellm, "bench", model, "--prompt", str(a.prompt), "--generate", a.generate,
                   "--runs", str(a.runs), "--results", a.results]
        command += ["--threads", a.threads] if a.threads else []
        if subprocess.run(command).returncode:
            failed.append(model.name)
    if a.report and len(failed) < len(models):
        subprocess.run([a.edgellm, "report", a.results, "-o", a.report, "--markdown"], check=True)
    if failed:
        sys.exit("table1.py: no figures of " + ", ".join(failed))


main()
