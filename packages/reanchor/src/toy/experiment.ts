// The toy experiment: what preference training does to trajectories it never saw.
// Shapes: B policies (variant by variant, each with all seeds), P pairs, J trajectories.
import { setImmediate } from 'node:timers/promises';
import { noGrad, type Tensor, tensor, tidy } from '@reanchor/torch';
import { dpo } from '../losses/dpo.js';
import { ipo } from '../losses/ipo.js';
import { kto } from '../losses/kto.js';
import type { PairBatch } from '../losses/pair-batch.js';
import { AdamW } from '../optim/index.js';
import { type UpdateRule, updateShare } from '../reference/update-rule.js';
import { mean } from '../stats/index.js';
import { StackedPolicies } from './policies.js';
import { drawPreferences, type Preferences, sftTarget, trajectories } from './tree.js';

export type ToyMethod = 'dpo' | 'ipo' | 'kto';

export interface ToyVariant {
  name: string;
  rule: UpdateRule;
}

/** What {@link runToy} trains. */
export interface ToyOptions {
  seeds: number;
  steps: number;
  method: ToyMethod;
  beta: number;
  variants: readonly ToyVariant[];
  /** Steps from one record to the next. */
  every?: number;
  /** Preference pairs of a seed. */
  pairs?: number;
  onProgress?: ((done: number, of: number) => void) | undefined;
}

/** What is recorded: each a number for every seed. */
export interface ToyRecord {
  /** Probability of all chosen, rejected and out-of-distribution trajectories. */
  chosen: number[];
  rejected: number[];
  ood: number[];
  /** Mean log-probability of a chosen, and of a rejected trajectory. */
  chosenLogprob: number[];
  rejectedLogprob: number[];
  /** KL(policy || SFT policy) and KL(policy || current reference), exact, nats. */
  klSft: number[];
  klReference: number[];
  /** Mean over the pairs: margin h of the log-ratios to the current reference, sigma(-z), and the loss. */
  margin: number[];
  weight: number[];
  loss: number[];
  /** Mean weight of the outer product in the Hessian of the loss. */
  curvature: number[];
}

/** The records of one variant over all seeds. */
export interface ToyRun {
  variant: ToyVariant;
  /** Steps of the records, from 0. */
  steps: number[];
  records: ToyRecord[];
}

const sftSteps = 400;
const sftRate = 5e-3;
const alignRate = 1e-3;
const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0 } as const;

/**
 * Trains all variants from the same SFT policies, full batch, with Adam (betas 0.9 and 0.95, learning rate 1e-3), and
 * records what the policies do. The specification is in docs/guide/toy.md. All seeds and variants are computed at once;
 * they share nothing, so each is what it would be alone.
 */
export async function runToy(options: ToyOptions): Promise<ToyRun[]> {
  const { seeds, steps, variants, every = 10, pairs = 3, onProgress } = options;
  const total = sftSteps + steps;
  const preferences = Array.from({ length: seeds }, (_, seed) => drawPreferences(seed, pairs));
  using sft = await imitate(preferences, (done) => onProgress?.(done, total));
  const places = variants.flatMap(() => preferences.map((_, seed) => seed));
  using policies = sft.select(places);
  using reference = sft.select(places);
  for (const parameter of policies.parameters) parameter.requiresGrad = true;
  using optimizer = new AdamW(policies.parameters, adam);
  const masks = new Masks(variants.flatMap(() => preferences));
  using _masks = masks;
  const sftLogprobs = tidy(() => noGrad(() => sft.select(places).logprobs())).toList() as number[];

  const runs: ToyRun[] = variants.map((variant) => ({ variant, steps: [], records: [] }));
  for (let step = 0; step <= steps; step++) {
    const isRecorded = step % every === 0 || step === steps;
    const columns = tidy(() => {
      const anchor_BJ = noGrad(() => reference.logprobs());
      const policy_BJ = policies.logprobs();
      const loss_BP = lossOf(options, policy_BJ, anchor_BJ, masks);
      const columns = isRecorded ? measure(options, policy_BJ, anchor_BJ, loss_BP, masks) : undefined;
      if (step < steps) loss_BP.mean([1]).sum().backward();
      return columns;
    });
    if (columns) {
      for (const [v, run] of runs.entries()) {
        run.steps.push(step);
        run.records.push(recordOf(columns, sftLogprobs, v * seeds, seeds));
      }
    }
    if (step === steps) break;
    optimizer.step(alignRate);
    for (const parameter of policies.parameters) parameter.grad = null;
    const shares = variants.map(({ rule }) => updateShare(rule, step + 1));
    if (shares.some((share) => share > 0)) {
      tidy(() => {
        const shares_B = Float64Array.from(shares.flatMap((share) => new Array<number>(seeds).fill(share)));
        reference.moveTowards(policies, tensor(shares_B));
      });
    }
    if (step % 20 === 0) {
      onProgress?.(sftSteps + step, total);
      await setImmediate();
    }
  }
  return runs;
}

