"""What TRL gets on the same data: DPO or TR-DPO with DPOTrainer, accuracy and margin on pairs not trained on, before and after.

    python trl_accuracy.py --model DIR --train FILE[:A:B] --eval FILE[:A:B] [--lr 5e-4] [--beta 0.1] [--steps N | --epochs 1]
        [--batch 8] [--accumulate 1] [--max-length 256] [--warmup 10] [--max-grad-norm 2] [--sync-alpha A --sync-tau T]
        [--order sequential|shuffled] [--seed 0] [--threads 2] [--out DIR] [--scores FILE.jsonl]

FILE holds HH transcripts or rows with prompt, chosen, rejected (.jsonl, .jsonl.gz); A:B takes rows A to B-1 of the file, counted
from 0 before those that cannot be scored are left out: different prompts, an empty answer, a prompt that fills max-length, and
answers that are equal, or become so by the cut (on these TRL alone would train). --sync-alpha and --sync-tau switch the
trust-region update on (soft: A < 1 with T 1; hard: A 1). fp32, AdamW 0.9 / 0.95 / 1e-8, no weight decay, linear schedule, no dropout.

Prints JSON lines: one "progress" line every few steps as TRL logs it (to stderr), then one result with, for the held-out pairs,

    logps       of the policy alone: share and mean of log p(chosen) - log p(rejected) > 0
    rewards     against the initial model: share and mean of beta * (difference of log-ratios) > 0
    rewards_now the same against the reference as it stands at the end (equal to "rewards" where it never moves)

"accuracy_se" is the standard error of a share. Ties count as wrong, as in TRL. --scores writes the sums of log-probs per row:
{"row", "chosen", "rejected", "initial_chosen", "initial_rejected"}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
for name in ("OMP_WAIT_POLICY", "TRANSFORMERS_VERBOSITY", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ.setdefault(name, {"OMP_WAIT_POLICY": "PASSIVE", "TRANSFORMERS_VERBOSITY": "error"}.get(name, "1"))

import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset, disable_caching, disable_progress_bars  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from transformers.utils import logging as hf_logging  # noqa: E402

from pairs import collate, encode, read_pairs, sequence_logps  # noqa: E402


def select(source: str) -> list[dict]:
    path, *bounds = source.split(":")
    low, high = (int(b) if b else None for b in (bounds + ["", ""])[:2])
    return [p for p in read_pairs(path) if (low or 0) <= p["row"] and (high is None or p["row"] < high)]


@torch.no_grad()
def score(model, rows: list[dict], pad: int, batch: int = 16) -> torch.Tensor:
    """[n, 2]: sums of log-probs of chosen and rejected. Rows of like length share a batch."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["prompt"]) + len(rows[i]["chosen"]))
    out = torch.zeros(len(rows), 2, dtype=torch.float64)
    for at in range(0, len(order), batch):
        part = order[at : at + batch]
        sums = sequence_logps(model, *collate([rows[i] for i in part], pad))
        out[part] = sums.double().view(2, -1).T
    return out


def share(margins: torch.Tensor) -> dict[str, float]:
    n, p = len(margins), (margins > 0).double().mean().item()
    return {
        "accuracy": round(p, 5),
        "accuracy_se": round((p * (1 - p) / n) ** 0.5, 5),
        "margin": round(margins.mean().item(), 6),
    }


