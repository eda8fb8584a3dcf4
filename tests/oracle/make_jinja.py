"""What Jinja2 makes of expressions, statements and chat templates: test vectors for text/jinja.

    python make_jinja.py --out ../fixtures/jinja

Reads specs/jinja. A result is a text, or [kind, message] of what was raised, as in jinja_results.py.

expressions.json   {"texts", "variables", "expressions": [{"expression", "results": one per text, or one for all}]}
statements.json    {"variables", "statements": [{"source", "result"}]}
chats.json         {"tools", "special_tokens", "chats", "templates": [{"name", "source", "results": one per chat}]}
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from jinja_results import Templates, fix_date

SPECS = Path(__file__).resolve().parent / "specs" / "jinja"
NOW = [2024, 2, 3, 4, 5, 6]


def without_message(result):
    """The messages of Python are no promise; those of raise_exception are the template's own."""
    return result if isinstance(result, str) or result[0] == "TemplateError" else result[:1]


def expressions(inputs: dict) -> dict:
    lines = (SPECS / "expressions.txt").read_text(encoding="utf-8").split("\n")
    found = [line for line in lines if line and not line.startswith("#")]
    templates = Templates(["{{ %s }}" % expression for expression in found])
    variables = {key: value for key, value in inputs["variables"].items() if key not in ("x", "messages")}
    cases = []
    for i, expression in enumerate(found):
        results = [without_message(templates.render(i, {**variables, "x": text})) for text in inputs["texts"]]
        is_same = all(result == results[0] for result in results)
        cases.append({"expression": expression, "results": results[:1] if is_same else results})
    return {"texts": inputs["texts"], "variables": variables, "expressions": cases}


def statements(inputs: dict) -> dict:
    sources = json.loads((SPECS / "statements.json").read_text(encoding="utf-8"))
    templates = Templates(sources)
    cases = [
        {"source": source, "result": without_message(templates.render(i, inputs["variables"]))}
        for i, source in enumerate(sources)
    ]
    return {"now": NOW, "variables": inputs["variables"], "statements": cases}


def message(role: str, content, fields: dict | None = None) -> dict:
    return {"role": role, "content": content, **(fields or {})}


def chats() -> dict:
    spec = json.loads((SPECS / "chats.json").read_text(encoding="utf-8"))
    for chat in spec["chats"]:
        chat["messages"] = [message(*given) for given in chat["messages"]]
    files = sorted((SPECS / "templates").glob("*.jinja"))
    sources = [file.read_bytes().decode("utf-8") for file in files]
    templates = Templates(sources)

    def render(i: int, chat: dict):
        tools = spec["tools"][: chat["tools"]] if "tools" in chat else None
        given = {"messages": chat["messages"], "tools": tools, "documents": chat.get("documents")}
        asked = {"add_generation_prompt": chat.get("add_generation_prompt", False)}
        variables = {**spec["special_tokens"], **chat.get("variables", {})}
        return without_message(templates.render(i, {**variables, **given, **asked}))

    cases = [
        {"name": file.stem, "source": sources[i], "results": [render(i, chat) for chat in spec["chats"]]}
        for i, file in enumerate(files)
    ]
    return {"now": NOW, **spec, "templates": cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    fix_date(NOW)
    inputs = json.loads((SPECS / "inputs.json").read_text(encoding="utf-8"))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, value in {"expressions": expressions(inputs), "statements": statements(inputs), "chats": chats()}.items():
        (args.out / f"{name}.json").write_text(json.dumps(value, indent=0) + "\n", encoding="utf-8")
        print(name, (args.out / f"{name}.json").stat().st_size)


if __name__ == "__main__":
    main()
