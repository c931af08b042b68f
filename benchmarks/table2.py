#!/usr/bin/env python3
"""Table 2: how near models' answers come to the reference answers, by method and size, from `edgellm eval` and `edgellm report`.

    table2.py MODEL ... --data INSTRUCTIONS.jsonl --encoder FOLDER [--edgellm build/edgellm] [--results DIR]
              [--tasks rouge,bertscore] [--limit N] [--report table2.html]

MODEL is a GGUF file, or NAME,METHOD,FILE to say what the report calls it: "Qwen2.5-Coder-1.5B,fit 668 MB,small.gguf". A run
that was stopped goes on from the answers that are there.
"""
import argparse
import pathlib
import subprocess
import sys


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--results", default="table2-results", type=pathlib.Path)
    ap.add_argument("--data", required=True)
    ap.add_argument("--encoder", required=True, help="Hugging Face folder; roberta-large is BERTScore's usual one")
    ap.add_argument("--tasks", default="rouge,bertscore")
    ap.add_argument("--limit", help="only the first so many items")
    ap.add_argument("--report", default="table2.html", help="the page to write; empty: none")
    a = ap.parse_args()
    failed = []
    for model in a.models:
        name, method, path = model.split(",", 2) if model.count(",") >= 2 else ("", "", model)
        print(f"--- {path}", flush=True)
        command = [a.edgellm, "eval", path, "--tasks", a.tasks, "--data", a.data, "--encoder", a.encoder,
                   "--results", a.results]
        command += ["--model-name", name, "--method", method] if name else []
        command += ["--limit", a.limit] if a.limit else []
        if subprocess.run(command).returncode:
            failed.append(path)
    if a.report and len(failed) < len(a.models):
        subprocess.run([a.edgellm, "report", a.results, "-o", a.report, "--markdown", "/dev/stdout"], check=True)
    if failed:
        sys.exit("table2.py: no figures of " + ", ".join(failed))


main()
