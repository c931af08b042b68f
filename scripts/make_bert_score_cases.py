#!/usr/bin/env python3
"""Records what the bert-score package makes of our own pairs with a stand-in for the encoder: a table of vectors of 4
entries by token number, small enough for negative cosines to be common. Needs `pip install bert-score==0.3.13
transformers==4.40.2 sentencepiece` and PyTorch.

  scripts/make_bert_score_cases.py                # writes tests/data/bert_score/cases.json
"""
import collections, json, os, pathlib

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import numpy
import torch
import transformers
from bert_score.utils import bert_cos_score_idf, get_idf_dict

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
PAIRS = [
    ("The cat sat on the mat.", "The cat sat on the mat."), ("A cat was sitting.", "The cat sat on the other mat, waiting."), ("", "not empty"),
    ("not empty", ""), ("", ""), (" \t", "\u3000"), ("x", "y"), ("  spaces around\n", "\u00a0spaces around\x1c"), ("naïve 日本 😀", "naive Japan :)"),
    ("The cat sat on the mat.", "Small models answer small questions quickly."), ("a <mask> b", "[SEP] <s> c"), ("same same same", "same"),
    ("An answer is compared with a reference: words that mean the same should be found near each other.", "compare answers"),
    *((a, b) for a, b in zip("xyzabcdefg1234?!", "1?abXYc.;dQr89kj")),  # so short that a token may find no near one
]


class Table(torch.nn.Module):
    """hidden[k] of token `id` is sin(12.9898 id + 78.233 k), whatever stands beside it."""

    def __init__(self, n_tokens):
        super().__init__()
        ids, entries = numpy.arange(n_tokens)[:, None], numpy.arange(4)[None, :]
        self.table = torch.nn.Embedding.from_pretrained(torch.tensor(numpy.sin(12.9898 * ids + 78.233 * entries), dtype=torch.float32))

    def forward(self, ids, attention_mask=None, output_hidden_states=False):
        return (self.table(ids),)


def cases(name, tokenizer):
    candidates, references = [list(side) for side in zip(*PAIRS)]
    model = Table(len(tokenizer) + 8)
    for idf in (False, True):
        weights = get_idf_dict(references, tokenizer, nthreads=0) if idf else collections.defaultdict(lambda: 1.0)
        if not idf:
            weights[tokenizer.sep_token_id] = weights[tokenizer.cls_token_id] = 0
        for batch in (1, 4, 64):
            scores = bert_cos_score_idf(model, references, candidates, tokenizer, weights, device="cpu", batch_size=batch)
            rows = [[None if x != x else round(x, 7) for x in row] for row in scores.double().tolist()]
            yield {"tokenizer": name, "idf": idf, "batch": batch, "scores": rows}


folder = ROOT / "bert_score"
made = [*cases("roberta", transformers.RobertaTokenizer.from_pretrained(ROOT / "encoder_tokenizers" / "roberta")),
        *cases("rembert", transformers.RemBertTokenizer(str(ROOT / "encoder_tokenizers" / "rembert" / "sentencepiece.model"), model_max_length=512))]
folder.mkdir(exist_ok=True)
text = json.dumps({"pairs": PAIRS}, ensure_ascii=False)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(one) for one in made) + "\n]}\n"
(folder / "cases.json").write_text(text, encoding="utf-8")
