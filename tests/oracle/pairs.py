"""Preference pairs as TRL sees them: HH transcripts or explicit rows, tokenised and cut as DPOTrainer does it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

MARK = "\n\nAssistant:"


def read_rows(path: str | Path) -> list[dict]:
    """The rows of a .jsonl or .jsonl.gz file; lines end at "\\n" only."""
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    return [json.loads(line) for line in raw.decode("utf-8").split("\n") if line.strip()]


def split_row(row: dict) -> dict | None:
    """{prompt, chosen, rejected}; an HH pair is split at its last "\\n\\nAssistant:". None where the row cannot be scored:
    the prompts differ, an answer is empty, or both answers are the same."""
    if "prompt" in row:
        pair = {k: row[k] for k in ("prompt", "chosen", "rejected")}
    else:
        at = {side: row[side].rindex(MARK) + len(MARK) for side in ("chosen", "rejected")}
        prompt = row["chosen"][: at["chosen"]]
        if prompt != row["rejected"][: at["rejected"]]:
            return None
        pair = {"prompt": prompt, **{side: row[side][at[side] :] for side in at}}
    if not pair["chosen"].strip() or not pair["rejected"].strip() or pair["chosen"] == pair["rejected"]:
        return None
    return pair


def read_pairs(path: str | Path) -> list[dict]:
    """The rows of the file that can be scored, in order, each with "row", its place in the file."""
    split = ((i, split_row(row)) for i, row in enumerate(read_rows(path)))
    return [{"row": i, **pair} for i, pair in split if pair]


def encode(pair: dict, tokenizer, max_length: int) -> dict | None:
    """{prompt, chosen, rejected} as ids, the completions cut so that prompt + completion has at most max_length tokens; None
    where the prompt alone fills max_length, or where the answers are the same once cut (TRL trains on those)."""
    prompt = tokenizer(pair["prompt"])["input_ids"]
    if len(prompt) >= max_length:
        return None
    out = {"prompt": prompt}
    for side in ("chosen", "rejected"):
        text = pair[side]
        if not text.endswith(tokenizer.eos_token):
            text += tokenizer.eos_token
        out[side] = tokenizer(pair["prompt"] + text)["input_ids"][len(prompt) : max_length]
    return out if out["chosen"] != out["rejected"] else None


def collate(rows: list[dict], pad: int):
    """(input_ids, attention_mask, completion_mask) [2B, T], all chosen first, padded on the right."""
    import torch

    sides = [(r["prompt"], r[side]) for side in ("chosen", "rejected") for r in rows]
    length = max(len(p) + len(c) for p, c in sides)
    ids = torch.full((len(sides), length), pad, dtype=torch.int64)
    attention, completion = torch.zeros_like(ids), torch.zeros_like(ids)
    for i, (p, c) in enumerate(sides):
        n = len(p) + len(c)
        ids[i, :n] = torch.tensor(p + c)
        attention[i, :n] = 1
        completion[i, len(p) : n] = 1
    return ids, attention, completion


def sequence_logps(model, ids, attention, completion):
    """Sum of log p over the completion tokens of each row, [2B]: TRL's gather minus a row-by-row logsumexp over all logits."""
    import torch

    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1]
    normaliser = torch.stack([torch.logsumexp(row, dim=-1) for row in logits])
    logps = logits.gather(-1, ids[:, 1:, None]).squeeze(-1) - normaliser
    logps[completion[:, 1:] == 0] = 0.0
    return logps.sum(dim=1)
