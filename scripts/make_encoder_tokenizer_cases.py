#!/usr/bin/env python3
"""Trains small tokenizers of text encoders on our own lines and records what `transformers` makes of mixed texts with
them, for tests/data/encoder_tokenizers. Needs `pip install transformers==4.40.2 sentencepiece protobuf`.

  scripts/make_encoder_tokenizer_cases.py

Of each tokenizer two folders: NAME as the older Python classes read it (vocab.json and merges.txt, or a SentencePiece
model) and NAME_json as `tokenizers` reads it (tokenizer.json), each with cases.jsonl: texts and pairs, with ids.
"""
import json, os, pathlib, shutil, tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import sentencepiece
import transformers
from tokenizers import ByteLevelBPETokenizer

from tokenizer_golden import CODE, PROSE

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "encoder_tokenizers"
WORDS = """Encoders read whole sentences and give a vector for every token; a metric compares the vectors.
The cat sat on the mat while the other cats were sitting on the other mats, waiting for the evening.
An answer is compared with a reference: words that mean the same should be found near each other.
Small models answer small questions quickly, larger models answer larger questions slowly.
""" * 4
TEXTS = [
    "", " ", "  \t\n ", "The cat sat on the mat.", " leading space", "trailing space ", "two  spaces   and more",
    "tabs\tand\nlines\r\nand\r\nreturns", "It's the dogs' bowls, isn't it?", "UPPER lower MiXeD cAsE", "a", ".", "''quoted`` ''",
    "naïve café façade Ångström", "nai\u0308ve cafe\u0301 e\u0301\u0302", "Straße ŻÓŁĆ ÇA", "\uff26\uff55\uff4c\uff4c\uff57\uff49\uff44\uff54\uff48 \uff11\uff12\uff13",
    "ﬁne ﬂow ½ ² Ⅷ ™ №5", "敏捷的棕色狐狸跳过了懒狗。", "すばやい茶色の狐 ｶﾞｷﾞ", "빠른 갈색 여우가", "ᄒ\u1161\u11ab글", "तेज़ भूरी लोमड़ी",
    "الثعلب البني", "สุนัขจิ้งจอก", "😀", "👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️", "mixed 日本 and 😀 text", "zero\u200bwidth\u200djoin\u2060er", "soft\u00adhyphen no\u00a0break\u2009thin\u3000wide",
    "control \u0001\u0002\u007f\u0085 characters", "nul \u0000 inside", "replacement \ufffd here", "private \ue000 \U000f0000 unassigned \u0378",
    "▁marks▁of▁space ▁", "<s> </s> <mask> <unk> <pad>", "[CLS] [SEP] [MASK] [UNK] [PAD]", "a <mask> b", "a<mask>b [MASK]c", "  <mask>  ", "x [MASK] . y",
    "<0x41> <0xE2>", "<special> word<special>", "1234567890 3.14159 1,000,000 12:30", "http://example.org/a?b=c&d=%20", "def f(x): return x ** 2  # why",
    "supercalifragilisticexpialidocious", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "....!!!!????", "\"double\" 'single' “curly” ‘curly’ «guillemets»", "e\u0301\r\nX\u0301\t",
    "\u0301alone", "İstanbul ıssız ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ", "\u2028line\u2029paragraph", "\ufeffbyte order mark", "end with newline\n", "-- – — … ...",
    "日本語とEnglish混ざった文", "x" * 60, "The cat sat on the mat. " * 6,
]
PAIRS = [("The cat sat.", "A cat was sitting on a mat."), ("", "only second"), ("only first", ""), ("", ""), ("Straße 日本", "😀 <mask> [SEP]"),
         ("a longer first text than the second one is", "short"), ("short", "a longer second text than the first one is"), ("equal length", "equal length")]
SMALL_RULES = {  # a compiled character map of our own, some of what nmt_nfkc does
    "\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u00a0": " ", "\u3000": " ", "\u2009": " ", "\u200b": " ", "\u0001": "", "\u007f": "", "\u00ad": "",
    "ﬁ": "fi", "ﬂ": "fl", "½": "1⁄2", "²": "2", "Ⅷ": "VIII", "™": "TM", "№": "No", "e\u0301": "é", "i\u0308": "ï", "\uff76\uff9e": "ガ", "\uff77\uff9e": "ギ",
    "ᄒ\u1161\u11ab": "한", "ᄒ\u1161": "하", "…": "...", **{chr(0xFF21 + i): chr(0x41 + i) for i in range(26)}, **{chr(0xFF41 + i): chr(0x61 + i) for i in range(26)},
    **{chr(0xFF10 + i): chr(0x30 + i) for i in range(10)},
}


