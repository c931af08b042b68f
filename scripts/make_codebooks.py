#!/usr/bin/env python3
"""Write core/blocks/codebook_data.h: the codebooks of the IQ1, IQ2 and IQ3 formats as packed numbers.

Usage: make_codebooks.py > core/blocks/codebook_data.h      (needs numpy and the `gguf` package from PyPI)

A codebook entry is 8 (IQ1, IQ2) or 4 (IQ3) values out of 3 or 8 levels; it is packed into 16 bits, 2 or 3 bits a value,
the first value lowest. IQ1_M shares the codebook of IQ1_S.
"""
from gguf import quants

CODEBOOKS = [
    ("IQ1_S", "kIq1Packed", [-1, 0, 1], 2),
    ("IQ2_XXS", "kIq2XxsPacked", [8, 25, 43], 2),
    ("IQ2_XS", "kIq2XsPacked", [8, 25, 43], 2),
    ("IQ2_S", "kIq2SPacked", [8, 25, 43], 2),
    ("IQ3_XXS", "kIq3XxsPacked", [4, 12, 20, 28, 36, 44, 52, 62], 3),
    ("IQ3_S", "kIq3SPacked", [1, 3, 5, 7, 9, 11, 13, 15], 3),
]


def packed_entries(type_name, levels, n_bits):
    codebook = getattr(quants, type_name)
    codebook.init_grid()
    entries = codebook.grid.reshape(-1, codebook.grid.shape[-1]).astype(int).tolist()
    return [sum(levels.index(value) << n_bits * i for i, value in enumerate(entry)) for entry in entries]


print("// Written by scripts/make_codebooks.py; the layout is described there and the levels in codebooks.h.")
print("#pragma once\n\n#include <cstdint>\n\n// clang-format off\nnamespace edgellm {\n")
for type_name, name, levels, n_bits in CODEBOOKS:
    entries = packed_entries(type_name, levels, n_bits)
    print(f"inline constexpr uint16_t {name}[{len(entries)}] = {{")
    for begin in range(0, len(entries), 18):
        print("  " + " ".join(f"{entry}," for entry in entries[begin:begin + 18]))
    print("};\n")
print("}  // namespace edgellm")
