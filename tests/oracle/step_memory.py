"""Peak memory and time of a padded DPO training step in plain PyTorch and transformers (fp32, CPU).

    python step_memory.py --model DIR --pairs FILE.jsonl[.gz] [--batch 4] [--max-length 256] [--steps 5] [--threads 2]
                          [--start 0] [--fused] [--sync ALPHA] [--logits-to-keep]

What TRL's DPOTrainer computes, without its metrics: policy and reference loaded, one forward of [all chosen; all rejected] padded
on the right through each (the reference without gradient), all logits, sigmoid loss, backward, clipping, torch.optim.AdamW.
The batch is the same in every step: the first --batch pairs from row --start on that can be scored (their places are printed).
--logits-to-keep leaves out the logits in front of the shortest prompt's end, which TRL does not do.

Prints one line of JSON:

    peak_rss_mb       highest resident set of the process (VmHWM; not ru_maxrss, which a child inherits from a large parent)
    baseline_rss_mb   resident set after the imports, before a model is loaded
    loaded_rss_mb     after both models are loaded; optimizer state and gradients are not there yet
    peak_rss_mb - baseline_rss_mb is what the step costs; MB are 2^20 bytes
    seconds_per_step  median without the first step
    padded_tokens, real_tokens, completion_tokens   of the batch (both sides)
    losses            of every step, to check that both sides do the same work
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
for name in ("OMP_WAIT_POLICY", "TRANSFORMERS_VERBOSITY", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ.setdefault(name, {"OMP_WAIT_POLICY": "PASSIVE", "TRANSFORMERS_VERBOSITY": "error"}.get(name, "1"))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import AutoTokenizer, LlamaForCausalLM  # noqa: E402
from transformers.utils import logging as hf_logging  # noqa: E402

from pairs import collate, encode, read_pairs, sequence_logps  # noqa: E402

hf_logging.disable_progress_bar()


def status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def kept_logps(model, ids, attention, completion):
    """As sequence_logps, with logits only from the last prompt token of the shortest prompt on."""
    first = int(completion.argmax(1).min())
    keep = ids.shape[1] - first + 1
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False, logits_to_keep=keep).logits[:, :-1]
    normaliser = torch.stack([torch.logsumexp(row, dim=-1) for row in logits])
    logps = logits.gather(-1, ids[:, first:, None]).squeeze(-1) - normaliser
    logps[completion[:, first:] == 0] = 0.0
    return logps.sum(dim=1)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, required=True)
    ap.add_argument("--pairs", type=Path, required=True)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--max-length", type=int, default=256)
    ap.add_argument("--steps", type=int, default=5)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--start", type=int, default=0)
    ap.add_argument("--lr", type=float, default=1e-5)
    ap.add_argument("--beta", type=float, default=0.1)
    ap.add_argument("--fused", action="store_true", help="AdamW in one fused kernel instead of the default loop")
    ap.add_argument("--sync", type=float, metavar="ALPHA", help="soft update of the reference after every step")
    ap.add_argument("--logits-to-keep", action="store_true")
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    baseline = status_mb("VmRSS")

    tokenizer = AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    rows, places = [], []
    for pair in read_pairs(args.pairs):
        row = encode(pair, tokenizer, args.max_length) if pair["row"] >= args.start else None
        if row:
            rows.append(row)
            places.append(pair["row"])
        if len(rows) == args.batch:
            break
    if len(rows) < args.batch:
        sys.exit(f"{args.pairs}: only {len(rows)} pairs from row {args.start} on can be scored, --batch wants {args.batch}")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    batch = collate(rows, pad)

    load = dict(dtype=torch.float32, attn_implementation="sdpa", local_files_only=True)
    policy = LlamaForCausalLM.from_pretrained(args.model, **load).train()
    reference = LlamaForCausalLM.from_pretrained(args.model, **load).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        policy.parameters(), lr=args.lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=args.fused or None
    )
    loaded = status_mb("VmRSS")
    logps = kept_logps if args.logits_to_keep else sequence_logps

    losses, seconds = [], []
    for _ in range(args.steps):
        began = time.perf_counter()
        now = logps(policy, *batch)
        with torch.no_grad():
            anchor = logps(reference, *batch)
        chosen, rejected = (now - anchor).chunk(2)
        loss = -F.logsigmoid(args.beta * (chosen - rejected)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 2.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if args.sync is not None:
            with torch.no_grad():
                for r, p in zip(reference.parameters(), policy.parameters(), strict=True):
                    r.mul_(1 - args.sync).add_(p, alpha=args.sync)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)

    print(
        json.dumps(
            {
                "peak_rss_mb": round(status_mb("VmHWM"), 1),
                "baseline_rss_mb": round(baseline, 1),
                "loaded_rss_mb": round(loaded, 1),
                "seconds_per_step": round(statistics.median(seconds[1:] or seconds), 4),
                "padded_tokens": batch[0].numel(),
                "real_tokens": int(batch[1].sum()),
                "completion_tokens": int(batch[2].sum()),
                "parameters": sum(p.numel() for p in policy.parameters()),
                "rows": places,
                "losses": losses,
                "threads": args.threads,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
