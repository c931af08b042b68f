#!/usr/bin/env python3
"""What stock llama.cpp makes of mixed text, recorded so that edgellm's tokenizers can be held to it.

    tokenizer_golden.py tiny                          # tests/data/text/: two vocabularies of our own and what llama.cpp
                                                      # makes of our own lines with them, and with every pre-tokenizer
    tokenizer_golden.py sentencepiece                 # there too: a model file of SentencePiece with its own tokens
    tokenizer_golden.py record MODEL.gguf OUT.jsonl [--lines 10000] [--seed 1] [--texts FOLDER]
                                                      # mixed lines (and lines of FOLDER's files) with MODEL's tokens

A recording is compared with:  EDGELLM_TOKENIZER_RECORDING=OUT.jsonl core_text_test --gtest_filter='*Recording*'

Needs `pip install llama-cpp-python gguf`, and sentencepiece for its part.
"""
import argparse, collections, ctypes, json, os, random, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PROSE = """The quick brown fox doesn't jump; it's the lazy dog that'll never bark, and they've said so since 1987.
She'd paid $1,234.56 (about 1.1k) for 3 tickets -- "too much!" -- and we're not going anyway...
Measure twice, cut once. Budget first, accuracy next, speed last? No: all three, at the same time.
A model of 7 billion weights at 4.5 bits each takes 3.9 GB; the cache adds 0.25 GB at 4096 tokens.
I'M SURE YOU'RE RIGHT, HE'LL SEE; WE'D BETTER 'S 'T 'RE ask o'clock rock'n'roll the dogs' bowls.
Straße und Übergröße kosten 12,50 €; façade, naïve, coöperate, Ångström, smörgåsbord, żółć, čeština.
Быстрая коричневая лиса прыгает через ленивую собаку, а потом спит до 18:30.
Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.
敏捷的棕色狐狸跳过了懒狗。今天是2024年5月17日，天气很好！
すばやい茶色の狐がのろまな犬を飛び越えた。カタカナとひらがなとｶﾅ。
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 값은 3,000원입니다.
तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। १२३४५
الثعلب البني السريع يقفز فوق الكلب الكسول. ١٢٣٤٥ ٪
השועל החום המהיר קופץ מעל הכלב העצלן.
สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ
Con cáo nâu nhanh nhẹn nhảy qua con chó lười biếng. Đường 3/2, Quận 10.
😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ♥ ☕️ ½ ² Ⅷ ① ㊗ №5 ™ © ≤ ∑ ∞ → ⇒ … — – ‘quoted’ “double” «guillemets»
"""
CODE = '''def fibonacci(n: int) -> int:
    """Return the n-th number."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n-2)  # O(1.618**n)
\tif (x != NULL && *x >= 0x1F) { return (int)(x->value << 3) | 7; }
for (size_t i = 0; i < values.size(); ++i) sum += values[i] * 1e-3f;
#include <vector>\r
template <class T, class U = std::vector<T>> struct Pair final : Base<T> {};
SELECT name, COUNT(*) FROM users WHERE id IN (1,22,333,4444,55555) GROUP BY name;
<div class="a-b_c" id='x1'>&nbsp;Hello&amp;</div><!-- note -->
{"key": [1, 2.5, -3e10, null, true], "path": "C:\\\\temp\\\\file.txt"}
const f = async (a, b) => { await g(`${a}:${b}`); };
    @property
        deeply_indented_call(argument_one=1,
                             argument_two='two')
export PATH="$HOME/bin:$PATH" && ls -la | grep -v '^d' > /tmp/out 2>&1
https://example.org/a/b?c=d&e=%20f#g user.name+tag@mail.example.co.uk
x = a+++b; y=~z^w%v; !!p; a->b; c::d; e?.f ?? g; [[h]]; ((i)); {{j}}; <<<k>>>
'''
SPECIALS = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<bos>", "<eos>", "<start_of_turn>",
            "<end_of_turn>", "<|fim_prefix|>", "<reponame>", "[PAD]", "<0x0A>", "\u2581", "\u2581the", "<table>", "<|im_", "<pad>", "<b>"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "    ", "\t\t", "\u00a0", "\u2003", "\u3000",
          "\u200b", "\u0085", "\u2028", "\v", "\f", " " * 9, " " * 40, "\n" * 5, "\n" * 40, "\t" * 35, "\u180e", "\ufeff"]
