"""The toy experiment of docs/guide/toy.md once more: NumPy alone, gradients by hand, random numbers of its own.

    python toy.py [--seeds 200] [--seed 1000]

Prints, for four references, the mean probability of the chosen trajectories at the end, its standard error over seeds,
and the mean probability of trajectories never seen. Six minutes for 200 seeds on one busy core.
Shapes: S seeds, N prefixes of one length, J trajectories, A actions, E embedding, H hidden.
"""

from __future__ import annotations

import argparse

import numpy as np

A, HORIZON, E, H = 3, 3, 8, 32
J = A**HORIZON
PAIRS = 3
BETA = 0.5


def random_policies(rng: np.random.Generator, seeds: int) -> list[np.ndarray]:
    """e, W, U, b, V, c of h' = tanh(e(a) W + h U + b), softmax over the actions from h V + c."""
    normal = lambda *shape: rng.normal(size=(seeds, *shape)) * 0.25
    return [normal(A + 1, E), normal(E, H), normal(H, H), np.zeros((seeds, 1, H)), normal(H, A), np.zeros((seeds, 1, A))]


def forward(policies: list[np.ndarray]):
    """log p of all trajectories [S, J], and what the backward pass needs."""
    e, W, U, b, V, c = policies
    inputs = e @ W + b
    seeds = len(inputs)
    state = np.tanh(inputs[:, A:])
    logprobs = np.zeros((seeds, 1))
    states, choices = [], []
    for depth in range(HORIZON):
        scores = state @ V + c
        scores = scores - scores.max(-1, keepdims=True)
        choice = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        states.append(state)
        choices.append(choice)
        logprobs = (logprobs[:, :, None] + choice).reshape(seeds, -1)
        if depth < HORIZON - 1:
            state = np.tanh((state @ U)[:, :, None] + inputs[:, None, :A]).reshape(seeds, -1, H)
    return logprobs, (states, choices)


def backward(policies: list[np.ndarray], kept, gradient_SJ: np.ndarray) -> list[np.ndarray]:
    """The gradient of each parameter, from that of log p of the trajectories."""
    e, W, U, b, V, c = policies
    states, choices = kept
    seeds = len(e)
    dU, dV, dc = np.zeros_like(U), np.zeros_like(V), np.zeros_like(c)
    d_inputs = np.zeros((seeds, A + 1, H))
    d_choice = gradient_SJ.reshape(seeds, -1, A)
    d_later = 0.0
    for depth in reversed(range(HORIZON)):
        state = states[depth]
        d_scores = d_choice - np.exp(choices[depth]) * d_choice.sum(-1, keepdims=True)
        dV += state.transpose(0, 2, 1) @ d_scores
        dc += d_scores.sum(1, keepdims=True)
        d_sum = (d_scores @ V.transpose(0, 2, 1) + d_later) * (1 - state**2)
        if depth == 0:
            d_inputs[:, A:] += d_sum
            break
        d_children = d_sum.reshape(seeds, -1, A, H)
        d_inputs[:, :A] += d_children.sum(1)
        d_parents = d_children.sum(2)
        dU += states[depth - 1].transpose(0, 2, 1) @ d_parents
        d_later = d_parents @ U.transpose(0, 2, 1)
        d_choice = d_choice.sum(-1).reshape(seeds, -1, A)
    d_e, dW = d_inputs @ W.transpose(0, 2, 1), e.transpose(0, 2, 1) @ d_inputs
    return [d_e, dW, dU, d_inputs.sum(1, keepdims=True), dV, dc]


class Adam:
    """Betas 0.9 and 0.95, eps 1e-8."""

    def __init__(self, parameters: list[np.ndarray]):
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]
        self.steps = 0

    def step(self, parameters: list[np.ndarray], gradients: list[np.ndarray], rate: float) -> None:
        self.steps += 1
        for parameter, gradient, m, v in zip(parameters, gradients, self.means, self.squares):
            m += 0.1 * (gradient - m)
            v += 0.05 * (gradient**2 - v)
            parameter -= rate * (m / (1 - 0.9**self.steps)) / (np.sqrt(v / (1 - 0.95**self.steps)) + 1e-8)


def aligned(sft: list[np.ndarray], chosen: np.ndarray, rejected: np.ndarray, alpha: float, tau: int) -> np.ndarray:
    """Probabilities [S, J] after 3,000 steps of DPO, with reference <- alpha policy + (1 - alpha) reference every tau."""
    policy, reference = [p.copy() for p in sft], [p.copy() for p in sft]
    optimizer = Adam(policy)
    rows = np.arange(len(chosen))[:, None]
    anchor, _ = forward(reference)
    for step in range(1, 3001):
        logprobs, kept = forward(policy)
        ratios = logprobs - anchor
        margin = ratios[rows, chosen] - ratios[rows, rejected]
        weight = -BETA / (1 + np.exp(np.clip(BETA * margin, -700, 700))) / PAIRS
        gradient = np.zeros_like(logprobs)
        gradient[rows, chosen] = weight
        gradient[rows, rejected] = -weight
        optimizer.step(policy, backward(policy, kept, gradient), 1e-3)
        if tau and step % tau == 0:
            for r, p in zip(reference, policy):
                r += alpha * (p - r)
            anchor, _ = forward(reference)
    return np.exp(forward(policy)[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    drawn = np.array([rng.permutation(J)[: 2 * PAIRS] for _ in range(arguments.seeds)])
    chosen, rejected = drawn[:, :PAIRS], drawn[:, PAIRS:]
    rows = np.arange(arguments.seeds)[:, None]
    target = np.full((arguments.seeds, J), 0.3 / J)
    target[rows, drawn] += 0.7 / (2 * PAIRS)

    sft = random_policies(rng, arguments.seeds)
    optimizer = Adam(sft)
    for _ in range(400):
        _, kept = forward(sft)
        optimizer.step(sft, backward(sft, kept, -target), 5e-3)

    references = {"vanilla": (0.0, 0), "soft 0.6": (0.6, 1), "hard 64": (1.0, 64), "hard 1024": (1.0, 1024)}
    for name, (alpha, tau) in references.items():
        p = aligned(sft, chosen, rejected, alpha, tau)
        kept = p[rows, chosen].sum(1)
        unseen = 1 - kept - p[rows, rejected].sum(1)
        error = kept.std(ddof=1) / arguments.seeds**0.5
        print(f"{name:10} chosen {kept.mean():.3f} +- {error:.3f}, never seen {unseen.mean():.3f}", flush=True)


if __name__ == "__main__":
    main()
