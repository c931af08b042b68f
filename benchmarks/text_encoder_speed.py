#!/usr/bin/env python3
"""Tokens a second of text encoders beside PyTorch's BertModel with the same weights, in turns.

    cmake -S . -B build-bench -G Ninja -DEDGELLM_BENCHMARKS=ON && ninja -C build-bench runtime_graph_bench
    python3 benchmarks/text_encoder_speed.py build-bench/runtime_graph_bench

Needs the Python packages torch and transformers. Random weights in two shapes: MiniLM's, and four layers of
roberta-large's. 32 sequences of one length, so that PyTorch pads nothing; both use every core. The ratio is the median
over the rounds, each of which measures one after the other.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import torch
import transformers

SHAPES = {
    "MiniLM": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    "roberta-large, 4 layers": dict(hidden_size=1024, num_hidden_layers=4, num_attention_heads=16,
                                    intermediate_size=4096),
}
N_SEQUENCES = 32


def ours(program, folder, length, seconds):
    out = subprocess.run([program, f"--benchmark_filter=Encode/{length}/", "--benchmark_format=json",
                          f"--benchmark_min_time={seconds}"], env={**os.environ, "EDGELLM_ENCODER": folder},
                         check=True, capture_output=True, text=True).stdout
    result = json.loads(out)["benchmarks"][0]
    if result.get("error_occurred"):
        raise SystemExit(result["error_message"])
    return result["items_per_second"]


def peer(model, length, seconds):
    ids = torch.randint(1, 1000, (N_SEQUENCES, length))
    with torch.no_grad():
        model(input_ids=ids)
        start, n_rounds = time.perf_counter(), 0
        while n_rounds < 2 or time.perf_counter() - start < seconds:
            model(input_ids=ids)
            n_rounds += 1
    return n_rounds * ids.numel() / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="runtime_graph_bench of a release build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 32, 128, 512])
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    print("| shape | tokens | edgellm, tokens/s | PyTorch, tokens/s | ratio |\n|---|---|---|---|---|")
    for name, shape in SHAPES.items():
        torch.manual_seed(1)
        model = transformers.BertModel(transformers.BertConfig(**shape, vocab_size=1000),
                                       add_pooling_layer=False).eval()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder, safe_serialization=True)
            for length in options.lengths:
                pairs = [(ours(options.program, folder, length, options.seconds), peer(model, length, options.seconds))
                         for _ in range(options.rounds)]
                mine, other = (statistics.median(each) for each in zip(*pairs))
                ratio = statistics.median(a / b for a, b in pairs)
                print(f"| {name} | {length} | {mine:.0f} | {other:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
