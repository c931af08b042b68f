#!/usr/bin/env python3
"""Seconds for GPTQ of one matrix, 4096 rows of 11008 values, beside the textbook's way in PyTorch, in turns.

    cmake -S . -B build-bench -G Ninja -DEDGELLM_BENCHMARKS=ON -DEDGELLM_TORCH=ON
    ninja -C build-bench compress_quantize_bench
    python3 benchmarks/gptq_layer_speed.py build-bench/compress_quantize_bench

Needs the Python package torch. The peer rounds to 4 bits in groups of 32 (Q4_0's shape): damping, Cholesky factor of the
inverse, columns in order with the errors fed back, lazily in blocks of 128 (arXiv 2210.17323), in float with the same number
of threads. Ours is told for Q4_0 as the peer does it (no sweeps over the finished matrix, but scales that are tried with the
feedback in them), and for types and sweeps as `quantize --method gptq` uses them. Both count the factorization. The ratio is
the median over the rounds, each of which measures one after the other.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import torch

N_ROWS, N_COLUMNS, N_TOKENS, N_GROUP, N_BLOCK = 4096, 11008, 4096, 32, 128


def ours(program, name):
    out = subprocess.run([program, f"--benchmark_filter=^Gptq/{name}/", "--benchmark_format=json"],
                         env={**os.environ, "OMP_WAIT_POLICY": "passive"}, check=True, capture_output=True, text=True).stdout
    result = json.loads(out)["benchmarks"][0]
    if result.get("error_occurred"):
        raise SystemExit(result["error_message"])
    return result["real_time"]


def peer_inputs():
    torch.manual_seed(1)
    inputs = torch.randn(N_TOKENS, N_COLUMNS) + torch.randn(N_TOKENS, 1)
    inputs *= torch.randn(N_COLUMNS).exp()
    return inputs.T @ inputs, 0.02 * torch.randn(N_ROWS, N_COLUMNS)


def peer(moment, weights):
    start = time.perf_counter()
    h, w = moment.clone(), weights.clone()
    h.diagonal().add_(0.01 * h.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    factor = torch.linalg.cholesky(inverse, upper=True)
    rounded = torch.zeros_like(w)
    for first in range(0, N_COLUMNS, N_BLOCK):
        last = min(first + N_BLOCK, N_COLUMNS)
        block, part = w[:, first:last].clone(), factor[first:last, first:last]
        errors = torch.zeros_like(block)
        for i in range(last - first):
            if i % N_GROUP == 0:
                scale = (block[:, i:i + N_GROUP].abs().amax(1) / 7.5).clamp_min(1e-12)
            column = block[:, i]
            value = (column / scale).round().clamp(-8, 7) * scale
            rounded[:, first + i] = value
            errors[:, i] = (column - value) / part[i, i]
            block[:, i:] -= errors[:, i:i + 1] @ part[i:i + 1, i:]
        w[:, last:] -= errors @ factor[first:last, last:]
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="compress_quantize_bench of a release build with LibTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", nargs="+",
                        default=["Q4_0/sweeps:0", "Q4_0/sweeps:2", "Q4_K/sweeps:2", "Q2_K/sweeps:2"])
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    moment, weights = peer_inputs()
    seconds, theirs = {name: [] for name in options.names}, []
    for _ in range(options.rounds):
        theirs.append(peer(moment, weights))
        for name in options.names:
            seconds[name].append(ours(options.program, name))
    print("| type | edgellm, s | PyTorch, s | ratio |\n|---|---|---|---|")
    for name, found in seconds.items():
        ratio = statistics.median(t / s for t, s in zip(theirs, found))
        print(f"| {name} | {statistics.median(found):.1f} | {statistics.median(theirs):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
