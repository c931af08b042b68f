#!/usr/bin/env python3
"""What share of its reference's score in a task each of several files of one model keeps.

    task_kept.py --edgellm build/edgellm --task humaneval --data humaneval-a.jsonl --work FOLDER REFERENCE-f16.gguf FILE...
                 [--json OUT]

The first file is the reference. Answers are kept in the work folder, so that a stopped run goes on from them. Prints one
table row a file.
"""
import argparse
import json
import pathlib
import subprocess

SCORES = {"humaneval": "pass_at_1", "gsm8k": "accuracy", "ag_news": "accuracy", "ag_news_generation": "accuracy"}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--task", required=True, choices=sorted(SCORES))
    ap.add_argument("--data", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--json")
    ap.add_argument("files", nargs="+", type=pathlib.Path)
    a = ap.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    print(f"| file | bytes | {a.task} | standard error | kept of the reference's |")
    print("|---|--:|--:|--:|--:|")
    for file in a.files:
        figures = work / f"{file.stem}-{a.task}.json"
        subprocess.run([a.edgellm, "eval", file, "--tasks", a.task, "--data", f"{a.task}={a.data}", "--items", work / file.stem,
                        "--no-results", "--json", figures], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(figures.read_text())["tasks"][a.task]
        row = {"file": file.name, "bytes": file.stat().st_size, "score": found[SCORES[a.task]],
               "standard_error": found["standard_error"], "items": found["items"]}
        rows.append(row)
        kept = f"{100 * row['score'] / rows[0]['score']:.0f}%" if rows[0]["score"] else "-"
        print(f"| {row['file']} | {row['bytes']:,} | {100 * row['score']:.1f}% of {row['items']} | "
              f"{100 * row['standard_error']:.1f} | {kept} |", flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")


main()
