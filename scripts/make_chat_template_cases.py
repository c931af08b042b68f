#!/usr/bin/env python3
"""Renders chat templates with Jinja2, set up as Hugging Face's apply_chat_template sets it up, and writes what the
C++ tests compare with. Needs `pip install jinja2`, and `gguf` for --models.

  scripts/make_chat_template_cases.py [--models FOLDER_OF_GGUF_FILES]

Writes tests/data/chat_templates/families.json and snippets.json, and with --models also models.json: hashes of what the
templates inside those files give for our conversations.
"""
import argparse
import json
import pathlib

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chat_template_sources import FAMILIES, SNIPPETS

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "chat_templates"

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather \"now\" at a place <b>&</b>",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}, "unit": {"type": ["string", "null"]}},
            "required": ["place"],
        },
    },
}
HIDDEN = {"type": "function", "function": {"name": "_hidden", "description": "", "parameters": {}}}


def turns(*contents, system=None):
    messages = [] if system is None else [{"role": "system", "content": system}]
    return messages + [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]


CONVERSATIONS = {
    "one question": {"messages": turns("What is 2 + 2?"), "add_generation_prompt": True},
    "system": {"messages": turns("Hello", system="  Be brief. "), "add_generation_prompt": True},
    "several turns": {
        "messages": turns(" Hi \n", "Hello! <b>How</b> are you?\n", "Fine, & you?  ", "<think>\nhm\n</think>\n\nGood.", "Größe 日本 😀?", system="Sei kurz."),
        "add_generation_prompt": True,
    },
    "answered": {"messages": turns("a", "b", "c", "<think>why</think>d"), "add_generation_prompt": False},
    "no thinking": {"messages": turns("Think?", "No.", "Sure?"), "add_generation_prompt": True, "enable_thinking": False},
    "roles out of turn": {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}], "add_generation_prompt": True},
    "empty content": {"messages": turns("", "", ""), "add_generation_prompt": True},
    "no message": {"messages": [], "add_generation_prompt": True},
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": " Look: "}, {"type": "image"}]}],
        "add_generation_prompt": True,
    },
    "tools": {
        "messages": [
            {"role": "system", "content": "Use tools."},
            {"role": "user", "content": "Weather in Rome?"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"place": "Rome", "days": [1, 2]}}}]},
            {"role": "tool", "content": "{\"sky\": \"clear\"}", "name": "weather"},
            {"role": "assistant", "content": "Clear."},
            {"role": "user", "content": "Thanks"},
        ],
        "add_generation_prompt": True,
        "tools": [WEATHER, HIDDEN],
    },
}


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda pattern: "2025"
    return made


def render(source, variables):
    """The text, or None where Jinja2 gives an error."""
    given = {"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **variables}
    try:
        return environment().from_string(source).render(**given)
    except Exception:  # Python's own errors come through too
        return None


def fnv1a(text):
    state = 0xCBF29CE484222325
    for byte in text.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return f"{state:016x}"


def write(name, content):
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=pathlib.Path)
    options = parser.parse_args()
    families = {
        name: {"template": source, "expected": {key: render(source, variables) for key, variables in CONVERSATIONS.items()}}
        for name, source in FAMILIES.items()
    }
    write("families.json", {"conversations": CONVERSATIONS, "families": families})
    write("snippets.json", [{"template": source, "expected": render(source, CONVERSATIONS["tools"])} for source in SNIPPETS])
    if options.models:
        import gguf

        models = {}
        for path in sorted(options.models.glob("*.gguf")):
            field = gguf.GGUFReader(path).fields.get("tokenizer.chat_template")
            if field is None:
                continue
            rendered = {key: render(field.contents(), variables) for key, variables in CONVERSATIONS.items()}
            models[path.name] = {key: text and fnv1a(text) for key, text in rendered.items()}
        write("models.json", models)


if __name__ == "__main__":
    main()
