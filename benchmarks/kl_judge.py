"""What the scripts share that judge files by KL on text that nothing was calibrated on.

The judge is the first 16 windows of 512 tokens, the second half of each scored, as llama-perplexity does it.
"""
import argparse
import json
import pathlib
import subprocess


def arguments(description):
    """A parser of the arguments that all of them take."""
    ap = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--model", required=True)
    ap.add_argument("--calibrate", required=True)
    ap.add_argument("--judge", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--json")
    return ap


def work_folder(a):
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    return work


def judged(a, file, figures):
    """The file's bytes and figures beside a.model's; all that `eval` tells is left in the file `figures`."""
    subprocess.run([a.edgellm, "eval", file, "--perplexity", "--text", a.judge, "--windows", "16", "--kl-reference", a.model,
                    "--reference-cache", pathlib.Path(a.work) / "judge.logits", "--no-results", "--json", figures],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    j = json.loads(figures.read_text())
    return {"bytes": file.stat().st_size, "perplexity": j["perplexity"]["perplexity"], "mean_kl": j["kl"]["mean"],
            "percentile_99_kl": j["kl"]["percentile_99"], "same_top": j["kl"]["same_top"]}


def keep(a, rows):
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")