def train_sentencepiece(folder, name, **options):
    text, rules = folder / "text.txt", folder / "rules.tsv"
    text.write_text(PROSE + WORDS + CODE, encoding="utf-8")
    points = lambda s: " ".join(f"{ord(c):04X}" for c in s)
    rules.write_text("".join(f"{points(a)}\t{points(b)}\n" for a, b in SMALL_RULES.items()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / name), vocab_size=options.pop("vocab_size", 420), model_type="unigram", character_coverage=0.98,
        normalization_rule_tsv=str(rules), num_threads=1, minloglevel=2, hard_vocab_limit=False, **options)
    return folder / f"{name}.model"


def write_cases(folder, tokenizer, **options):
    lines = []
    for text in TEXTS:
        row = {"text": text, "ids": tokenizer.encode(text, **options)}
        prefixed = tokenizer.encode(text, add_prefix_space=True) if isinstance(tokenizer, transformers.RobertaTokenizer) else row["ids"]
        if prefixed != row["ids"]:
            row["prefixed"] = prefixed
        lines.append(row)
    for first, second in PAIRS:
        for most in (512, 14, 9):
            # The two programs cut pairs differently; docs/formats.md says which one is followed.
            if most != 512 and tokenizer.is_fast:
                continue
            if tokenizer.is_fast:  # the class takes an empty second text for none
                made = tokenizer.backend_tokenizer.encode(first, second)
                ids, segments = made.ids, made.type_ids
            else:
                made = tokenizer(first, second, truncation="longest_first", max_length=most, return_token_type_ids=True)
                ids, segments = made["input_ids"], made["token_type_ids"]
            lines.append({"text": first, "second": second, "most": most, "ids": ids, "segments": segments})
    (folder / "cases.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def start(name):
    shutil.rmtree(DATA / name, ignore_errors=True)
    (DATA / name).mkdir(parents=True)
    return DATA / name


def roberta():
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator((PROSE + WORDS + CODE).splitlines(True), vocab_size=700, min_frequency=2, show_progress=False,
                                special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    folder = start("roberta")
    trained.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}\n')
    write_cases(folder, transformers.RobertaTokenizer.from_pretrained(folder))
    for name, prefix in (("roberta_json", False), ("roberta_prefix_json", True)):
        fast = transformers.RobertaTokenizerFast.from_pretrained(folder, add_prefix_space=prefix)
        into = start(name)
        fast.backend_tokenizer.save(str(into / "tokenizer.json"))
        write_cases(into, fast)


def from_sentencepiece(name, file, config, slow_class, fast_class, **options):
    with tempfile.TemporaryDirectory() as work:
        model = train_sentencepiece(pathlib.Path(work), name, **options)
        folder = start(name)
        shutil.copy(model, folder / file)
    (folder / "config.json").write_text(json.dumps(config) + "\n")
    slow = slow_class(str(folder / file))
    write_cases(folder, slow)
    if fast_class:
        into = start(name + "_json")
        fast = fast_class(str(folder / file))
        fast.backend_tokenizer.save(str(into / "tokenizer.json"))
        write_cases(into, fast)


roberta()
SPECIAL = {"control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "unk_piece": "[UNK]", "pad_id": 3, "pad_piece": "[PAD]"}
from_sentencepiece("rembert", "sentencepiece.model", {"model_type": "rembert"}, transformers.RemBertTokenizer, transformers.RemBertTokenizerFast, **SPECIAL)
from_sentencepiece("xlm_roberta", "sentencepiece.bpe.model", {"model_type": "xlm-roberta"}, transformers.XLMRobertaTokenizer, transformers.XLMRobertaTokenizerFast)
# What the others leave out: bytes for unknown characters, user-defined pieces, white space kept.
from_sentencepiece("user_defined", "spiece.model", {"model_type": "rembert"}, transformers.RemBertTokenizer, None, vocab_size=700, byte_fallback=True,
                   **SPECIAL, user_defined_symbols=["<special>", "the cat", "½"], remove_extra_whitespaces=False)
