#!/usr/bin/env python3
"""Writes the seed inputs of the fuzz targets into tests/fuzz/corpus: small files of our own making, no dependencies."""
import base64
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


def character_map():
    """A precompiled_charsmap that makes "A" into "a": a double array of darts-clone, then the texts that stand for others."""
    units = [0] * 512
    units[0] = 256 << 10  # the root's children lie at 256 ^ byte
    at = 256 ^ ord("A")
    units[at] = (at ^ 400) << 10 | 1 << 8 | ord("A")  # ends a text, whose value lies at 400
    units[400] = 1 << 31  # value 0
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"a\0"


def field(number, value):
    """Of a protocol buffer: bytes, a float or a whole number."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | 5) + struct.pack("<f", value) if isinstance(value, float) else varint(number << 3) + varint(value)


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def make_encoder_tokenizers():
    letters = [chr(c) for c in range(33, 127)]
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in "abcdeost"), "the", "##ed", "日"]
    words = {t: i for i, t in enumerate(bert)}
    surrounding = {"type": "TemplateProcessing",
                   "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                   "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                            {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                   "special_tokens": {t: {"id": t, "ids": [words[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}}
    added = [{"id": words[t], "content": t, "special": True, "normalized": False} for t in ("[CLS]", "[SEP]", "[MASK]")]
    word_piece = {"added_tokens": added, "normalizer": {"type": "BertNormalizer", "lowercase": True}, "pre_tokenizer": {"type": "BertPreTokenizer"},
                  "post_processor": surrounding, "model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 9, "vocab": words}}
    charsmap = base64.b64encode(character_map()).decode()
    unigram = {"added_tokens": added, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "post_processor": surrounding,
               "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": charsmap}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
               "model": {"type": "Unigram", "unk_id": 1, "vocab": [[t, -float(i)] for i, t in enumerate([*bert[:5], "▁", "▁the", "t", "h", "e", "he"])]}}
    vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters, "Ġ", "th", "the", "Ġt"])}
    byte_level = {"added_tokens": [{"id": 0, "content": "<s>", "special": True, "normalized": True, "lstrip": True}], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True},
                  "post_processor": {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]},
                  "model": {"type": "BPE", "vocab": vocabulary, "merges": ["t h", "th e", "Ġ t"]}}
    pieces = [("[UNK]", 2), ("[CLS]", 4), ("[SEP]", 4), ("[MASK]", 4), ("▁", 1), ("▁the", 1), ("t", 1), ("he", 1), ("h", 1), ("e", 1)]
    model = b"".join(field(1, field(1, text.encode()) + field(2, -float(i)) + field(3, kind)) for i, (text, kind) in enumerate(pieces))
    model += field(2, field(3, 1) + field(40, 0)) + field(3, field(2, character_map()) + field(3, 1))

    def dump(content):
        return json.dumps(content, ensure_ascii=False)

    folders = {
        "word_piece": {"tokenizer.json": dump(word_piece)},
        "word_piece_lines": {"vocab.txt": "\n".join(bert), "tokenizer_config.json": dump({"do_lower_case": False, "model_max_length": 64})},
        "byte_level": {"tokenizer.json": dump(byte_level)},
        "byte_level_files": {"vocab.json": dump(vocabulary), "merges.txt": "#version: 0.2\nt h\nth e\nĠ t", "tokenizer_config.json": dump({"add_prefix_space": True})},
        "unigram": {"tokenizer.json": dump(unigram)},
        "sentencepiece": {"spiece.model": model, "config.json": dump({"model_type": "rembert"})},
    }
    for name, files in folders.items():
        files["text"] = "The cats  said [MASK]\tété 日 <mask>"
        parts = (f"@{file}\n".encode() + (content if isinstance(content, bytes) else content.encode()) for file, content in files.items())
        write("encoder_tokenizer", name, b"\n".join(parts))


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
    make_encoder_tokenizers()
    make_texts()
    make_chats()
