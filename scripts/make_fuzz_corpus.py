#!/usr/bin/env python3
"""Writes the seed inputs of the fuzz targets into tests/fuzz/corpus: small files of our own making, no dependencies."""
import json
import pathlib
import struct

from chat_template_sources import FAMILIES, SNIPPETS

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def gguf_text(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf(version, pairs, tensors, alignment=32):
    """pairs: (key, type number, packed value); tensors: (name, dimensions, type number, bytes)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        out += gguf_text(key) + struct.pack("<I", kind) + value
    data = b""
    for name, dimensions, kind, content in tensors:
        data += b"\0" * (-len(data) % alignment)
        out += gguf_text(name) + struct.pack("<I", len(dimensions)) + b"".join(struct.pack("<Q", d) for d in dimensions)
        out += struct.pack("<IQ", kind, len(data))
        data += content
    return out + b"\0" * (-len(out) % alignment) + data


def make_gguf():
    scalars = [
        ("general.architecture", 8, gguf_text("llama")), ("a.uint8", 0, b"\x07"), ("a.int16", 3, struct.pack("<h", -5)),
        ("a.uint32", 4, struct.pack("<I", 7)), ("a.float32", 6, struct.pack("<f", 0.5)), ("a.bool", 7, b"\1"),
        ("a.uint64", 10, struct.pack("<Q", 2**40)), ("a.float64", 12, struct.pack("<d", 1.5)),
    ]
    arrays = [
        ("t.strings", 9, struct.pack("<IQ", 8, 2) + gguf_text("a") + gguf_text("bc")),
        ("t.int32", 9, struct.pack("<IQ", 5, 3) + struct.pack("<3i", 1, -2, 3)),
        ("t.float32", 9, struct.pack("<IQ", 6, 2) + struct.pack("<2f", 1, 2)),
    ]
    f32 = ("w", [4, 2], 0, struct.pack("<8f", *range(8)))
    q8 = ("q", [32], 8, bytes(34))
    q4 = ("k", [256, 1], 12, bytes(144))
    write("gguf", "empty_model", gguf(3, [], []))
    write("gguf", "scalars", gguf(3, scalars, []))
    write("gguf", "arrays", gguf(2, arrays, [f32]))
    write("gguf", "tensors", gguf(3, scalars[:1], [f32, q8, q4]))
    write("gguf", "aligned_64", gguf(3, [("general.alignment", 4, struct.pack("<I", 64))], [f32, q8], 64))
    split = [("split.no", 2, struct.pack("<H", 0)), ("split.count", 2, struct.pack("<H", 1)), ("split.tensors.count", 5, struct.pack("<i", 1))]
    write("gguf", "one_of_one", gguf(3, split, [f32]))


def make_safetensors():
    def file(header, data):
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + data

    write("safetensors", "empty", file({}, b""))
    write("safetensors", "one", file({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16)))
    write("safetensors", "two", file({"__metadata__": {"format": "pt"}, "a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
                                      "b": {"dtype": "U8", "shape": [], "data_offsets": [6, 7]}}, bytes(7)))


def make_tokenizer_json():
    letters = [chr(c) for c in range(33, 127)]
    bpe = {
        "version": "1.0",
        "added_tokens": [{"id": len(letters) + 4, "content": "<s>", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {"type": "ByteLevel", "trim_offsets": False},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(letters + ["Ġ", "th", "the", "Ġt"])}, "merges": ["t h", "th e", "Ġ t"]},
    }
    spm = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": t, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True,
                  "vocab": {t: i for i, t in enumerate(["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + ["▁", "a", "b", "ab", "▁ab"])},
                  "merges": [["a", "b"], ["▁", "ab"]]},
    }
    split = dict(bpe, pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|[^\\s]+|\\s+"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]})
    for name, content in {"byte_level": bpe, "byte_fallback": spm, "split": split}.items():
        write("tokenizer_json", name, json.dumps(content, ensure_ascii=False))


def make_texts():
    texts = ["Hello, world!", "  two  spaces\n\n\ttabs", "it's 2024: 12345 3.14", "Größe 日本語 😀\u200d", "<s>inside</s> the text", "\u00a0\u3000x"]
    for i, text in enumerate(texts):
        write("tokenizer_text", f"text_{i}", text)
    write("tokenizer_text", "no_utf8", b"a\xff\xc3 \xe2\x82 \xf0\x9f")


HOSTILE = {
    "recursion": "{% macro m(n) %}{% if n %}{{ (([m(n + 1)])) | join }}{% endif %}{% endmacro %}{{ m(1) }}",
    "deep_value": "{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
    "shared_value": "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}",
    "circle": "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}{{ [ns] | tojson }}",
    "parentheses": "{{ " + "(" * 99 + "1" + ")" * 99 + " }}",
    "nots": "{{ " + "not " * 99 + "1 }}",
    "sum": "{{ 1" + "+1" * 198 + " }}",
    "ifs": "{% if 1 %}" * 99 + "x" + "{% endif %}" * 99,
}


def make_chats():
    for name, source in HOSTILE.items():
        write("chat_template", name, source)
    for name, source in FAMILIES.items():
        write("chat_template", name, source)
    for i, source in enumerate(SNIPPETS):
        write("chat_template", f"snippet_{i:03}", source)
    messages = [{"role": "user", "content": " Hi\tyou \n"}, {"role": "assistant", "content": {"b": [1, 2.5, None, True], "a": "é😀"}}, {"role": "x", "content": [1, {"y": []}]}]
    write("chat_messages", "messages", json.dumps({"messages": messages}, ensure_ascii=False))
    write("chat_messages", "text", "one line\r\nanother\u2028third é😀 aaa")


if __name__ == "__main__":
    make_gguf()
    make_safetensors()
    make_tokenizer_json()
    make_texts()
    make_chats()
