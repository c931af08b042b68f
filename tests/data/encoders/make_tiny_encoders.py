#!/usr/bin/env python3
"""Writes the tiny random text encoders beside this script and what the transformers package computes with them.

    python3 -m venv venv && venv/bin/pip install torch transformers safetensors
    venv/bin/python tests/data/encoders/make_tiny_encoders.py

Each folder is an encoder in one of the layouts people have, and expected.json holds its inputs and the hidden states
after every layer. Weights are rounded to the stored type before the reference runs in float32. Written with torch 1.13
and transformers 4.40; seeds are fixed, but another torch may draw other numbers.
"""
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
SIZES = dict(num_hidden_layers=2, vocab_size=37, max_position_embeddings=40, hidden_dropout_prob=0.0,
             attention_probs_dropout_prob=0.0)


def randomize(model, dtype, seed):
    """Weights that let every part of the graph show in the result, rounded to dtype."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "LayerNorm.weight" in name:
                value = 1 + 0.2 * noise
            elif parameter.dim() == 2 and "embeddings" not in name:
                value = noise * (1.3 / parameter.shape[1] ** 0.5)
            else:
                value = 0.3 * noise
            parameter.copy_(value.to(dtype).float())
    return model.eval()


def inputs(config, seed, n_segments):
    generator = torch.Generator().manual_seed(seed)
    first = config.pad_token_id + 1
    sequences = []
    for length in (1, 5, 13, 30):
        ids = torch.randint(first, config.vocab_size, (length,), generator=generator).tolist()
        segments = [int(i >= length // 2) % n_segments for i in range(length)]
        sequences.append({"ids": ids, "segments": segments})
    return sequences


def write(name, model, sequences, config, tensors, dtype, n_shards=1):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tensors = {key: value.detach().to(dtype).contiguous() for key, value in tensors.items()}
    if n_shards == 1:
        save_file(tensors, folder / "model.safetensors")
    else:
        weight_map = {key: f"model-{i % n_shards + 1:05}-of-{n_shards:05}.safetensors" for i, key in enumerate(tensors)}
        for file in set(weight_map.values()):
            save_file({key: value for key, value in tensors.items() if weight_map[key] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}, indent=0) + "\n")
    cases = []
    with torch.no_grad():
        for sequence in sequences:
            states = model(input_ids=torch.tensor([sequence["ids"]]),
                           token_type_ids=torch.tensor([sequence["segments"]]),
                           output_hidden_states=True).hidden_states
            layers = [[round(value, 7) for value in state[0].flatten().tolist()] for state in states]
            cases.append({**sequence, "layers": layers})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (folder / "expected.json").write_text('{"cases": [\n' + lines + "\n]}\n")


def config_of(config, **changes):
    kept = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
            "max_position_embeddings", "type_vocab_size", "hidden_act", "layer_norm_eps", "pad_token_id",
            "position_embedding_type", "input_embedding_size")
    values = {key: value for key, value in config.to_dict().items() if key in kept}
    values.update(changes)
    return {key: value for key, value in values.items() if value is not None}


def parameters(model):
    return {name: value for name, value in model.named_parameters() if not name.startswith("pooler")}


def tiny_bert():
    """Heads of 5 values; a classifier's prefix and the older names of the norms; F32."""
    config = transformers.BertConfig(**SIZES, hidden_size=20, num_attention_heads=4, intermediate_size=36)
    model = randomize(transformers.BertModel(config), torch.float32, 1)
    tensors = {("bert." + name).replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"):
               value for name, value in parameters(model).items()}
    write("tiny_bert", model, inputs(config, 11, 2), config_of(config), tensors, torch.float32)


def tiny_bert_tensorflow():
    """The first implementation's names and transposed matrices, its "gelu" being the tanh approximation; F16."""
    config = transformers.BertConfig(**SIZES, hidden_size=16, num_attention_heads=1, intermediate_size=24,
                                     hidden_act="gelu_new")
    model = randomize(transformers.BertModel(config), torch.float16, 2)
    tensors = {}
    for name, value in parameters(model).items():
        name = "bert/" + name.replace(".", "/").replace("layer/", "layer_")
        name = name.replace("LayerNorm/weight", "LayerNorm/gamma").replace("LayerNorm/bias", "LayerNorm/beta")
        if "_embeddings/" in name:
            name = name[:-len("/weight")]
        elif name.endswith("/weight"):
            name, value = name[:-len("weight")] + "kernel", value.t()
        tensors[name] = value
    changes = dict(model_type=None, hidden_act="gelu", position_embedding_type=None, pad_token_id=None)
    write("tiny_bert_tensorflow", model, inputs(config, 12, 2), config_of(config, **changes), tensors, torch.float16)


def tiny_roberta():
    """Positions after the padding id, one of the tokens being padding itself; two files; F16."""
    config = transformers.RobertaConfig(**SIZES, hidden_size=16, num_attention_heads=2, intermediate_size=32,
                                        type_vocab_size=1, layer_norm_eps=1e-5)
    model = randomize(transformers.RobertaModel(config), torch.float16, 3)
    sequences = inputs(config, 13, 1)
    sequences[2]["ids"][4] = config.pad_token_id
    tensors = {"roberta." + name: value for name, value in parameters(model).items()}
    write("tiny_roberta", model, sequences, config_of(config), tensors, torch.float16, n_shards=2)


def rembert(hidden_act, dtype, seed):
    config = transformers.RemBertConfig(**SIZES, hidden_size=24, num_attention_heads=3, intermediate_size=28,
                                        input_embedding_size=12, hidden_act=hidden_act)
    return config, randomize(transformers.RemBertModel(config), dtype, seed)


def tiny_rembert():
    """Embeddings narrower than the hidden state; no prefix; BF16."""
    config, model = rembert("gelu_new", torch.bfloat16, 4)
    write("tiny_rembert", model, inputs(config, 14, 2), config_of(config), parameters(model), torch.bfloat16)


def tiny_bleurt():
    """RemBERT under the names of the package bleurt-pytorch; relu; F16."""
    config, model = rembert("relu", torch.float16, 5)
    tensors = {"bleurt." + name.replace("embedding_hidden_mapping_in", "embedding_projection"): value
               for name, value in parameters(model).items()}
    changes = dict(model_type="bleurt", embedding_size=12, input_embedding_size=None)
    write("tiny_bleurt", model, inputs(config, 15, 2), config_of(config, **changes), tensors, torch.float16)


for make in (tiny_bert, tiny_bert_tensorflow, tiny_roberta, tiny_rembert, tiny_bleurt):
    make()
