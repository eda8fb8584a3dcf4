"""Rows of chats as TRL tokenises them: test vectors for what of a row reaches a chat template, and as which ids.

    python make_rows.py --tokenizer ../fixtures/tokenizer --templates specs/jinja/templates --out ../fixtures/chat

rows.jsonl.gz
    One row a line: {"template", "row", "prompt", "chosen", "rejected"} with the ids that DPOTrainer._prepare_dataset of TRL
    gives for the row as datasets reads it, or {"template", "row", "refused"} with the words of the template.
    "mismatch" is there where TRL warns that the prompt is no beginning of the whole.

The rows are made by a generator with a fixed seed: system messages as message and none, several turns, tool calls and
their results, reasoning, tools, variables of the template, numbers of every kind, text of several scripts.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

from datasets import load_dataset  # noqa: E402
from datasets.exceptions import DatasetGenerationError  # noqa: E402
from jinja2.exceptions import TemplateError  # noqa: E402
from pyarrow import ArrowInvalid  # noqa: E402
from tokenizers import Tokenizer, processors  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import chat_template_utils  # noqa: E402
from trl import DPOTrainer  # noqa: E402

ADDED = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
WORDS = "red green a colour of the sky is été 東京 🙂 naïve Straße \t two\nlines 3.50 {x} 'quoted' \"double\" <b> &amp; \u00a0 \u2028 end.".split(" ")
VISIBLE = [word for word in WORDS if word.strip()]
COUNT = 500


class Day(datetime):
    """The day that templates tell."""

    @classmethod
    def now(cls, tz=None) -> datetime:
        return cls(2026, 1, 2, 3, 4, 5)


class Rows:
    """Random rows; every choice is drawn from one generator."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, most: int = 8) -> str:
        words = [self.random.choice(VISIBLE), *(self.random.choice(WORDS) for _ in range(self.random.randint(0, most - 1)))]
        padding = self.random.choice(["", "", "", " ", "\n", "  \n"])
        return padding + " ".join(words) + self.random.choice(["", "", padding])

    def value(self, depth: int = 0, kind: str | None = None):
        kinds = ["int", "float", "whole", "text", "bool", "none", "large"] + (["list", "object"] if depth < 2 else [])
        kind = kind or self.random.choice(kinds)
        if kind == "int":
            return self.random.randint(-99, 99)
        if kind == "float":
            return self.random.randint(1, 999) / 8
        if kind == "whole":
            return float(self.random.randint(-9, 9))
        if kind == "large":
            return 10**16 + self.random.randint(0, 9)
        if kind == "text":
            return self.text(3)
        if kind == "bool":
            return self.random.random() < 0.5
        if kind == "list":
            # Of one kind, since a column of datasets has one type.
            kind = self.random.choice(kinds[:7])
            return [self.value(depth + 1, kind) for _ in range(self.random.randint(0, 3))]
        if kind == "object":
            return {name: self.value(depth + 1) for name in sorted(self.random.sample(["a", "b", "c d", "é"], self.random.randint(0, 3)))}
        return None

    def call(self) -> dict:
        # In one order, since a column of datasets has one.
        names = sorted(self.random.sample(["city", "unit", "days", "options"], self.random.randint(0, 3)))
        arguments = {name: self.value() for name in names}
        return {"type": "function", "function": {"name": self.random.choice(["get_temp", "search"]), "arguments": arguments}}

    def answer(self, has_calls: bool) -> dict:
        message = {"role": "assistant", "content": self.text()}
        if self.random.random() < 0.25:
            message["reasoning_content"] = self.text(4)
        if has_calls and self.random.random() < 0.4:
            message["tool_calls"] = [self.call() for _ in range(self.random.randint(1, 2))]
            if self.random.random() < 0.5:
                message["content"] = ""
        return message

    def prompt(self, has_calls: bool) -> list[dict]:
        messages = []
        if self.random.random() < 0.4:
            messages.append({"role": "system", "content": self.random.choice([self.text(), ""])})
        for _ in range(self.random.choice([0, 0, 1, 2])):
            messages.append({"role": "user", "content": self.text()})
            answer = self.answer(has_calls)
            messages.append(answer)
            for call in answer.get("tool_calls", []):
                messages.append({"role": "tool", "name": call["function"]["name"], "content": json.dumps(self.value(), ensure_ascii=False)})
            if "tool_calls" in answer:
                messages.append({"role": "assistant", "content": self.text()})
        messages.append({"role": "user", "content": self.text()})
        return messages

    def tool(self) -> dict:
        properties = {
            name: {"type": self.random.choice(["string", "number"]), "description": self.text(3), **({"default": self.value()} if self.random.random() < 0.4 else {})}
            for name in sorted(self.random.sample(["city", "unit", "days"], self.random.randint(1, 3)))
        }
        function = {"name": self.random.choice(["get_temp", "search"]), "description": self.text(4), "parameters": {"type": "object", "properties": properties, "required": list(properties)[:1]}}
        return {"type": "function", "function": function}

    def row(self) -> dict:
        has_tools = self.random.random() < 0.4
        row = {"prompt": self.prompt(has_tools), "chosen": [self.answer(has_tools)], "rejected": [self.answer(has_tools)]}
        if has_tools:
            tools = [self.tool() for _ in range(self.random.randint(1, 2))]
            row["tools"] = tools if self.random.random() < 0.6 else json.dumps(tools)
        if self.random.random() < 0.3:
            row["chat_template_kwargs"] = {"enable_thinking": self.random.random() < 0.5}
        return row


