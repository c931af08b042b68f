#!/usr/bin/env python3
"""Perplexity of the same files by stock llama.cpp and by `edgellm eval`, in llama-perplexity's convention.

    perplexity_beside_llama.py --edgellm build/edgellm --text wikitext2-test-a.txt [--windows 16] MODEL.gguf ...

Needs llama.cpp's own library, as in `pip install llama-cpp-python`. What llama-perplexity does is done here through its
C API: the text is tokenized with the special tokens the model asks for and cut into windows of 512 tokens side by side;
the first token of each is replaced by BOS where the model uses one; each window is run in an empty context; tokens
257 .. 511 are scored, each by the logits after the token before it; perplexity is exp of the mean. Exits with 1 when a
ratio is further than --most percent from 1.
"""
import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import llama_cpp as llama
import numpy as np

CONTEXT = 512


def tokenize(vocab, text):
    tokens = (llama.llama_token * (len(text) + 16))()
    n = llama.llama_tokenize(vocab, text, len(text), tokens, len(tokens), True, False)
    if n < 0:
        sys.exit("llama.cpp does not tokenize the text")
    return np.array(tokens[:n], dtype=np.int32)


def negative_log_likelihood(logits, targets):
    """logits: [tokens, vocabulary], float; targets: [tokens]. Each in double precision."""
    logits = logits.astype(np.float64)
    most = logits.max(axis=1)
    log_sum = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
    return log_sum - logits[np.arange(len(targets)), targets]


def theirs(path, text, n_windows, threads):
    """Perplexity and the number of windows, by llama.cpp."""
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    if not model:
        sys.exit(f"stock llama.cpp does not load {path}")
    params = llama.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT
    params.n_threads = params.n_threads_batch = threads
    context = llama.llama_init_from_model(model, params)
    vocab = llama.llama_model_get_vocab(model)
    n_vocabulary = llama.llama_vocab_n_tokens(vocab)
    tokens = tokenize(vocab, text)
    n_windows = min(n_windows or len(tokens), len(tokens) // CONTEXT)
    first = CONTEXT // 2
    batch = llama.llama_batch_init(CONTEXT, 0, 1)
    losses = []
    for window in range(n_windows):
        ids = tokens[window * CONTEXT:(window + 1) * CONTEXT].copy()
        if llama.llama_vocab_get_add_bos(vocab):
            ids[0] = llama.llama_vocab_bos(vocab)
        batch.n_tokens = CONTEXT
        for i in range(CONTEXT):
            batch.token[i] = int(ids[i])
            batch.pos[i] = i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= first
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        if llama.llama_decode(context, batch):
            sys.exit("llama_decode failed")
        rows = np.ctypeslib.as_array(llama.llama_get_logits(context), (CONTEXT - first, n_vocabulary))
        losses.append(negative_log_likelihood(rows[:-1], ids[first + 1:]))
        print(f"\rllama.cpp, window {window + 1} of {n_windows}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    llama.llama_model_free(model)
    return float(np.exp(np.concatenate(losses).mean())), n_windows


def ours(edgellm, path, text, n_windows, threads):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "eval.json"
        subprocess.run([edgellm, "eval", path, "--perplexity", "--text", text, "--windows", str(n_windows), "--context",
                        str(CONTEXT), "--threads", str(threads), "--json", out],
                       check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())["perplexity"]["perplexity"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+", metavar="MODEL")
    ap.add_argument("--edgellm", default="build/edgellm")
    ap.add_argument("--text", required=True)
    ap.add_argument("--windows", type=int, default=16, help="from the start of the text; 0: all")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--most", type=float, default=0.5, help="percent between the two")
    ap.add_argument("--json")
    a = ap.parse_args()
    llama.llama_backend_init()
    silent = llama.llama_log_callback(lambda level, words, data: None)
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    content = pathlib.Path(a.text).read_bytes()
    rows = []
    print("| file | windows | llama.cpp | edgellm | ratio |\n|---|---|---|---|---|", flush=True)
    for path in a.models:
        peer, n_windows = theirs(path, content, a.windows, a.threads)
        own = ours(a.edgellm, path, a.text, n_windows, a.threads)
        rows.append({"model": os.path.basename(path), "windows": n_windows, "llama": peer, "edgellm": own,
                     "ratio": own / peer})
        print("| {model} | {windows} | {llama:.4f} | {edgellm:.4f} | {ratio:.5f} |".format(**rows[-1]), flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")
    if any(abs(row["ratio"] - 1) > a.most / 100 for row in rows):
        sys.exit(f"further apart than {a.most}%")


main()
