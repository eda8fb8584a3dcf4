"""Whether transformers' `generate` stops with a saved folder where `reanchor generate` does, and writes the same tokens.

    reanchor generate --model DIR --prompts chats.jsonl --out answers.jsonl --temperature 0 --max-new-tokens 40
    python check_stops.py DIR answers.jsonl [--max-new-tokens 40]

The folder alone says how: nothing is passed to transformers but the chats (the `prompt` of a line: messages, or a text) and
the greatest number of tokens. Prints a line a prompt with the token at which each side stopped; exit code 1 where the texts or
the stops differ, or when loading warns of something.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=Path)
    ap.add_argument("answers", type=Path)
    ap.add_argument("--max-new-tokens", type=int, default=40)
    args = ap.parse_args()
    with warnings.catch_warnings(record=True) as told:
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        model, info = AutoModelForCausalLM.from_pretrained(args.model, output_loading_info=True)
    problems = [f"{key}: {sorted(map(str, value))}" for key, value in info.items() if value] + [str(one.message) for one in told]
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else list(ends or [])
    stopped = 0
    for line in map(json.loads, args.answers.read_text(encoding="utf-8").splitlines()):
        prompt = line["prompt"]
        if isinstance(prompt, str):
            ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        else:
            ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
        with torch.no_grad():
            new = model.generate(ids, max_new_tokens=args.max_new_tokens, do_sample=False)[0, ids.shape[1]:].tolist()
        end = new[-1] if new and new[-1] in ends else None
        text = tokenizer.decode(new if end is None else new[:-1])
        ours = line["finish"] == "stop"
        stopped += end is not None
        same = text == line["completion"] and ours == (end is not None)
        print(json.dumps({"theirs": text, "end": end if end is None else tokenizer.convert_ids_to_tokens(end), "same": same}, ensure_ascii=False))
        if not same:
            problems.append(f"ours: {line['completion']!r}, {line['finish']}")
    print(json.dumps({"model": str(args.model), "ends": tokenizer.convert_ids_to_tokens(ends), "stopped": stopped, "problems": problems}, ensure_ascii=False))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