RANGES = [(0x20, 0x7E), (0x00, 0xFF), (0x100, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x530, 0x6FF), (0x900, 0xDFF),
          (0xE00, 0x10FF), (0x1100, 0x1FFF), (0x2000, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x33FF), (0x3400, 0x4DBF),
          (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFFFF), (0x10000, 0x11FFF),
          (0x12000, 0x1FFFF), (0x20000, 0x323AF), (0xE0000, 0xE01EF), (0x10FF00, 0x10FFFF)]


def own_lines():
    return [line for line in (PROSE + CODE).split("\n") if line]


def draw(generator, lines):
    """One mixed line: whole lines, words, digits, white space, special tokens and random characters, shuffled together."""
    def word():
        return generator.choice(generator.choice(lines).split() or [" "])

    def digits():
        return "".join(generator.choice("0123456789") for _ in range(generator.randint(1, 12)))

    def characters():
        first, last = generator.choice(RANGES)
        return "".join(chr(generator.randint(first, last)) for _ in range(generator.randint(1, 8)))

    def cut():
        line = generator.choice(lines)
        at = generator.randrange(len(line) + 1)
        return line[at:at + generator.randint(1, 30)]

    kind = generator.random()
    if kind < 0.25:
        return generator.choice(lines)
    if kind < 0.35:
        return generator.choice(lines) + generator.choice(SPACES) + generator.choice(lines)
    makers = [word, digits, characters, cut, lambda: generator.choice(SPACES), lambda: generator.choice(SPECIALS), lambda: " " + word()]
    return "".join(generator.choice(makers)() for _ in range(generator.randint(1, 14)))


def mixed_lines(n, seed, texts):
    generator = random.Random(seed)
    lines = own_lines()
    for name in sorted(os.listdir(texts)) if texts else []:
        with open(os.path.join(texts, name), encoding="utf-8", errors="ignore") as file:
            read = [line.rstrip("\n")[:2000] for line in file]
        lines += generator.sample(read, min(len(read), 2000))
    return [draw(generator, lines) for _ in range(n)]


class Llama:
    def __init__(self, path):
        import llama_cpp as l
        self.l = l
        l.llama_backend_init()
        self.silent = l.llama_log_callback(lambda *_: None)
        l.llama_log_set(self.silent, ctypes.c_void_p(0))
        parameters = l.llama_model_default_params()
        parameters.vocab_only = True
        self.model = l.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            sys.exit(f"llama.cpp does not load {path}")
        self.vocabulary = l.llama_model_get_vocab(self.model)

    def encode(self, text, add_special, parse_special):
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) * 2 + 8))()
        n = self.l.llama_tokenize(self.vocabulary, data, len(data), tokens, len(tokens), add_special, parse_special)
        assert n >= 0
        return list(tokens[:n])

    def close(self):
        self.l.llama_model_free(self.model)


def row(llama, text):
    ids = llama.encode(text, False, False)
    parsed = llama.encode(text, True, True)
    return {"text": text, "ids": ids, **({"ids_addspecial_parse": parsed} if parsed != ids else {})}


def dump(rows, path):
    with open(path, "w", encoding="utf-8") as out:
        for one in rows:
            out.write(json.dumps(one, ensure_ascii=True) + "\n")


def record(a):
    llama = Llama(a.model)
    rows = [{"model": os.path.abspath(a.model)}]
    rows += [row(llama, text) for text in mixed_lines(a.lines, a.seed, a.texts)]
    dump(rows, a.out)
    print(f"{len(rows) - 1} lines, {sum(len(r['ids']) for r in rows[1:])} tokens: {a.out}")