/** The SFT policies, one a seed: cross-entropy to the target of its preferences, full batch. */
async function imitate(preferences: readonly Preferences[], onStep: (done: number) => void): Promise<StackedPolicies> {
  const policies = StackedPolicies.random(preferences.map((_, seed) => seed));
  for (const parameter of policies.parameters) parameter.requiresGrad = true;
  using optimizer = new AdamW(policies.parameters, adam);
  const target = Float64Array.from(preferences.flatMap(sftTarget));
  for (let step = 0; step < sftSteps; step++) {
    tidy(() => {
      const target_BJ = tensor(target, { shape: [preferences.length, trajectories] });
      policies.logprobs().mul(target_BJ).sum().neg().backward();
    });
    optimizer.step(sftRate);
    for (const parameter of policies.parameters) parameter.grad = null;
    if (step % 20 === 0) {
      onStep(step);
      await setImmediate();
    }
  }
  for (const parameter of policies.parameters) parameter.requiresGrad = false;
  return policies;
}

/** Which trajectories are chosen, rejected and out of distribution, for every policy of the stack. */
class Masks implements Disposable {
  readonly chosen_BP: Tensor;
  readonly rejected_BP: Tensor;

  constructor(readonly preferences: readonly Preferences[]) {
    const places = (of: (p: Preferences) => number[]) =>
      tensor(Int32Array.from(preferences.flatMap(of)), {
        shape: [preferences.length, preferences[0]!.chosen.length],
        dtype: 'int64',
      });
    this.chosen_BP = places(({ chosen }) => chosen);
    this.rejected_BP = places(({ rejected }) => rejected);
  }

  [Symbol.dispose](): void {
    this.chosen_BP.dispose();
    this.rejected_BP.dispose();
  }
}

function pairBatch(policy_BJ: Tensor, anchor_BJ: Tensor, { chosen_BP, rejected_BP }: Masks): PairBatch {
  const chosenAndRejected = (logprobs_BJ: Tensor) => ({
    chosen_P: logprobs_BJ.gather(1, chosen_BP),
    rejected_P: logprobs_BJ.gather(1, rejected_BP),
  });
  const policy = chosenAndRejected(policy_BJ);
  const tokens = { chosen_P: policy.chosen_P.detach(), rejected_P: policy.rejected_P.detach() };
  return { policy, reference: chosenAndRejected(anchor_BJ), tokens };
}

/** The loss of every pair; of KTO the mean of its two completions, with the exact KL as their reference point. */
function lossOf({ method, beta }: ToyOptions, policy_BJ: Tensor, anchor_BJ: Tensor, masks: Masks): Tensor {
  const batch = pairBatch(policy_BJ, anchor_BJ, masks);
  if (method === 'dpo') return dpo(batch, { beta, labelSmoothing: 0 });
  if (method === 'ipo') return ipo(batch, { beta, lengthNormalize: false });
  const kl_B1 = klOf(policy_BJ.detach(), anchor_BJ).unsqueeze(1);
  const side = (policy_P: Tensor, reference_P: Tensor, label: number) =>
    kto(
      {
        policy_R: policy_P.sub(kl_B1),
        reference_R: reference_P,
        isDesirable_R: policy_P.detach().zerosLike().add(label),
      },
      0,
      { beta, desirableWeight: 1, undesirableWeight: 1 },
    );
  return side(batch.policy.chosen_P, batch.reference.chosen_P, 1)
    .add(side(batch.policy.rejected_P, batch.reference.rejected_P, 0))
    .div(2);
}

