"""Python's side of op-overhead.ts: answers each line on stdin, the name of a case, with microseconds a call."""

import json
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
CALLS = 1000


def measure(run):
    begin = time.process_time()
    for _ in range(CALLS):
        run()
    return (time.process_time() - begin) * 1e6 / CALLS


one = torch.ones(1)
leaf = torch.ones(1).requires_grad_()
row = torch.ones(64)
square = torch.ones(8, 8)
batch = torch.ones(1, 2, 8, 8)
index = torch.tensor([1, 3, 5])
many = [torch.ones(8) for _ in range(20)]
more = [torch.ones(8) for _ in range(20)]
weight = torch.ones(8)
four = [square] * 4

cases = {
    "add": lambda: one.add(one),
    "add, requires_grad": lambda: leaf.add(one),
    "mul by a number": lambda: one.mul(2),
    "view [4, 16]": lambda: row.view([4, 16]),
    "narrow": lambda: row.narrow(0, 8, 16),
    "transpose": lambda: square.transpose(0, 1),
    "addmm 8x8": lambda: square.addmm(square, square),
    "linear 8x8": lambda: F.linear(square, square),
    "sum(dim=[1])": lambda: square.sum([1]),
    "sum()": lambda: square.sum(),
    "softmax": lambda: square.softmax(-1),
    "silu": lambda: torch._C._nn.silu(square),
    "rms_norm": lambda: torch.rms_norm(square, [8], weight, 1e-5),
    "cat of 4": lambda: torch.cat(four),
    "stack of 4": lambda: torch.stack(four),
    "index_select": lambda: square.index_select(0, index),
    "embedding": lambda: torch.embedding(square, index),
    "mul_ (in place)": lambda: one.mul_(one),
    "foreach_add_ of 20": lambda: torch._foreach_add_(many, more),
    "foreach_mul_ of 20 by a number": lambda: torch._foreach_mul_(many, 1),
    "attention 8x8": lambda: F.scaled_dot_product_attention(batch, batch, batch, is_causal=True),
    "to(dtype)": lambda: square.to(torch.float64),
    "item()": lambda: one.item(),
    "shape": lambda: square.shape,
    "add + sum + backward": lambda: leaf.add(one).sum().backward(),
}

print(json.dumps(list(cases)), flush=True)
for line in sys.stdin:
    print(measure(cases[line.rstrip("\n")]), flush=True)
