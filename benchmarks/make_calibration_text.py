#!/usr/bin/env python3
"""Calibration text for the benchmarks: WikiText-2 valid with its tokenization undone, and seed tasks.

    make_calibration_text.py DATA_FOLDER OUT.txt

DATA_FOLDER holds wikitext2-valid-tokenized.txt and self-instruct-seed-tasks.jsonl. Nothing of the files
that results are judged on is used. Questions and answers are written in ChatML, as instruction-tuned models see them.
"""
import json
import pathlib
import re
import sys


def plain(text):
    """Ordinary spacing for a line of tokenized WikiText."""
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = text.replace("<unk>", "")
    text = re.sub(r" ([,.;:!?)\]%])", r"\1", text)
    text = re.sub(r"([(\[$]) ", r"\1", text)
    text = re.sub(r" ('(?:s|m|d|t|re|ve|ll)\b)", r"\1", text)
    text = re.sub(r'" ([^"]*?) "', r'"\1"', text)
    text = re.sub(r"(\w) n't\b", r"\1n't", text)
    return re.sub(r"  +", " ", text).strip()


def chat(question, answer):
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"


def main():
    data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    wiki = "\n".join(plain(line) for line in (data / "wikitext2-valid-tokenized.txt").read_text().split("\n"))
    seeds = []
    for line in (data / "self-instruct-seed-tasks.jsonl").read_text().splitlines():
        task = json.loads(line)
        instance = task["instances"][0]
        question = task["instruction"] + ("\n" + instance["input"] if instance["input"] else "")
        seeds.append(chat(question, instance["output"]))
    out.write_text(wiki + "\n" + "".join(seeds))
    print(f"{out}: {out.stat().st_size} bytes")


main()
