"""What a user could write with transformers and torch alone, as the strongest rival of gpu.ts: rows packed without
padding, each completion behind a copy of its prompt, attention over sequences of different lengths
(torch.nn.attention.varlen), logits at completion tokens alone, torch.compile, fused AdamW. Reads the same task as
gpu_rival.py and answers in the same JSON, with these keys besides, all optional:

    tokensPerMicroBatch   packed tokens of a micro-batch at most
    masters               float32 weights are trained, and the model computes with bfloat16 copies of them
    reference             {"update": "soft", "alpha": 0.6}: the reference follows by torch._foreach_lerp_, in float32 where
                          it computes in bfloat16; {"update": "fixed"}
    compile               whether torch.compile is used; by default on a GPU

On the CPU attention is computed sequence by sequence (scaled_dot_product_attention), so that losses can be compared:
the flash kernel is for GPUs. What runs on a GPU here has not been run yet.
"""

import json
import os
import sys
import time

sys.dont_write_bytecode = True
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: E402

spec = json.load(sys.stdin)
device, dtype = torch.device(spec["device"]), getattr(torch, spec["dtype"])
is_cuda = device.type == "cuda"
if not is_cuda:
    torch.set_num_threads(1)
beta = 0.1


class Packed:
    """Sequences laid end to end: [1, N] tokens, and where each begins."""

    def __init__(self, pairs):
        rows = [(p, c) for p, chosen, rejected in pairs for p, c in ((p, chosen), (p, rejected))]
        lengths = [len(p) + len(c) for p, c in rows]
        ends = torch.tensor([0] + lengths).cumsum(0)
        starts = ends[:-1].tolist()
        self.pairs, self.longest = len(pairs), max(lengths)
        self.tokens = torch.tensor([[t for p, c in rows for t in [*p, *c]]], device=device)
        self.positions = torch.cat([torch.arange(n) for n in lengths])[None].to(device)
        self.ends = ends.int().to(device)
        # A token is predicted by the one before it.
        scored = [torch.arange(s + len(p) - 1, s + len(p) + len(c) - 1) for s, (p, c) in zip(starts, rows)]
        self.scored = torch.cat(scored).to(device)
        self.row_of = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(c) for _, c in rows])).to(device)
        self.targets = self.tokens[0, self.scored + 1]


def packed_attention(module, query, key, value, attention_mask, scaling=None, cu_seq_lens_q=None, max_length_q=None, **_):
    """[1, H, N, C] each -> [1, N, H, C]; every sequence sees itself alone, causally."""
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    if is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        mixed = varlen_attn(
            q, k, v, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q,
            scale=scaling, window_size=(-1, 0), enable_gqa=True,
        )
        return mixed[None], None
    ends = cu_seq_lens_q.tolist()
    heads = lambda x, a, b: x[a:b].transpose(0, 1)[None]  # noqa: E731
    mixed = [
        F.scaled_dot_product_attention(heads(q, a, b), heads(k, a, b), heads(v, a, b), is_causal=True, scale=scaling, enable_gqa=True)
        for a, b in zip(ends, ends[1:])
    ]
    return torch.cat(mixed, 2).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register("packed", packed_attention)


def make_model(kind):
    options = dict(attn_implementation="packed", dtype=kind)
    if spec.get("model"):
        return AutoModelForCausalLM.from_pretrained(spec["model"], **options).to(device)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**spec["config"]), **options)


def logprobs(model, batch):
    """log p(completion | prompt) of every row, [2 pairs]."""
    sequences = dict(cu_seq_lens_q=batch.ends, max_length_q=batch.longest)
    hidden = model.base_model(
        input_ids=batch.tokens, position_ids=batch.positions, use_cache=False, **sequences
    )[0][0, batch.scored]
    logits = model.get_output_embeddings()(hidden).float()
    of_tokens = -F.cross_entropy(logits, batch.targets, reduction="none")
    return torch.zeros(2 * batch.pairs, device=device).index_add(0, batch.row_of, of_tokens)


def micro_batches(rows):
    most, packs, tokens = spec.get("tokensPerMicroBatch", 8192), [[]], 0
    for row in rows:
        length = 2 * len(row[0]) + len(row[1]) + len(row[2])
        if packs[-1] and tokens + length > most:
            packs.append([])
            tokens = 0
        packs[-1].append(row)
        tokens += length
    return [Packed(pack) for pack in packs]


def run():
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    policy, reference = make_model(dtype), make_model(dtype)
    reference.load_state_dict(policy.state_dict())
    reference.requires_grad_(False)
    parameters = list(policy.parameters())
    masters = [p.detach().float().requires_grad_() for p in parameters] if spec.get("masters") else parameters
    soft = spec.get("reference", {}).get("update") == "soft"
    alpha = spec.get("reference", {}).get("alpha", 0.6)
    followers = list(reference.parameters())
    kept = [p.detach().float() for p in followers] if soft and dtype != torch.float32 else followers
    optimizer = torch.optim.AdamW(masters, lr=1e-5, betas=(0.9, 0.95), eps=1e-8, weight_decay=0, fused=True)
    if spec.get("compile", is_cuda):
        for model in (policy, reference):
            model.base_model.compile(dynamic=True)
    ends, losses = [], []
    for _ in range(spec["steps"] + 1):
        losses.append(0.0)
        for batch in micro_batches(spec["rows"]):
            with torch.no_grad():
                expected = logprobs(reference, batch)
            rewards = (logprobs(policy, batch) - expected).view(-1, 2)
            loss = -F.logsigmoid(beta * (rewards[:, 0] - rewards[:, 1])).sum() / spec["pairs"]
            loss.backward()
            losses[-1] += loss.item()
        if masters is not parameters:
            for master, parameter in zip(masters, parameters):
                master.grad, parameter.grad = parameter.grad.float(), None
        torch.nn.utils.clip_grad_norm_(masters, 2.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            if masters is not parameters:
                torch._foreach_copy_(parameters, masters)
            if soft:
                moved = masters if masters[0].dtype == kept[0].dtype else [p.float() for p in masters]
                torch._foreach_lerp_(kept, moved, alpha)
                if kept is not followers:
                    torch._foreach_copy_(followers, kept)
        if is_cuda:
            torch.cuda.synchronize(device)
        ends.append(time.perf_counter())
    name = "transformers, packed" + (", float32 masters" if spec.get("masters") else "") + (", soft reference" if soft else "")
    return dict(name=name, seconds=[b - a for a, b in zip(ends, ends[1:])], losses=losses, peakBytes=peak_bytes())


def peak_bytes():
    if is_cuda:
        return torch.cuda.max_memory_allocated(device)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


try:
    print(json.dumps([run()]))
except torch.cuda.OutOfMemoryError:
    print("the packed rival has not enough memory", file=sys.stderr)
    print("[]")
