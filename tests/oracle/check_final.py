"""Loads a saved model folder with Python's transformers and compares what it computes with what our side computed.

    python check_final.py MODEL_DIR --ours FILE.json [--against float64|float32] [--tolerance 1e-5]
    python check_final.py MODEL_DIR --data pairs.jsonl --write FILE.json [--rows N] [--max-length N]
    python check_final.py MODEL_DIR [--data pairs.jsonl]

The folder must load with AutoModelForCausalLM and AutoTokenizer, without a missing, unexpected or mismatched weight and
without a value that is not finite. A folder with adapter_config.json is put on its base by PEFT. FILE.json:

    { "rows": [ { "input_ids": number[],      T tokens, unpadded, special tokens included
                  "logprobs": number[],       T-1: log p(input_ids[t+1] | input_ids[0..t])
                  "last_logits": number[],    V: the logits after the last token; may be left out
                  "text": string } ] }        may be left out; if there, the folder's tokenizer must give input_ids for it

--against float64 (default): the exact values, i.e. the saved weights in float64 arithmetic. float32: stock transformers, whose
own rounding (printed as float32-float64; 2e-5 to 9e-5 for stories260K on real text) is then in the difference too. So 1e-5 is
to be asked of float64 numbers from our side. Float64 is exact to 2e-14 with ORACLE in the environment (the folder that holds
common.py), otherwise to about 2e-6, because transformers computes norms and rotary tables in float32 whatever the model's dtype.

--write makes such a file from the first N pairs of --data (whole chosen and rejected texts in turn, cut to max-length), in
the arithmetic of --against. With neither --ours nor --write the mean log-prob of a token is printed.

Exit code 0: all within the tolerance; 1: not, or the folder is not whole.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.utils import logging as hf_logging  # noqa: E402

from pairs import read_rows  # noqa: E402

hf_logging.disable_progress_bar()


def exact_float64():
    if "ORACLE" not in os.environ:
        return contextlib.nullcontext()
    sys.path.insert(0, os.environ["ORACLE"])
    from common import exact_float64 as exact

    return exact()


def load(folder: Path, dtype: torch.dtype):
    config = folder / "adapter_config.json"
    base = json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"] if config.exists() else folder
    model, info = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
    )
    wrong = {k: sorted(map(str, info[k])) for k in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[k]}
    if config.exists():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
        # PEFT only warns of what is missing, and passes over what it does not know.
        result = model.load_adapter(folder, "default")
        missing = [key for key in result.missing_keys if "lora_" in key or "modules_to_save" in key]
        wrong |= {k: v for k, v in {"missing_keys": missing, "unexpected_keys": result.unexpected_keys}.items() if v}
        # Its factors are float32 whatever the base is.
        model = model.to(dtype)
    return model.eval(), wrong


@torch.no_grad()
def compute(model, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(logprobs [T-1], last_logits [V]) in float64 numbers."""
    wide = model.dtype == torch.float64
    with exact_float64() if wide else contextlib.nullcontext():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    targets = torch.tensor(ids[1:], dtype=torch.int64)
    logprobs = torch.log_softmax(logits[:-1], -1).gather(-1, targets[:, None]).squeeze(-1)
    return logprobs.double(), logits[-1].double()


def difference(a: torch.Tensor, b: torch.Tensor, what: str) -> float:
    if a.shape != b.shape:
        sys.exit(f"{what}: {list(a.shape)} numbers given, {list(b.shape)} expected")
    d = (a - b).abs()
    return float("inf") if d.isnan().any() else (d.max().item() if d.numel() else 0.0)


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=Path)
    ap.add_argument("--ours", type=Path)
    ap.add_argument("--data", type=Path)
    ap.add_argument("--write", type=Path)
    ap.add_argument("--rows", type=int, default=8)
    ap.add_argument("--max-length", type=int, default=256)
    ap.add_argument("--against", choices=["float64", "float32"], default="float64")
    ap.add_argument("--tolerance", type=float, default=1e-5)
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    models = {}
    for dtype in ("float32", "float64"):
        models[dtype], wrong = load(args.model, getattr(torch, dtype))
        if wrong:
            print(json.dumps({"model": str(args.model), **wrong}))
            return 1
    not_finite = [k for k, v in models["float32"].state_dict().items() if not v.isfinite().all()]
    if not_finite:
        print(json.dumps({"model": str(args.model), "not_finite": not_finite}))
        return 1
    summary = {
        "model": args.model.name,
        "class": type(models["float32"]).__name__,
        "parameters": sum(p.numel() for p in models["float32"].parameters()),
        "vocabulary": len(tokenizer),
        "eos": tokenizer.eos_token,
    }

    if args.data:
        texts = [t for row in read_rows(args.data)[: args.rows] for t in (whole(row, "chosen"), whole(row, "rejected"))]
        rows = [{"text": t, "input_ids": tokenizer(t)["input_ids"]} for t in texts]
        for row in rows:
            if len(row["input_ids"]) > args.max_length:
                row["input_ids"] = row["input_ids"][: args.max_length]
                del row["text"]
        total, count = 0.0, 0
        for row in rows:
            logprobs, last = compute(models[args.against], row["input_ids"])
            row["logprobs"], row["last_logits"] = logprobs.tolist(), last.tolist()
            total, count = total + logprobs.sum().item(), count + len(logprobs)
        summary |= {"texts": len(rows), "tokens": count, "mean_logprob": total / max(count, 1)}
        if args.write:
            args.write.write_text(json.dumps({"rows": rows}, ensure_ascii=False) + "\n", encoding="utf-8")

    failed = False
    if args.ours:
        worst = {k: {"logprobs": 0.0, "last_logits": 0.0} for k in ("ours-float64", "ours-float32", "float32-float64")}
        ours = json.loads(args.ours.read_text(encoding="utf-8"))["rows"]
        if not ours:
            sys.exit(f"{args.ours}: no rows")
        for i, row in enumerate(ours):
            if "text" in row and tokenizer(row["text"])["input_ids"] != row["input_ids"]:
                print(f"row {i}: the folder's tokenizer gives other ids for its text", file=sys.stderr)
                failed = True
            exact, stock = (compute(models[d], row["input_ids"]) for d in ("float64", "float32"))
            given = [torch.tensor(row["logprobs"], dtype=torch.float64)]
            given.append(torch.tensor(row["last_logits"], dtype=torch.float64) if "last_logits" in row else None)
            for j, name in enumerate(("logprobs", "last_logits")):
                for key, a, b in (
                    ("ours-float64", given[j], exact[j]),
                    ("ours-float32", given[j], stock[j]),
                    ("float32-float64", stock[j], exact[j]),
                ):
                    if a is not None:
                        worst[key][name] = max(worst[key][name], difference(a, b, f"row {i}, {name}"))
        largest = max(worst[f"ours-{args.against}"].values())
        failed |= not largest <= args.tolerance
        summary |= {
            "rows": len(ours),
            "largest_difference": worst,
            "against": args.against,
            "tolerance": args.tolerance,
            "verdict": "different" if failed else "equal",
        }
    print(json.dumps(summary, ensure_ascii=False, indent=1))
    return 1 if failed else 0


def whole(row: dict, side: str) -> str:
    return row.get("prompt", "") + row[side]


if __name__ == "__main__":
    sys.exit(main())