def load(rows: list[dict]):
    """Rows as datasets reads them from a file; a file each, since its columns have one type."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf8")
        return load_dataset("json", data_files=str(file), split="train", keep_in_memory=True, cache_dir=folder)


def vector(name: str, row: dict, tokenizer: PreTrainedTokenizerFast) -> dict | None:
    """The vector of a row; None for one that datasets itself cannot read, having no type for a mixture in it."""
    arguments = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    found = {"template": name, "row": row}
    try:
        read = load([row])
    except (ArrowInvalid, DatasetGenerationError):
        return None
    try:
        [ids] = DPOTrainer._prepare_dataset(SimpleNamespace(_tokenizer=tokenizer), read, tokenizer, arguments, "train")
    except TemplateError as error:
        return {**found, "refused": str(error)}
    except TypeError as error:
        return {**found, "refused": str(error)}
    prompt = ids["prompt_ids"]
    tools = json.loads(row["tools"]) if isinstance(row.get("tools"), str) else row.get("tools")
    wholes = [
        tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=True, return_dict=True, tools=tools, **row.get("chat_template_kwargs", {}))["input_ids"]
        for side in ("chosen", "rejected")
    ]
    mismatch = any(whole[: len(prompt)] != prompt for whole in wholes)
    sides = {"prompt": prompt, "chosen": ids["chosen_ids"], "rejected": ids["rejected_ids"]}
    return {**found, **sides, **({"mismatch": True} if mismatch else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    backend = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    backend.add_special_tokens(ADDED)
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    chat_template_utils.datetime = Day
    templates = {file.stem: file.read_bytes().decode("utf8") for file in args.templates.glob("*.jinja")}
    names = sorted(templates)
    rows = Rows(20261128)
    lines = []
    for i in range(COUNT):
        name = names[i % len(names)]
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
        tokenizer.chat_template = templates[name]
        while (found := vector(name, rows.row(), tokenizer)) is None:
            pass
        lines.append(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode("utf8"))
    (args.out / "rows.jsonl.gz").write_bytes(buffer.getvalue())
    kinds = [json.loads(line) for line in lines]
    print(len(lines), "rows,", sum("refused" in one for one in kinds), "refused,", sum("mismatch" in one for one in kinds), "mismatches,", len(buffer.getvalue()), "bytes")


if __name__ == "__main__":
    main()
