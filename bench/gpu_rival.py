"""The padded DPO step of gpu.ts in PyTorch, as TRL's trainer computes it: chosen and rejected concatenated and padded,
SDPA attention, per-token log-probabilities by log_softmax row by row, a forward pass of the reference without gradient,
clipping, fused AdamW. Reads its task as JSON and answers in JSON. Not run on a GPU so far; on the CPU its losses are ours.
"""

import json
import os
import sys
import time

sys.dont_write_bytecode = True
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

spec = json.load(sys.stdin)
device, dtype = torch.device(spec["device"]), getattr(torch, spec["dtype"])
is_cuda = device.type == "cuda"
BETA = 0.1
if not is_cuda:
    torch.set_num_threads(1)


def make_model():
    options = dict(attn_implementation="sdpa", dtype=dtype)
    if spec.get("model"):
        return AutoModelForCausalLM.from_pretrained(spec["model"], **options).to(device)
    config = AutoConfig.for_model(**spec["config"])
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, **options)


def batch_of(places):
    """Ids, attention mask and completion mask: all chosen rows, then all rejected ones, padded on the right."""
    rows = [(spec["rows"][i][0], spec["rows"][i][side]) for side in (1, 2) for i in places]
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    attention, completion = torch.zeros_like(ids), torch.zeros_like(ids)
    for r, (prompt, answer) in enumerate(rows):
        ids[r, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        attention[r, : len(prompt) + len(answer)] = 1
        completion[r, len(prompt) : len(prompt) + len(answer)] = 1
    tensors = (ids, attention, completion)
    if is_cuda:
        return [x.pin_memory().to(device, non_blocking=True) for x in tensors]
    return tensors


def logprobs(model, ids, attention, completion):
    """log p(completion | prompt), [rows]."""
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1]
    targets = ids[:, 1:].unsqueeze(-1)
    per_token = torch.stack([F.log_softmax(row, -1).gather(-1, t).squeeze(-1) for row, t in zip(logits, targets)])
    return (per_token * completion[:, 1:]).sum(-1)


policy, reference = make_model(), make_model()
reference.load_state_dict(policy.state_dict())
reference.requires_grad_(False)
policy.train()
optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
seconds, losses = [], []
for micro_batches in spec["micro"]:
    begun = time.perf_counter()
    pairs = sum(len(places) for places in micro_batches)
    loss_sum = torch.zeros((), device=device)
    for places in micro_batches:
        batch = batch_of(places)
        with torch.no_grad():
            chosen_ref, rejected_ref = logprobs(reference, *batch).chunk(2)
        chosen, rejected = logprobs(policy, *batch).chunk(2)
        margins = (chosen - chosen_ref) - (rejected - rejected_ref)
        loss = -F.logsigmoid(BETA * margins).sum() / pairs
        loss.backward()
        loss_sum += loss.detach()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 2.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss_sum.item())
    if is_cuda:
        torch.cuda.synchronize(device)
    seconds.append(time.perf_counter() - begun)


def peak_bytes():
    if is_cuda:
        return torch.cuda.max_memory_allocated(device)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


print(json.dumps({"seconds": seconds[1:], "losses": losses, "peakBytes": peak_bytes()}))
