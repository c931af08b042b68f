#!/usr/bin/env python3
"""Importance-weighted error of our block encoders beside llama.cpp's, given the same values and the same importance.

    encoder_error.py [--edgellm build/edgellm] [--real MODEL.gguf TENSOR] [--rows 256] [--spread 1]

Needs the Python packages gguf and llama-cpp-python. Ours are run as users run them, by `edgellm quantize` on a model of
one layer; llama.cpp's by ggml_quantize_chunk of the library in llama-cpp-python. Both are decoded by the gguf package.
Prints a Markdown table: the sum of importance * (value - decoded)^2 of ours divided by llama.cpp's, so that below 1 is
better; 0 where values already lie on the format's own grid and it is found again. Importance is log-normal, --spread the
standard deviation of its logarithm: the more uneven it is, the more is to be won.
"""
import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np

PRESETS = {  # whose base type a tensor attn_q takes
    "Q2_K": "Q2_K", "Q3_K": "Q3_K_S", "Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S", "Q6_K": "Q6_K", "IQ4_XS": "IQ4_XS",
    "IQ4_NL": "IQ4_NL", "Q8_0": "Q8_0", "Q4_0": "Q4_0", "Q5_0": "Q5_0", "Q4_1": "Q4_1", "Q5_1": "Q5_1"}
TENSOR = "blk.0.attn_q.weight"


def write_model(path, values):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(values.shape[1])
    writer.add_feed_forward_length(values.shape[1])
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(32)
    writer.add_tensor("token_embd.weight", np.ones((32, values.shape[1]), np.float32))
    writer.add_tensor(TENSOR, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_importance(path, importance):
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["encoder_error.py"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 1)
    writer.add_tensor(TENSOR + ".in_sum2", importance.reshape(1, -1))
    writer.add_tensor(TENSOR + ".counts", np.ones((1, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensor_of(path, name):
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name == name:
            return tensor
    sys.exit(f"{path} has no tensor {name}")


def values_of(tensor, n_rows=None):
    data = tensor.data if n_rows is None else tensor.data[:n_rows]
    return np.ascontiguousarray(gguf.quants.dequantize(data, tensor.tensor_type), np.float32)


def ours(edgellm, folder, preset, kind):
    out = folder / "out.gguf"
    subprocess.run([edgellm, "quantize", folder / "model.gguf", "--type", preset, "--importance",
                    folder / "importance.gguf", "-o", out], check=True, capture_output=True)
    tensor = tensor_of(out, TENSOR)
    assert tensor.tensor_type == kind, (preset, tensor.tensor_type)
    return values_of(tensor)


def library():
    import llama_cpp
    folder = pathlib.Path(llama_cpp.__file__).parent
    found = sorted(folder.rglob("libggml-base.so*"))
    if not found:
        sys.exit(f"llama-cpp-python has no libggml-base under {folder}")
    ggml = ctypes.CDLL(str(found[0]))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                         ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return ggml


def theirs(ggml, values, importance, kind):
    n_rows, n_columns = values.shape
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((n_rows, n_columns // block * n_bytes), np.uint8)
    ggml.ggml_quantize_chunk(int(kind), values.ctypes.data, out.ctypes.data, 0, n_rows, n_columns,
                             importance.ctypes.data)
    return gguf.quants.dequantize(out, kind)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edgellm", default="build/edgellm")
    parser.add_argument("--real", nargs=2, metavar=("MODEL", "TENSOR"))
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--spread", type=float, default=1.0)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    shape = (options.rows, 2048)
    sources = {"gaussian": random.normal(0, 0.02, shape), "heavy-tailed": 0.02 * random.standard_t(4, shape)}
    if options.real:
        sources["real"] = values_of(tensor_of(*options.real), options.rows)
    ggml = library()
    ratios = {name: [] for name in PRESETS}
    for values in sources.values():
        values = np.ascontiguousarray(values, np.float32)
        importance = np.exp(random.normal(0, options.spread, values.shape[1])).astype(np.float32)
        importance /= importance.mean()
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write_model(folder / "model.gguf", values)
            write_importance(folder / "importance.gguf", importance)
            for kind_name, preset in PRESETS.items():
                kind = gguf.GGMLQuantizationType[kind_name]
                error = lambda decoded: float((importance * (values - decoded).astype(np.float64) ** 2).sum())
                mine = error(ours(options.edgellm, folder, preset, kind))
                other = error(theirs(ggml, values, importance, kind))
                nothing = 1e-6 * float((importance * values.astype(np.float64) ** 2).sum())
                ratios[kind_name].append("0" if mine < nothing else f"{mine / max(other, 1e-30):.3f}")
    print("| type | " + " | ".join(sources) + " |\n|---|" + "---|" * len(sources))
    for kind_name, row in ratios.items():
        print(f"| {kind_name} | " + " | ".join(row) + " |")


main()