class Progress(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            keep = ("loss", "grad_norm", "learning_rate", "rewards/accuracies", "rewards/margins")
            print(json.dumps({"step": state.global_step, **{k: logs[k] for k in keep if k in logs}}), file=sys.stderr)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, required=True)
    ap.add_argument("--train", required=True)
    ap.add_argument("--eval", required=True)
    ap.add_argument("--lr", type=float, default=5e-4)
    ap.add_argument("--beta", type=float, default=0.1)
    ap.add_argument("--steps", type=int, default=-1)
    ap.add_argument("--epochs", type=float, default=1.0)
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--accumulate", type=int, default=1)
    ap.add_argument("--max-length", type=int, default=256)
    ap.add_argument("--warmup", type=int, default=10)
    ap.add_argument("--max-grad-norm", type=float, default=2.0)
    ap.add_argument("--sync-alpha", type=float)
    ap.add_argument("--sync-tau", type=int, default=1)
    ap.add_argument("--order", choices=["sequential", "shuffled"], default="sequential")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--log-every", type=int, default=20)
    ap.add_argument("--out", type=Path, help="saves the trained policy as a folder")
    ap.add_argument("--scores", type=Path)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    disable_caching()
    disable_progress_bars()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()

    tokenizer = AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    train = [p for p in select(args.train) if encode(p, tokenizer, args.max_length)]
    held_out = [(p["row"], r) for p in select(args.eval) if (r := encode(p, tokenizer, args.max_length))]
    places, rows = [i for i, _ in held_out], [r for _, r in held_out]
    load = lambda: AutoModelForCausalLM.from_pretrained(  # noqa: E731
        args.model, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    policy, reference = load(), load()
    before = score(policy, rows, pad)

    sync = {}
    if args.sync_alpha is not None:
        sync = dict(sync_ref_model=True, ref_model_mixup_alpha=args.sync_alpha, ref_model_sync_steps=args.sync_tau)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.DPOTrainer(
            model=policy,
            ref_model=reference,
            train_dataset=Dataset.from_list([{k: p[k] for k in ("prompt", "chosen", "rejected")} for p in train]),
            processing_class=tokenizer,
            args=trl.DPOConfig(
                output_dir=scratch,
                loss_type="sigmoid",
                beta=args.beta,
                learning_rate=args.lr,
                max_steps=args.steps,
                num_train_epochs=args.epochs,
                per_device_train_batch_size=args.batch,
                gradient_accumulation_steps=args.accumulate,
                max_length=args.max_length,
                warmup_steps=args.warmup,
                max_grad_norm=args.max_grad_norm,
                lr_scheduler_type="linear",
                optim="adamw_torch",
                adam_beta1=0.9,
                adam_beta2=0.95,
                adam_epsilon=1e-8,
                weight_decay=0.0,
                disable_dropout=True,
                train_sampling_strategy="sequential" if args.order == "sequential" else "random",
                seed=args.seed,
                bf16=False,
                use_cpu=True,
                gradient_checkpointing=False,
                dataloader_pin_memory=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_steps=args.log_every,
                **sync,
            ),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Progress())
        kept = len(trainer.train_dataset)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    after = score(trainer.model, rows, pad)
    anchor = score(trainer.ref_model, rows, pad)

    def margins(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
        ratios = now - then
        return args.beta * (ratios[:, 0] - ratios[:, 1])

    if args.out:
        trainer.model.save_pretrained(args.out)
        tokenizer.save_pretrained(args.out)
    if args.scores:
        lines = (
            {"row": i, "chosen": a[0], "rejected": a[1], "initial_chosen": b[0], "initial_rejected": b[1]}
            for i, a, b in zip(places, after.tolist(), before.tolist(), strict=True)
        )
        args.scores.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    print(
        json.dumps(
            {
                "update": "fixed" if not sync else f"alpha {args.sync_alpha} tau {args.sync_tau}",
                "pairs_trained": kept,
                "pairs_held_out": len(rows),
                "steps": trainer.state.global_step,
                "seconds_per_step": round(seconds / max(trainer.state.global_step, 1), 4),
                "before": {"logps": share(before[:, 0] - before[:, 1])},
                "after": {
                    "logps": share(after[:, 0] - after[:, 1]),
                    "rewards": share(margins(after, before)),
                    "rewards_now": share(margins(after, anchor)),
                },
                "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if v is not None},
                "versions": {"torch": torch.__version__, "trl": trl.__version__, "transformers": transformers.__version__},
            }
        )
    )


if __name__ == "__main__":
    main()