# ---- tiny vocabularies of our own

def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def train(pieces, n_merges):
    """Plain byte pair training, over whole lines: tokens cross word boundaries, so that a wrongly cut word shows."""
    merges = []
    for _ in range(n_merges):
        pairs = collections.Counter(pair for piece in pieces for pair in zip(piece, piece[1:]))
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        merges.append((left, right))
        for number, piece in enumerate(pieces):
            joined, i = [], 0
            while i < len(piece):
                both = i + 1 < len(piece) and (piece[i], piece[i + 1]) == (left, right)
                joined.append(left + right if both else piece[i])
                i += 2 if both else 1
            pieces[number] = joined
    return merges


def training_lines():
    return own_lines() + ["12 34 1000 2024 123456 0.5", "  \n\n  \t  x", "'s 't 're", "a\n\nb\r\n c", "!!! ... --- ((", "    return"] * 3


def write_vocabulary(path, model, tokens, types, **more):
    import gguf
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1), writer.add_context_length(64), writer.add_embedding_length(8)
    writer.add_feed_forward_length(8), writer.add_head_count(1), writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    writer.add_token_list([t.encode() if isinstance(t, str) else t for t in tokens])
    writer.add_token_types(types)
    if "merges" in more:
        writer.add_token_merges(more["merges"])
        writer.add_tokenizer_pre(more["pre"])
    if "scores" in more:
        writer.add_token_scores(more["scores"])
    writer.add_bos_token_id(more["bos"]), writer.add_eos_token_id(more["eos"]), writer.add_unk_token_id(more["unknown"])
    writer.add_add_bos_token(more["add_bos"]), writer.add_add_eos_token(more.get("add_eos", False))
    if "add_space_prefix" in more:
        writer.add_add_space_prefix(more["add_space_prefix"])
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.close()


NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def tiny_bpe(path, pre, add_bos=False):
    alphabet = byte_alphabet()
    merges = train([[alphabet[b] for b in line.encode()] for line in training_lines()], 500)
    tokens = list(alphabet.values())
    for left, right in merges:
        if left + right not in tokens:
            tokens.append(left + right)
    types = [NORMAL] * len(tokens)
    special = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("<table>", USER), ("<unk>", UNKNOWN)]
    first = len(tokens)
    tokens += [text for text, _ in special]
    types += [kind for _, kind in special]
    write_vocabulary(path, "gpt2", tokens, types, merges=[f"{l} {r}" for l, r in merges], pre=pre, bos=first + 1, eos=first + 2,
                     unknown=first + 4, add_bos=add_bos)


def tiny_spm(path):
    lines = [("\u2581" + line.replace(" ", "\u2581")) for line in training_lines()]
    # Every seventh character of the alphabet is left out: it must come back as bytes.
    alphabet = [c for i, c in enumerate(sorted({c for line in lines for c in line})) if i % 7 or c.isascii() or c == "\u2581"]
    merges = train([[c for c in line if c in alphabet and c != "\n"] for line in lines], 500)
    tokens, types = ["<unk>", "<s>", "</s>"], [UNKNOWN, CONTROL, CONTROL]
    tokens += [f"<0x{b:02X}>" for b in range(256)]
    types += [BYTE] * 256
    scores = [0.0] * len(tokens)
    joined = list(dict.fromkeys(l + r for l, r in merges))
    for rank, text in enumerate(joined + [c for c in alphabet if c not in joined]):
        tokens.append(text), types.append(NORMAL), scores.append(-float(rank))
    for text in ["<table>", "\n\n", "<start_of_turn>"]:
        tokens.append(text), types.append(USER), scores.append(-1000.0)
    write_vocabulary(path, "llama", tokens, types, scores=scores, bos=1, eos=2, unknown=0, add_bos=True, add_eos=True,
                     add_space_prefix=True)


