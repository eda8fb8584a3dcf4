"""Writes losses/dpo.jsonl and losses/kto.jsonl: tables of log-probabilities and what TRL's own loss code makes of them.

    python make_losses.py --out ../fixtures/losses

TRL computes a loss from logits inside a trainer. Here its two `_compute_loss` methods run on an object that has the attributes
they read and nothing else, with reference log-probabilities given as if precomputed, and on a "model" that returns prepared
float64 logits over two tokens: a completion's log-probability, a leaf of the graph, is shared out unevenly over its tokens.

dpo.jsonl: one batch of pairs a line. `name` of the loss, or `names` and `weights` of a mixture; `beta`, `label_smoothing`,
`discopop_tau`, `divergence` (`alpha` for alpha_divergence); `policy`, `reference`, `tokens`, each {chosen, rejected}; `loss`, its mean
over the pairs; `grad` {chosen, rejected}, the derivatives of that mean by the policy's log-probabilities; `dtype` of the computation.
kto.jsonl: one batch of rows a line. `beta`, `weights` [desirable, undesirable], `desirable`, `policy`, `reference`, and `partners`
{policy, reference} of the mismatched completions; `loss`, `grad`, `kl`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
import trl
from trl import DPOTrainer, KTOTrainer

SEED = 41
LOSSES: dict[str, list[dict]] = {
    "sigmoid": [{}],
    "hinge": [{}],
    "ipo": [{}],
    "exo_pair": [{"label_smoothing": 1e-3}, {"label_smoothing": 0.2}],
    "nca_pair": [{}],
    "robust": [{}, {"label_smoothing": 0.2}],
    "bco_pair": [{}],
    "sppo_hard": [{}],
    "aot": [{}, {"label_smoothing": 0.1}],
    "aot_unpaired": [{}, {"label_smoothing": 0.1}],
    "apo_zero": [{}],
    "apo_down": [{}],
    "discopop": [{}, {"discopop_tau": 0.4}],
    "sigmoid_norm": [{}],
    "sft": [{}],
}
MIXTURES = [(["sigmoid", "bco_pair", "sft"], [0.8, 0.2, 1.0]), (["hinge", "aot", "apo_down"], [1.0, 0.5, 2.0])]
DIVERGENCES = [
    {"divergence": "forward_kl"},
    {"divergence": "js_divergence"},
    {"divergence": "alpha_divergence", "alpha": 0.5},
    {"divergence": "alpha_divergence", "alpha": 1.7},
]
# 1.13 refuses other losses under a divergence
DIVERGENT = ["sigmoid", "hinge", "ipo", "exo_pair", "robust", "discopop", "sigmoid_norm"]


class Prepared(torch.nn.Module):
    """A model that has its answers ready."""

    def __init__(self, *logits: torch.Tensor):
        super().__init__()
        self.logits = list(logits)

    def forward(self, **_):
        return SimpleNamespace(logits=self.logits.pop(0))


def rows(logprobs: torch.Tensor, tokens: list[int], dtype=torch.float64) -> tuple[torch.Tensor, dict]:
    """Logits [R, 2 + longest, 2] under which the tokens (all 0) after two of prompt have these log-probabilities; inputs."""
    width = 2 + max(tokens)
    logits = []
    mask = torch.zeros(len(tokens), width, dtype=torch.int64)
    attention = torch.zeros_like(mask)
    for row, (logprob, n) in enumerate(zip(logprobs, tokens, strict=True)):
        share = torch.arange(1, n + 1, dtype=torch.float64)
        share = share / share.sum()
        # the logits at place t are of the token at t + 1; elsewhere they do not count
        per = torch.cat([torch.full((1,), -0.7, dtype=torch.float64), share * logprob])
        per = torch.cat([per, torch.full((width - len(per),), -0.7, dtype=torch.float64)])
        logits.append(torch.stack([per, torch.log(-torch.expm1(per))], -1))
        mask[row, 2 : 2 + n] = 1
        attention[row, : 2 + n] = 1
    inputs = {"input_ids": torch.zeros_like(mask), "attention_mask": attention, "completion_mask": mask}
    return torch.stack(logits).to(dtype), inputs


def trainer(**attributes) -> SimpleNamespace:
    """What `_compute_loss` of both trainers reads of `self`, for one process."""
    same = lambda value: value  # noqa: E731
    return SimpleNamespace(
        model=torch.nn.Identity().train(),
        accelerator=SimpleNamespace(device=torch.device("cpu"), gather=same, gather_for_metrics=same),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **attributes,
    )


def f64(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def dpo(case: dict) -> dict:
    dtype = torch.float32 if case.get("divergence") == "alpha_divergence" else torch.float64  # as TRL has it
    n = len(case["tokens"]["chosen"])
    now = f64(case["policy"]["chosen"] + case["policy"]["rejected"]).requires_grad_()
    logits, inputs = rows(now, case["tokens"]["chosen"] + case["tokens"]["rejected"], dtype)
    inputs |= {f"ref_{side}_logps": f64(case["reference"][side]).to(dtype) for side in ("chosen", "rejected")}
    names = case.get("names") or [case["name"]]
    self = trainer(
        loss_types=names,
        loss_weights=case.get("weights") or [1.0] * len(names),
        beta=case["beta"],
        label_smoothing=case.get("label_smoothing", 0.0),
        f_divergence_type=case.get("divergence", "reverse_kl"),
        f_alpha_divergence_coef=case.get("alpha", 0.5),
        args=SimpleNamespace(discopop_tau=case.get("discopop_tau", 0.05)),
        ld_alpha=None,
        use_weighting=False,
    )
    loss = DPOTrainer._compute_loss(self, Prepared(logits), inputs, False)
    loss.backward()
    grad = now.grad.tolist()
    return {**case, "dtype": str(dtype)[6:], "loss": loss.item(), "grad": {"chosen": grad[:n], "rejected": grad[n:]}}


def kto(case: dict, tokens: list[int], partner_tokens: list[int]) -> dict:
    now = f64(case["policy"]).requires_grad_()
    logits, inputs = rows(now, tokens)
    partners, partner_inputs = rows(f64(case["partners"]["policy"]), partner_tokens)
    inputs |= {f"KL_{key}": value for key, value in partner_inputs.items()}
    inputs |= {
        "label": torch.tensor(case["desirable"]),
        "ref_logps": f64(case["reference"]),
        "ref_KL_logps": f64(case["partners"]["reference"]),
    }
    self = trainer(
        loss_type="kto",
        beta=case["beta"],
        desirable_weight=case["weights"][0],
        undesirable_weight=case["weights"][1],
        calculate_KL=True,
        use_liger_kernel=False,
    )
    self._compute_kl_logps = lambda model, batch: KTOTrainer._compute_kl_logps(self, model, batch)
    loss = KTOTrainer._compute_loss(self, Prepared(partners, logits), inputs, False)
    loss.backward()
    return {**case, "loss": loss.item(), "grad": now.grad.tolist(), "kl": self._metrics["train"]["kl"][-1]}


class Draw:
    def __init__(self):
        self.random = random.Random(SEED)

    def logprobs(self, tokens: list[int], near: list[float] | None = None, spread: float = 0.0) -> list[float]:
        if near is None:
            return [-round(n * self.random.uniform(0.6, 2.5), 2) for n in tokens]
        # below 0, and no two steps alike
        return [round(min(value + self.random.gauss(0, spread), -0.05 * n), 4) for value, n in zip(near, tokens, strict=True)]

    def tokens(self, n: int) -> list[int]:
        return [self.random.randint(2, 24) for _ in range(n)]

    def pairs(self, n: int, spread: float) -> dict:
        tokens = {side: self.tokens(n) for side in ("chosen", "rejected")}
        reference = {side: self.logprobs(tokens[side]) for side in tokens}
        policy = {side: self.logprobs(tokens[side], reference[side], spread) for side in tokens}
        return {"policy": policy, "reference": reference, "tokens": tokens}

    def examples(self, n: int, desirable: list[bool], beta: float, shift: float) -> tuple[dict, list[int], list[int]]:
        tokens, partner_tokens = self.tokens(n), self.tokens(n)
        reference, partners = self.logprobs(tokens), self.logprobs(partner_tokens)
        now = [value + shift for value in partners]
        case = {
            "beta": beta,
            "weights": self.random.choice([[1.0, 1.0], [1.0, 1.33], [0.8, 1.0]]),
            "desirable": desirable,
            "policy": self.logprobs(tokens, reference, 2.0),
            "reference": reference,
            "partners": {"policy": self.logprobs(partner_tokens, now, 0.5), "reference": partners},
        }
        return case, tokens, partner_tokens


def write(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(path, len(lines))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    assert trl.__version__ == "1.13.0", trl.__version__
    draw = Draw()
    pairs = []
    for name, variants in LOSSES.items():
        for options in variants:
            for n, beta, spread in ((1, 0.1, 6.0), (4, 0.5, 3.0)):
                pairs.append({"name": name, "beta": beta, **options, **draw.pairs(n, spread)})
    for names, weights in MIXTURES:
        pairs.append({"names": names, "weights": weights, "beta": 0.2, **draw.pairs(3, 4.0)})
    for divergence in DIVERGENCES:
        for name in DIVERGENT:
            options = {"label_smoothing": 0.1} if name == "exo_pair" else {}
            pairs.append({"name": name, "beta": 0.5, **options, **divergence, **draw.pairs(2, 1.0)})
    examples = [
        draw.examples(n, [draw.random.random() < share for _ in range(n)], beta, shift)
        for n, share, beta, shift in ((4, 0.5, 0.1, 1.0), (5, 0.5, 0.5, -1.5), (3, 1.0, 0.3, 0.7), (3, 0.0, 0.3, 0.7))
    ]
    out.mkdir(parents=True, exist_ok=True)
    write(out / "dpo.jsonl", [dpo(case) for case in pairs])
    write(out / "kto.jsonl", [kto(*example) for example in examples])


if __name__ == "__main__":
    main()