const klOf = (policy_BJ: Tensor, other_BJ: Tensor) => policy_BJ.exp().mul(policy_BJ.sub(other_BJ)).sum([1]);

interface Columns {
  logprobs: number[][];
  chosen: number[][];
  rejected: number[][];
  klReference: number[];
  margins: number[][];
  losses: number[][];
  preferences: readonly Preferences[];
  beta: number;
  method: ToyMethod;
}

function measure(
  { beta, method }: ToyOptions,
  policy_BJ: Tensor,
  anchor_BJ: Tensor,
  loss_BP: Tensor,
  masks: Masks,
): Columns {
  return noGrad(() => {
    const now_BJ = policy_BJ.detach();
    const { policy, reference } = pairBatch(now_BJ, anchor_BJ, masks);
    const chosen_BP = policy.chosen_P.sub(reference.chosen_P);
    const rejected_BP = policy.rejected_P.sub(reference.rejected_P);
    return {
      logprobs: rows(now_BJ),
      chosen: rows(chosen_BP),
      rejected: rows(rejected_BP),
      klReference: klOf(now_BJ, anchor_BJ).toList() as number[],
      margins: rows(chosen_BP.sub(rejected_BP)),
      losses: rows(loss_BP.detach()),
      preferences: masks.preferences,
      beta,
      method,
    };
  });
}

function rows(x: Tensor): number[][] {
  const width = x.shape[1]!;
  const flat = x.contiguous().toList() as number[];
  return Array.from({ length: x.shape[0]! }, (_, i) => flat.slice(i * width, (i + 1) * width));
}

function recordOf(columns: Columns, sftLogprobs: readonly number[], first: number, count: number): ToyRecord {
  const each = <T>(of: (b: number) => T): T[] => Array.from({ length: count }, (_, i) => of(first + i));
  const probability = (b: number, some: readonly number[]) =>
    some.reduce((sum, j) => sum + Math.exp(columns.logprobs[b]![j]!), 0);
  const chosen = each((b) => probability(b, columns.preferences[b]!.chosen));
  const rejected = each((b) => probability(b, columns.preferences[b]!.rejected));
  const logprob = (side: 'chosen' | 'rejected') =>
    each((b) => mean(columns.preferences[b]![side].map((j) => columns.logprobs[b]![j]!)));
  return {
    chosen,
    rejected,
    ood: chosen.map((value, i) => 1 - value - rejected[i]!),
    chosenLogprob: logprob('chosen'),
    rejectedLogprob: logprob('rejected'),
    klSft: each((b) =>
      columns.logprobs[b]!.reduce((sum, lp, j) => sum + Math.exp(lp) * (lp - sftLogprobs[b * trajectories + j]!), 0),
    ),
    klReference: each((b) => columns.klReference[b]!),
    margin: each((b) => mean(columns.margins[b]!)),
    weight: each((b) => mean(columns.margins[b]!.map((h) => sigma(-columns.beta * h)))),
    loss: each((b) => mean(columns.losses[b]!)),
    curvature: each((b) => curvature(columns, b)),
  };
}

/**
 * The weight of grad z grad z^T in the Hessian of the loss: of DPO sigma(z) sigma(-z); of IPO 2, whatever the margin
 * (of grad h grad h^T); of KTO beta^2 sigma(u) sigma(-u) |1 - 2 sigma(u)|, u = beta (r - KL), over both completions.
 */
function curvature({ method, beta, margins, chosen, rejected, klReference }: Columns, b: number): number {
  if (method === 'ipo') return 2;
  if (method === 'dpo') return mean(margins[b]!.map((h) => sigma(beta * h) * sigma(-beta * h)));
  const ratios = [...chosen[b]!, ...rejected[b]!];
  return mean(
    ratios.map((ratio) => {
      const u = beta * (ratio - klReference[b]!);
      return beta * beta * sigma(u) * sigma(-u) * Math.abs(1 - 2 * sigma(u));
    }),
  );
}

const sigma = (x: number) => 1 / (1 + Math.exp(-x));