def tiny_sentencepiece(folder):
    """A model file of SentencePiece itself with its own tokens; needs `pip install sentencepiece`."""
    import sentencepiece
    with tempfile.TemporaryDirectory() as temporary:
        text, prefix = os.path.join(temporary, "text"), os.path.join(temporary, "tiny")
        with open(text, "w", encoding="utf-8") as out:
            out.write("\n".join(l for l in training_lines() if "\n" not in l and "\r" not in l))
        sentencepiece.SentencePieceTrainer.train(
            input=text, model_prefix=prefix, vocab_size=800, model_type="bpe", byte_fallback=True, character_coverage=0.98,
            normalization_rule_name="identity", remove_extra_whitespaces=False, hard_vocab_limit=False)
        with open(prefix + ".model", "rb") as file, open(os.path.join(folder, "sentencepiece.model"), "wb") as out:
            out.write(file.read())
    model = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "sentencepiece.model"))
    dump([{"text": l, "ids": model.encode(l)} for l in own_lines() if "\r" not in l], os.path.join(folder, "sentencepiece.jsonl"))


def pre_tokenizer_names():
    """The first name of every row of the table in the source."""
    import re
    source = open(os.path.join(ROOT, "core/text/pre_tokenizer_kinds.cpp"), encoding="utf-8").read()
    return re.findall(r'\.names = \{"([^"]+)"', source)


def tiny(a):
    folder = os.path.join(ROOT, "tests/data/text")
    os.makedirs(folder, exist_ok=True)
    lines = [""] + own_lines() + SPACES + SPECIALS
    lines += mixed_lines(200 - len(lines), 7, None)
    tiny_bpe(os.path.join(folder, "tiny_bpe.gguf"), "qwen2")
    tiny_spm(os.path.join(folder, "tiny_spm.gguf"))
    for name in ["tiny_bpe", "tiny_spm"]:
        llama = Llama(os.path.join(folder, name + ".gguf"))
        dump([row(llama, text) for text in lines], os.path.join(folder, name + ".jsonl"))
        llama.close()
    # One row per text: the names whose pre-tokenizers give the same tokens share them.
    texts = own_lines() + [" \n\n \t x  y\r\n\r\n", "12345 1234.5678 ٣٤٥٦ ①②", "a'S b'T c'RE 'LL 'x  's", "caféCAFÉ été  ÉTÉs ǅǆ",
                           "!?...,;  ((x)) $5+3=8^2~|` <=>", "\u00a0\u2003x\u3000y\u0085z", "\U00031350\U0001e030 \u0301e\u0301 \u0939\u093f"]
    texts += mixed_lines(a.lines, 11, None)
    results = [{} for _ in texts]
    for name in pre_tokenizer_names():
        with tempfile.TemporaryDirectory() as temporary:
            path = os.path.join(temporary, "v.gguf")
            tiny_bpe(path, name)
            llama = Llama(path)
            for text, result in zip(texts, results):
                result.setdefault(json.dumps(llama.encode(text, False, False)), []).append(name)
            llama.close()
    out = a.out or os.path.join(folder, "pre_tokenizers.jsonl")
    dump([{"text": t, "of": [{"names": n, "ids": json.loads(i)} for i, n in r.items()]} for t, r in zip(texts, results)], out)


def sentencepiece_files(_):
    tiny_sentencepiece(os.path.join(ROOT, "tests/data/text"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("tiny")
    one.add_argument("--lines", type=int, default=40, help="random lines for the pre-tokenizers")
    one.add_argument("--out", help="where the pre-tokenizers' tokens go (a larger set need not be kept)")
    one.set_defaults(run=tiny)
    commands.add_parser("sentencepiece").set_defaults(run=sentencepiece_files)
    one = commands.add_parser("record")
    one.add_argument("model"), one.add_argument("out")
    one.add_argument("--lines", type=int, default=10000), one.add_argument("--seed", type=int, default=1)
    one.add_argument("--texts")
    one.set_defaults(run=record)
    a = parser.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
